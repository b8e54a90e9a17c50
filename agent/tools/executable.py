"""Where a tool's program is: `path` of tools.toml, then the tool's virtual environment, then PATH."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from spool.refusal import Refusal

if TYPE_CHECKING:
    from collections.abc import Iterable

    from agent.tools.definition import ToolDefinition

Source = Literal["path", "virtual environment", "PATH", "argv"]


@dataclass(frozen=True, slots=True)
class Program:
    """A program that can be run, and how it was found."""

    path: Path
    source: Source


def service_path() -> str:
    """Return the PATH of this process."""
    return os.environ.get("PATH") or os.defpath


def virtual_env(tool: ToolDefinition) -> Path | None:
    """Return the tool's virtual environment, where it exists."""
    folder = Path(tool.virtual_env) if tool.virtual_env else None
    return folder if folder and (folder / "bin").is_dir() else None


def find_program(tool: ToolDefinition, search_path: str) -> Program | None:
    """Return the tool's program; None when it is not installed."""
    if tool.argv[0] != "$executable":
        literal = Path(str(tool.argv[0]))
        return Program(literal, "argv") if _runs(literal) else None
    if tool.path:
        return Program(Path(tool.path), "path") if _runs(Path(tool.path)) else None
    environment = virtual_env(tool)
    if environment and (found := _first(tool.executables, [str(environment / "bin")])):
        return Program(found, "virtual environment")
    found = _first(tool.executables, search_path.split(os.pathsep))
    return Program(found, "PATH") if found else None


def find_setup(tool: ToolDefinition, search_path: str) -> tuple[str, ...] | Refusal:
    """Return the tool's set-up command with its program's whole path; empty when there is none to run."""
    if not tool.setup:
        return ()
    name, *arguments = tool.setup
    found = _first((os.path.expanduser(name),), search_path.split(os.pathsep))  # noqa: PTH111 - or a bare name
    if found:
        return (str(found), *arguments)
    if tool.setup_optional:
        return ()
    return Refusal(
        f"{name}, which sets {tool.name} up, is not installed",
        "install it, or set setup_optional = true for this tool in configs/tools.toml",
    )


def not_installed(tool: ToolDefinition) -> Refusal:
    """Say that the tool is missing, and what to do about it."""
    if tool.argv[0] != "$executable":
        return Refusal(
            f"{tool.argv[0]} cannot be run", f"mend argv of tools.{tool.name} in configs/tools.toml"
        )
    if tool.path:
        return Refusal(
            f"{tool.path} is not a program that can be run",
            f"mend tools.{tool.name}.path in configs/tools.toml",
        )
    return Refusal(
        f"{tool.name} is not installed: no {' or '.join(tool.executables)} on the agent's PATH",
        f"install it, or set tools.{tool.name}.path in configs/tools.toml; see `aispool doctor`",
    )


def run_path(tool: ToolDefinition, program: Program, search_path: str) -> str:
    """Return the PATH that the tool runs with.

    The virtual environment comes first, and the program's own folder last: a program found by `path`
    often needs an interpreter that is installed beside it.
    """
    folders = search_path.split(os.pathsep)
    if environment := virtual_env(tool):
        folders.insert(0, str(environment / "bin"))
    if str(program.path.parent) not in folders:
        folders.append(str(program.path.parent))
    return os.pathsep.join(folders)


def find_on(names: Iterable[str], folders: Iterable[str]) -> Path | None:
    """Return the first of the programs that one of the folders holds, name by name."""
    return _first(tuple(names), list(folders))


def _first(names: tuple[str, ...], folders: list[str]) -> Path | None:
    for name in names:
        if name.startswith("/"):
            if _runs(Path(name)):
                return Path(name)
            continue
        for folder in folders:
            # a relative entry of PATH would find programs in whatever folder a task chose
            if folder.startswith("/") and _runs(Path(folder) / name):
                return Path(folder) / name
    return None


def _runs(path: Path) -> bool:
    return path.is_file() and os.access(path, os.X_OK)
