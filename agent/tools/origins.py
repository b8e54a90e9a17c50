"""Where a tool and each of its commands is defined: built in, in configs/tools.toml, or in both."""

from __future__ import annotations

import tomllib
from importlib import resources
from typing import TYPE_CHECKING, Any, Final

from agent.config import read_toml

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

BUILT_IN: Final = "built in"


def of_tool(configs: Path, tool: str) -> str:
    """Return where a tool comes from."""
    ours, theirs = _both(configs)
    return _origin(
        tool in _table(ours, "tools"), ["tools", tool] if tool in _table(theirs, "tools") else None
    )


def of_command(configs: Path, tool: str, command: str) -> str:
    """Return where one of a tool's commands comes from, with the table to change."""
    ours, theirs = _both(configs)
    built_in = command in _table(ours, "commands") or command in _table(ours, "tools", tool, "commands")
    if command in _table(theirs, "tools", tool, "commands"):
        return _origin(built_in, ["tools", tool, "commands", command])
    return _origin(built_in, ["commands", command] if command in _table(theirs, "commands") else None)


def _origin(built_in: bool, table: list[str] | None) -> str:  # noqa: FBT001 - private
    if table is None:
        return BUILT_IN
    place = f"[{'.'.join(table)}] of configs/tools.toml"
    return f"{BUILT_IN}, changed by {place}" if built_in else place


def _both(configs: Path) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    built_in = resources.files("agent.tools").joinpath("builtin.toml").read_text("utf-8")
    return tomllib.loads(built_in), read_toml(configs / "tools.toml")


def _table(document: Mapping[str, Any], *names: str) -> Mapping[str, Any]:
    found: Any = document
    for name in names:
        found = found.get(name, {}) if isinstance(found, dict) else {}
    return found if isinstance(found, dict) else {}
