"""Launchers: where a task's wrapper runs, in a terminal that a person can attach to or in none.

    launcher = LAUNCHERS["tmux"](workspace)
    launcher.start(task_id, argv, cwd=workspace)

A new launcher is a class that satisfies `Launcher` and an entry in LAUNCHERS; the contract suite in
tests/launchers runs over all of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from agent.launchers.base import (
    Launcher,
    LauncherFactory,
    LaunchError,
    NeverStartsError,
    SessionExists,
    Start,
)
from agent.launchers.process import ProcessLauncher
from agent.launchers.screen import ScreenLauncher
from agent.launchers.slurm import SlurmLauncher
from agent.launchers.tmux import TmuxLauncher, socket_path

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = [
    "LAUNCHERS",
    "LaunchError",
    "Launcher",
    "LauncherFactory",
    "NeverStartsError",
    "SessionExists",
    "Start",
    "socket_path",
]


def _screen(workspace: Path, conf: Path | None = None) -> Launcher:
    """GNU screen cannot read a tmux.conf and brings its own."""
    del conf
    return ScreenLauncher(workspace)


def _process(workspace: Path, conf: Path | None = None) -> Launcher:
    """A process has no terminal for a tmux.conf."""
    del conf
    return ProcessLauncher(workspace)


def _slurm(workspace: Path, conf: Path | None = None) -> Launcher:
    """The job reads the workspace's own tmux.conf on its node."""
    del conf
    return SlurmLauncher(workspace)


LAUNCHERS: Final[Mapping[str, LauncherFactory]] = {
    TmuxLauncher.name: TmuxLauncher,
    ScreenLauncher.name: _screen,
    ProcessLauncher.name: _process,
    SlurmLauncher.name: _slurm,
}
