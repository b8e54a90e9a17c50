"""What every launcher promises: a detached session per task that a person can attach to.

A launcher owns no state. The multiplexer's sessions are the only record, so any number of agents and
command lines may hold a launcher for the same workspace. Whether a task still runs is never asked here: the
wrapper's locks and its exit file say that (a session may die without its tool, and the other way round).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from spool.task import Resources


class LaunchError(Exception):
    """A session could not be started or reached; the message says what, where and what to do."""


class SessionExists(LaunchError):  # noqa: N818 - a fact that the caller decides about, like FileExistsError
    """There is a session of this name already, left as it is.

    Args:
        is_same: it runs, or will run, the very command that was to be started.
    """

    def __init__(self, message: str, *, is_same: bool = False) -> None:
        super().__init__(message)
        self.is_same = is_same


class NeverStartsError(LaunchError):
    """Whoever lends the machine takes no such session, however often it is tried."""


@dataclass(frozen=True, slots=True)
class Start:
    """One session that is wanted.

    Args:
        argv: what runs in it, byte for byte and without a shell.
        time_s: after so long whoever lends the machine may end it.
        after: ids of tasks that must have succeeded; only a launcher with a queue of its own is given any.
        attempt: whose wrapper `argv` is, where it needs no terminal of its own: it may be forked instead.
    """

    task_id: str
    argv: tuple[str, ...]
    cwd: Path
    time_s: float | None = None
    resources: Resources | None = None
    after: tuple[str, ...] = ()
    attempt: Path | None = None


@dataclass(frozen=True, slots=True)
class Outlook:
    """How a session stands that somebody else starts when there is room.

    Args:
        may_run: it runs there, or may still begin.
        in_line: nothing of it runs now; one that had begun was put back.
        words: for a person.
        asked_s: when whoever says so was asked, in monotonic seconds; what happened since is not in it.
    """

    may_run: bool
    words: str
    in_line: bool = False
    asked_s: float = math.inf


class Launcher(Protocol):
    """Starts one session per task, and finds it again by the task's id."""

    @property
    def name(self) -> str:
        """Its key in LAUNCHERS, and the value of a task's `launcher` field."""

    def available(self) -> str | None:
        """Say what to install, in a sentence; None when nothing is missing."""

    def warm_up(self) -> None:
        """Make ready what makes the next starts quick; without it they are slower, and nothing else."""

    def session_name(self, task_id: str) -> str:
        """Name the session of a task; two ids never share one."""

    def start(self, task_id: str, argv: Sequence[str], cwd: Path) -> None:
        """Run `argv`, byte for byte and without a shell, in a new detached session of the task.

        Raises:
            SessionExists: the task has a session already.
            LaunchError: nothing was started.
        """

    def start_all(self, starts: Sequence[Start]) -> dict[str, LaunchError]:
        """Start several sessions in as few calls as can be; the answer has the ids of those that failed."""

    def outlook(self, task_id: str) -> Outlook | None:
        """Say how a session stands that was asked for; None where `start` returns when it runs."""

    def refusal(self, resources: Resources, time_s: float) -> str | None:
        """Say why there can never be room for this; None when there may be, or nobody limits it."""

    def attach_command(self, task_id: str) -> list[str]:
        """Give the exact words that attach a person's terminal to the task's session."""

    def sessions(self) -> set[str]:
        """List the names of all sessions of this workspace.

        Raises:
            LaunchError: the multiplexer does not answer.
        """

    def exists(self, task_id: str) -> bool:
        """Say whether the task has a session.

        Raises:
            LaunchError: the multiplexer does not answer.
        """

    def end(self, task_id: str) -> None:
        """End the task's session if there is one; a tool that ignores SIGHUP outlives it.

        Raises:
            LaunchError: the multiplexer does not answer.
        """


class Immediate:
    """What launchers share whose `start` returns when the session runs, on this machine."""

    def warm_up(self) -> None:
        """Make nothing ready: each session is started by itself."""

    def start_all(self: Launcher, starts: Sequence[Start]) -> dict[str, LaunchError]:
        """Start them one by one."""
        errors = {}
        for start in starts:
            try:
                self.start(start.task_id, start.argv, start.cwd)
            except LaunchError as error:
                errors[start.task_id] = error
        return errors

    def outlook(self, task_id: str) -> Outlook | None:
        """Say nothing: what was started runs."""
        del task_id
        return None

    def refusal(self, resources: Resources, time_s: float) -> str | None:
        """Refuse nothing: there is this machine only."""
        del resources, time_s
        return None


class LauncherFactory(Protocol):
    """Makes the launcher of a workspace."""

    def __call__(self, workspace: Path, conf: Path | None = None) -> Launcher:
        """Make it; nothing is started or written yet.

        Args:
            workspace: its root, absolute.
            conf: the tmux.conf to use; by default the workspace's configs/tmux.conf where there is one.
        """
