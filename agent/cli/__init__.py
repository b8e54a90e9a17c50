"""The command line: `aispool` and `python -m agent`; the module of a command is imported on demand."""

from __future__ import annotations

from agent.cli.boundary import main

__all__ = ["main"]
