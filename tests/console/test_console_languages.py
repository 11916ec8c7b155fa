"""Languages: every catalogue is whole and compiled, and a session in one of them speaks it, on any terminal."""

from __future__ import annotations

import gettext
import io
import os
import subprocess
import sys
from pathlib import Path

import catalogues
import pytest
from technician import Technician

from agent.console.api import Api
from agent.console.commands import table
from agent.console.context import Context
from agent.console.shell import Shell
from agent.console.style import Style
from agent.console.texts import Texts, languages

NEEDED = {"es", "fr", "el"}


def test_there_are_the_languages_that_are_needed() -> None:
    assert {path.parent.parent.name for path in catalogues.paths()} >= NEEDED
    assert set(languages()) >= NEEDED | {"en"}
    assert languages()[0] == "en"


@pytest.mark.parametrize("path", catalogues.paths(), ids=lambda path: path.parent.parent.name)
def test_a_catalogue_is_whole(path: Path) -> None:
    """Missing, doubtful, or with other values: 'make texts' lists them, and says what to do."""
    assert catalogues.wrong(path, catalogues.messages()) == []


@pytest.mark.parametrize("path", catalogues.paths(), ids=lambda path: path.parent.parent.name)
def test_what_is_compiled_is_what_is_written(path: Path) -> None:
    entries, _ = catalogues.read_po(path.read_text(encoding="utf-8"))
    compiled = path.with_suffix(".mo").read_bytes()
    assert compiled == catalogues.mo(entries), "run 'make texts'"
    read = gettext.GNUTranslations(io.BytesIO(compiled))
    for text, translated in entries.items():
        if text and translated:
            assert read.gettext(text) == translated


@pytest.mark.parametrize("path", catalogues.paths(), ids=lambda path: path.parent.parent.name)
def test_no_translation_holds_what_a_terminal_would_obey(path: Path) -> None:
    entries, _ = catalogues.read_po(path.read_text(encoding="utf-8"))
    assert all(c.isprintable() for text, value in entries.items() if text for c in value)


def test_the_tool_finds_what_is_wrong(tmp_path: Path) -> None:
    path = tmp_path / "xx" / "LC_MESSAGES" / "evse-agent.po"
    path.parent.mkdir(parents=True)
    path.write_text(
        'msgid ""\nmsgstr "Language: xx\\n"\n\n'
        'msgid "good {a}"\nmsgstr "gut {a}"\n\n'
        'msgid "other {a}"\nmsgstr "anders {b}"\n\n'
        '#, fuzzy\nmsgid "guessed"\nmsgstr "geraten"\n\n'
        'msgid "empty"\nmsgstr ""\n\n'
        'msgid "gone"\nmsgstr "weg"\n\n'
        '#~ msgid "older"\n'
    )
    wrong = catalogues.wrong(path, ["good {a}", "other {a}", "guessed", "empty"])
    said = "\n".join(wrong)
    assert "'good {a}'" not in said
    assert "values differ from the English ones: 'other {a}'" in said
    assert "doubtful: 'guessed'" in said
    assert "not translated: 'empty'" in said
    assert "used nowhere: 'gone'" in said
    assert "doubtful: '#~" in said


@pytest.mark.parametrize("text", ["a", 'with "quotes"', "two\nlines", "back\\slash", "tab\t", "Ωμέγα"])
def test_texts_come_through_a_catalogue_unharmed(text: str) -> None:
    written = catalogues.po("xx", {text: "x.py"}, {text: text + "!"})
    entries, doubtful = catalogues.read_po(written)
    assert (entries[text], doubtful) == (text + "!", [])
    assert gettext.GNUTranslations(io.BytesIO(catalogues.mo(entries))).gettext(text) == text + "!"


def test_texts_of_commands_reasons_and_remedies_are_all_found() -> None:
    there = catalogues.messages()
    for one in table().commands.values():
        assert one.summary in there
        for each in (*one.arguments, *one.flags):
            assert each.help in there
    for text in (
        "all together may draw {limit} A, no vehicle charges below 6 A",
        "Switch off the supply and replace the contactor. Then clear the fault.",
        "the plug is not locked yet",
        "contactor welded",
    ):
        assert text in there


# ---- in a session ----


def shell(texts: Texts, bench: object) -> Shell:
    return Shell(table(), Api(bench.path), texts, out=io.StringIO())  # type: ignore[attr-defined]


def test_greek_on_a_terminal_without_unicode_is_english_and_says_so(bench: object) -> None:
    one = shell(Texts("el"), bench)
    assert one.context.style.unicode is False
    assert one.context.texts.language == "en"
    said: list[str] = []
    one.context.say = said.append
    assert one.do("language el") == 0
    assert one.context.texts.language == "en"


def test_spanish_goes_without_accents_on_such_a_terminal(bench: object) -> None:
    one = shell(Texts("es"), bench)
    assert one.context.texts.language == "es"
    assert one.context.style.text("¿Teléfono averiado? Año") == "Telefono averiado? Ano"


@pytest.mark.parametrize("given", ["yes", "YES", "sí", "si", " Si "])
def test_yes_is_understood_in_both_languages_and_without_accents(given: str) -> None:
    from agent.console.context import meant

    assert meant(given, Texts("es").text("yes"))
    assert not meant("no", Texts("es").text("yes"))
    assert not meant("", Texts("es").text("yes"))
    assert meant("ναι", Texts("el").text("yes"))
    assert not meant("όχι", Texts("el").text("yes")), "letters that a plain terminal lacks are not all the same"


def test_values_that_a_catalogue_garbles_are_shown_in_english() -> None:
    texts = Texts("es")
    assert texts.text("Report: {paths}", paths="{x} {0}") == "Informe: {x} {0}"
    assert texts.text("no such text {x}", x=1) == "no such text 1"


def test_a_reason_is_shown_with_its_values_in_the_language(bench: object) -> None:
    from agent.console.commands.state import told

    context = Context(Api(Path("/none")), Style(), Texts("fr"), print)
    reason = {
        "text": "all together may draw 4 A, no vehicle charges below 6 A",
        "template": "all together may draw {limit} A, no vehicle charges below 6 A",
        "values": {"limit": "4"},
    }
    assert told(context, reason) == "tous ensemble peuvent tirer 4 A, aucun véhicule ne charge sous 6 A"


@pytest.mark.process
@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("es", "no hay vehículo conectado"),
        ("fr", "aucun véhicule n'est connecté"),
        ("el", "δεν είναι συνδεδεμένο όχημα"),
    ],
)
def test_a_technician_reads_why_in_the_language(bench: object, language: str, words: str) -> None:
    bench.start()  # type: ignore[attr-defined]
    with Technician(["--socket", str(bench.path), "--language", language]) as technician:  # type: ignore[attr-defined]
        technician.wait("service> ")
        technician.do("why 1", words)


@pytest.mark.process
def test_greek_on_a_latin_terminal_is_told_at_the_start(bench: object) -> None:
    bench.start()  # type: ignore[attr-defined]
    done = subprocess.run(
        [sys.executable, "-m", "agent.console", "--socket", str(bench.path), "--language", "el", "--batch", "-"],  # type: ignore[attr-defined]
        input="why 1\n",
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "PYTHONIOENCODING": "ascii", "LANG": "C", "PYTHONUTF8": "0"},
    )
    assert "no vehicle is connected" in done.stdout
    assert "?" not in done.stdout.split("1.")[1]
