"""Sessions whose wrapper is forked, not started: some milliseconds instead of sixty (agent.wrapper.starter).

The wrapper is asked for first, and waits; then its session is made, in which a shell holds the terminal for
as long as the wrapper lives and passes ^C on to it; then the wrapper is told that terminal, and begins.
Whatever dies on the way, the wrapper ends without having done anything, and the shell with it.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from agent.launchers.base import LaunchError
from agent.launchers.calls import environment
from agent.launchers.control import ControlClient
from agent.launchers.wrappers import Forks

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from agent.launchers.calls import Answer
    from agent.launchers.wrappers import Waiting

SESSION: Final = "aispool-starter"
_HOLDS: Final = (
    'exec 3< "/proc/$1/fd/$2" || exit; trap "" QUIT TSTP; again=1; trap "kill -INT $1; again=1" INT; '
    'while [ "$again" ]; do again=; read -r _ <&3; done'
)
"""What holds the terminal; it ends when the pipe does, and not by a signal that interrupts its reading."""


@dataclass(frozen=True, slots=True)
class Fork:
    """A session that is wanted: its name, and the folder of its attempt."""

    session: str
    attempt: Path


class Starter:
    """The process that forks wrappers, and the tmux client through which their sessions are made.

    Args:
        tmux: the words that reach the workspace's server, with those that start it.
        cwd: where sessions begin.
    """

    def __init__(self, tmux: Sequence[str], cwd: Path) -> None:
        self._forks = Forks(SESSION)
        new_session = ["new-session", "-s", self._forks.session, "--", *self._forks.argv]
        try:
            self._control = ControlClient([*tmux, "-C", *new_session], cwd, environment())
        except LaunchError:
            self._forks.close()
            raise

    def close(self) -> None:
        """Let go of both; wrappers that were forked go on."""
        self._forks.close()
        self._control.close()

    @property
    def has_begun(self) -> bool:
        """Tell whether the process that forks has ever come."""
        return self._forks.has_begun

    def start_all(self, forks: Sequence[Fork]) -> list[Answer]:
        """Start wrappers, each in a session of its own; the answers are those of `tmux new-session`.

        Raises:
            NotReadyError: nobody forks, or no more; nothing was started.
            LaunchError: the tmux server does not answer; nobody knows which sessions it made.
        """
        with ExitStack() as connections:
            wrappers = self._forks.ask_for(*(fork.attempt for fork in forks))
            for wrapper in wrappers:
                connections.enter_context(wrapper)
            pairs = zip(forks, wrappers, strict=True)
            answers = self._control.ask([_new_session(fork, wrapper) for fork, wrapper in pairs])
            for wrapper, answer in zip(wrappers, answers, strict=True):
                if not answer.code:
                    wrapper.begin(answer.text)
        return answers


def _new_session(fork: Fork, wrapper: Waiting) -> str:
    holds = f"/bin/sh -c '{_HOLDS}' aispool {wrapper.pid} {wrapper.pipe}"
    return f"new-session -d -P -F '#{{pane_tty}}' -s {fork.session} -- {holds}"
