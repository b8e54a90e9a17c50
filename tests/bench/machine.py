"""On what it was measured: every table of figures names it."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from spool.locks import file_system_of

ROOT = Path(__file__).resolve().parents[2]


def in_words() -> str:
    """Return cores, kernel and Python on one line."""
    return f"{os.cpu_count()} cores, {platform.platform()}, Python {platform.python_version()}"


def describe(folder: Path) -> dict[str, Any]:
    """Return what is needed to judge figures: the machine, its disk, its programs, the date, the commit.

    Args:
        folder: where the workspaces lie.
    """
    return {
        "machine": in_words(),
        "cpu": _first(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text()),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / (1 << 30), 1),
        "file_system": file_system_of(folder),
        "programs": {
            "tmux": _said("tmux", "-V").removeprefix("tmux "),
            "task-spooler": _package("task-spooler"),
            "nq": _package("nq"),
            "parallel": _package("parallel"),
        },
        "date": datetime.now(UTC).date().isoformat(),
        "commit": _said(
            "git", "-C", str(ROOT), "describe", "--always", "--dirty=+", "--abbrev=7", "--match="
        ),
        "load": [round(load, 1) for load in os.getloadavg()],
    }


def _package(name: str) -> str:
    return _said("dpkg-query", "--show", "--showformat=${Version}", name)


def _said(*command: str) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return "not installed"
    return done.stdout.strip() or "unknown"


def _first(pattern: str, text: str) -> str:
    found = re.search(pattern, text, re.MULTILINE)
    return found[1].strip() if found else "unknown"
