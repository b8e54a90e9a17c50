"""Which version of a tool is installed: from its npm package, which costs nothing, or by asking the tool."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final

from agent.tools.executable import run_path, service_path
from spool.files import read_regular

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from agent.tools.definition import ToolDefinition
    from agent.tools.executable import Program

PATIENCE_S: Final = 10.0
AT_ONCE: Final = 4
_SAID_BYTES: Final = 1 << 16
_VERSION: Final = re.compile(r"(?<![\w.])v?(\d{1,6}(?:\.\d{1,9}){1,3}(?:[-+][0-9A-Za-z.-]{1,40})?)")


def packaged_version(program: Path) -> str | None:
    """Return the version of the npm package that a program belongs to; None when it belongs to none."""
    for folder in program.resolve().parents:
        if "node_modules" not in folder.parent.parts:
            return None
        try:
            package = json.loads(read_regular(folder / "package.json", 1 << 20))
        except (OSError, ValueError):
            continue  # not the package's top folder
        # a folder inside may have a package.json that only says how its modules are written
        if isinstance(package, dict) and "bin" in package and isinstance(package.get("version"), str):
            return str(package["version"])[:60]
    return None


def asked_version(tool: ToolDefinition, program: Program, patience_s: float = PATIENCE_S) -> str | None:
    """Run a tool with --version and return what looks like one; None when it says none in time."""
    if program.source == "argv":
        return None  # a shell or the like: what it would make of the option is unknown
    env = {**os.environ, "PATH": run_path(tool, program, service_path())}
    # a file, not a pipe: what a tool leaves running would hold a pipe open
    with tempfile.TemporaryFile() as said, tempfile.TemporaryDirectory(prefix="aispool-version-") as folder:
        try:
            process = subprocess.Popen(
                [str(program.path), "--version"],
                cwd=folder,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except OSError:
            return None
        try:
            process.wait(patience_s)
        except subprocess.TimeoutExpired:
            return None
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        said.seek(0)
        found = _VERSION.search(said.read(_SAID_BYTES).decode(errors="replace"))
    return found[1] if found and process.returncode == 0 else None


def versions(tools: Iterable[tuple[ToolDefinition, Program | None]], *, ask: bool) -> dict[str, str]:
    """Return the versions that can be known, by tool.

    Args:
        tools: each with its program, where it is installed.
        ask: run those that belong to no npm package, several at once.
    """
    found: dict[str, str] = {}
    others: list[tuple[ToolDefinition, Program]] = []
    for tool, program in tools:
        if program is None:
            continue
        if version := packaged_version(program.path):
            found[tool.name] = version
        else:
            others.append((tool, program))
    if ask and others:
        with ThreadPoolExecutor(AT_ONCE) as pool:
            answers = pool.map(lambda pair: asked_version(*pair), others)
            found |= {tool.name: answer for (tool, _), answer in zip(others, answers, strict=True) if answer}
    return found
