"""What every launcher promises: a detached session per task that a person can attach to.

A launcher owns no state. The multiplexer's sessions are the only record, so any number of agents and
command lines may hold a launcher for the same workspace. Whether a task still runs is never asked here: the
wrapper's locks and its exit file say that (a session may die without its tool, and the other way round).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


class LaunchError(Exception):
    """A session could not be started or reached; the message says what, where and what to do."""


class SessionExists(LaunchError):  # noqa: N818 - a fact that the caller decides about, like FileExistsError
    """There is a session of this name already, left as it is."""


class Launcher(Protocol):
    """Starts one session per task, and finds it again by the task's id."""

    @property
    def name(self) -> str:
        """Its key in LAUNCHERS, and the value of a task's `launcher` field."""

    def available(self) -> str | None:
        """Say what to install, in a sentence; None when nothing is missing."""

    def session_name(self, task_id: str) -> str:
        """Name the session of a task; two ids never share one."""

    def start(self, task_id: str, argv: Sequence[str], cwd: Path) -> None:
        """Run `argv`, byte for byte and without a shell, in a new detached session of the task.

        Raises:
            SessionExists: the task has a session already.
            LaunchError: nothing was started.
        """

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

    def send_text(self, task_id: str, text: str, *, settle_s: float = 0) -> None:
        """Type `text` as it is, then Enter.

        Args:
            task_id: whose session.
            text: typed literally: no key names, no escapes.
            settle_s: pause before Enter; full-screen tools take text and Enter in one burst for a paste.

        Raises:
            LaunchError: the task has no session, or the multiplexer does not answer.
        """


class LauncherFactory(Protocol):
    """Makes the launcher of a workspace."""

    def __call__(self, workspace: Path, conf: Path | None = None) -> Launcher:
        """Make it; nothing is started or written yet.

        Args:
            workspace: its root, absolute.
            conf: the tmux.conf to use; by default the workspace's configs/tmux.conf where there is one.
        """
