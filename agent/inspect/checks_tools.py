"""Checks of the tools: is each installed where the agent looks, which is not where a login shell looks."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from agent.inspect.agents import agents
from agent.inspect.finding import Finding, note, ok
from agent.tools.executable import service_path
from agent.tools.probe import login_path, probe
from agent.tools.registry import Registry

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from spool.workspace import Workspace

MOST_SHOWN: Final = 5
TIMEOUT_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class SearchPath:
    """A PATH, and whose it is."""

    owner: str
    path: str

    @property
    def folders(self) -> list[str]:
        """Return its folders."""
        return [folder for folder in self.path.split(os.pathsep) if folder]


def tools(workspace: Workspace) -> Iterator[Finding]:
    """Compare the agent's PATH with that of a login shell (nvm, virtual environments); probe every tool.

    A tool that is not installed is no problem until a task names it.
    """
    own = agents_path(workspace)
    login = login_path()
    yield compared(own, login)
    registry = Registry.load(workspace)
    for name in registry.names():
        found = probe(registry.tools[name], workspace, search_path=own.path, login=login)
        if found.ready:
            yield ok(f"tool {name}", str(found.executable))
        for trouble in found.problems:
            yield note(f"tool {name}", trouble.what, trouble.remedy)


def agents_path(workspace: Workspace) -> SearchPath:
    """Return the PATH of the agent that works here; else of the service that would, else our own."""
    for agent in agents(workspace):
        path = _path_of_process(agent.pid) if agent.alive and agent.pid else None
        if path:
            return SearchPath(f"the agent {agent.name}", path)
    path = _path_of_services()
    if path:
        return SearchPath("systemd's services", path)
    return SearchPath("this terminal", service_path())


def compared(own: SearchPath, login: Sequence[str] | None) -> Finding:
    """Say where a login shell finds programs and the agent does not."""
    if login is None:
        remedy = "try `$SHELL -lc 'echo $PATH'` without a terminal, and mend its profile"
        return note("PATH", "your login shell did not say its PATH", remedy)
    missing = [folder for folder in dict.fromkeys(login) if folder not in own.folders]
    if not missing:
        return ok("PATH", f"{own.owner}: programs are found as in your login shell")
    shown = ", ".join(missing[:MOST_SHOWN]) + (" …" if len(missing) > MOST_SHOWN else "")
    return note(
        "PATH",
        f"your login shell also looks in {shown}; {own.owner} does not",
        "for a tool that lies there, set tools.NAME.path in configs/tools.toml",
    )


def _path_of_process(pid: int) -> str | None:
    try:
        environment = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return None  # another user's, or on another host
    return next((os.fsdecode(entry[5:]) for entry in environment if entry.startswith(b"PATH=")), None)


def _path_of_services() -> str | None:
    systemctl = shutil.which("systemctl")
    if systemctl is None:
        return None
    try:
        done = subprocess.run(
            [systemctl, "--user", "show-environment"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    lines = done.stdout.decode(errors="replace").splitlines()
    return next((line[5:] for line in lines if line.startswith("PATH=")), None)
