"""`python -m agent` is `aispool`, where the command itself is not on PATH."""

from __future__ import annotations

import sys

from agent.cli import main

sys.exit(main())
