"""``python -m simulators`` is ``evse-sim``."""

import sys

from simulators.cli import main

sys.exit(main())
