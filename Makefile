# evse-agent. `make` alone lists what there is. Everything runs from .venv, which the first target installs.

PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
STAMP := $(VENV)/.installed
SOURCES := agent hal simulators tests

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-kinds bench faults test-vm test-power-cuts lint format types coverage texts check clean distclean install bundle deb test-systemd
.DELETE_ON_ERROR:

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(STAMP) ## install everything into .venv (once; again only when the requirements change)

# The stamp is newer than the files that say what to install, so a second run has nothing to do.
$(STAMP): setup.cfg pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	    echo "evse-agent needs Python 3.11 or newer; name one with 'make PYTHON=python3.12 setup'" >&2; exit 1; }
	@if ! $(PY) -m pip --version >/dev/null 2>&1; then \
	    if ! $(PYTHON) -c 'import ensurepip' 2>/dev/null; then \
	        if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	            apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq python3-venv >/dev/null; \
	        else \
	            echo "this Python has no venv module; install it first: sudo apt-get install python3-venv" >&2; exit 1; \
	        fi; \
	    fi; \
	    echo "creating $(VENV)"; \
	    $(PYTHON) -m venv --clear $(VENV); \
	fi
	@echo "installing into $(VENV)"
	@$(PY) -m pip install --quiet --disable-pip-version-check --no-input --constraint constraints.txt \
	    --config-settings editable_mode=compat --editable '.[dev]'
	@touch $@

demo: $(STAMP) ## a simulated charger, two drivers, a lost uplink, and a ledger that must agree to the Wh
	@$(PY) -m simulators.demo $(if $(VERSION),--version $(VERSION))

# Most tests wait for processes and wires, so several of them share a core well.
JOBS ?= 6

test: $(STAMP) ## run the tests, JOBS at a time
	@$(PY) -m pytest --numprocesses $(JOBS) --dist worksteal -m "not kinds"

# Whole chargers, each with its simulated hardware: fewer at a time, or they starve each other.
KINDS_JOBS ?= 4

test-kinds: $(STAMP) ## every kind of board, meter and reader: a full charge, and the conformance kit
	@$(PY) -m pytest --numprocesses $(KINDS_JOBS) --dist worksteal -m kinds

bench: $(STAMP) ## measure reaction, start-up, memory, CPU and journal; a table and build/bench.json
	@mkdir -p build
	@$(PY) -m tests.bench

faults: $(STAMP) ## attack the offline buffer: the whole campaign (hours), or one with ATTACK=name; VERSION=ocpp2.0.1
	@$(PY) -m tests.faults $(if $(ATTACK),--attack $(ATTACK)) $(if $(FORM),--form $(FORM)) \
	    $(if $(VERSION),--version $(VERSION))

test-vm: $(STAMP) ## a charger in a virtual machine (no KVM needed): full charges, real buses; unit tests on ARM
	@$(PY) -m tests.vm charger
	@$(PY) -m tests.vm arm

test-power-cuts: $(STAMP) ## cut the virtual charger's power and judge its disk: CUTS=20, REBOOTS=10, POINTS=12, VERSION=ocpp2.0.1
	@$(PY) -m tests.vm power-cuts $(if $(CUTS),--cuts $(CUTS)) $(if $(REBOOTS),--reboots $(REBOOTS)) \
	    $(if $(POINTS),--points $(POINTS)) $(if $(VERSION),--ocpp $(VERSION))

lint: $(STAMP) ## check style and formatting
	@$(PY) -m ruff check $(SOURCES)
	@$(PY) -m ruff format --check $(SOURCES)

format: $(STAMP) ## format the source
	@$(PY) -m ruff format $(SOURCES)
	@$(PY) -m ruff check --fix $(SOURCES)

types: $(STAMP) ## check types
	@$(PY) -m mypy

texts: $(STAMP) ## bring the catalogues of the console's texts up to date, and list what is not translated
	@$(PY) -m tests.console.catalogues

coverage: $(STAMP) ## run all tests and report which lines they miss
	@$(PY) -m coverage erase
	@$(PY) -m coverage run -m pytest
	@$(PY) -m coverage combine --quiet
	@$(PY) -m coverage report

check: lint types test ## lint, types and tests: what a change must pass

clean: ## remove caches and build results, keep .venv
	rm -rf build .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage .coverage.* *.egg-info
	find agent hal simulators tests -name __pycache__ -type d -prune -exec rm -rf {} +

distclean: clean ## remove .venv as well
	rm -rf $(VENV)

install: ## install on this charger, as root (CONFIG=file for a first configuration)
	@./install.sh $(if $(CONFIG),--config $(CONFIG))

MACHINES ?= x86_64,aarch64,armv7l
PYTHONS ?= 3.11,3.13

bundle: $(STAMP) ## everything to install from without a network: build/evse-agent-VERSION-bundle.tar
	@$(PY) packaging/make_bundle.py --out build --machines $(MACHINES) --pythons $(PYTHONS)

deb: bundle ## a Debian package that holds the bundle: build/evse-agent_VERSION_all.deb
	@packaging/make_deb.sh "$$(ls -t build/evse-agent-*-bundle.tar | head -n 1)" build

test-systemd: $(STAMP) ## as root: a fresh Debian machine in a container (SUITE=trixie for Debian 13), from installation to purge
	@tests/systemd/run.sh $(PY)
