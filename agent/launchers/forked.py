"""Sessions whose wrapper is forked, not started: some milliseconds instead of sixty (agent.wrapper.starter).

The wrapper is asked for first, and waits; then its session is made, in which a shell holds the terminal for
as long as the wrapper lives and passes ^C on to it; then the wrapper is told that terminal, and begins.
Whatever dies on the way, the wrapper ends without having done anything, and the shell with it.
"""

from __future__ import annotations

import os
import secrets
import socket
import struct
import sys
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

import agent.wrap
from agent.launchers.base import LaunchError
from agent.launchers.calls import TIMEOUT_S, environment
from agent.launchers.control import ControlClient

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agent.launchers.calls import Answer

WRAPPER: Final = Path(agent.wrap.__file__).absolute()
PADDING: Final = " " * 1024
SESSION: Final = "aispool-starter"
MOST_BYTES: Final = 64
BEGIN_S: Final = 5.0
"""How long an interpreter may take to begin."""
_CREDENTIALS: Final = struct.Struct("3i")
_HOLDS: Final = (
    'exec 3< "/proc/$1/fd/$2" || exit; trap "" QUIT TSTP; again=1; trap "kill -INT $1; again=1" INT; '
    'while [ "$again" ]; do again=; read -r _ <&3; done'
)
"""What holds the terminal; it ends when the pipe does, and not by a signal that interrupts its reading."""


class NotReadyError(Exception):
    """No wrapper can be forked now: start one."""


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
        name = f"{SESSION}-{secrets.token_hex(8)}"
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(f"\0{name}")
        self._listener.listen()
        self._forks: socket.socket | None = None
        new_session = ["new-session", "-s", name[:-10], "--", *_serve(name)]
        try:
            self._control = ControlClient([*tmux, "-C", *new_session], cwd, environment())
        except LaunchError:
            self._listener.close()
            raise

    def close(self) -> None:
        """Let go of both; wrappers that were forked go on."""
        self._listener.close()
        if self._forks is not None:
            self._forks.close()
        self._control.close()

    @property
    def has_begun(self) -> bool:
        """Tell whether the process that forks has ever come."""
        return self._forks is not None

    def start_all(self, forks: Sequence[Fork]) -> list[Answer]:
        """Start wrappers, each in a session of its own; the answers are those of `tmux new-session`.

        Raises:
            NotReadyError: nobody forks, or no more; nothing was started.
            LaunchError: the tmux server does not answer; nobody knows which sessions it made.
        """
        with ExitStack() as connections:
            wrappers = [connections.enter_context(self._ask_for(fork)) for fork in forks]
            pairs = zip(forks, wrappers, strict=True)
            answers = self._control.ask([_new_session(fork, wrapper) for fork, wrapper in pairs])
            for wrapper, answer in zip(wrappers, answers, strict=True):
                if not answer.code:
                    wrapper.begin(answer.text)
        return answers

    def _ask_for(self, fork: Fork) -> _Waiting:
        if self._forks is None:
            self._forks = self._accept()
        ours, theirs = socket.socketpair()
        ours.settimeout(TIMEOUT_S)
        try:
            with theirs:
                socket.send_fds(self._forks, [b"!"], [theirs.fileno()])
            ours.sendall(os.fsencode(fork.attempt) + b"\n")
            pid, pipe = _line(ours).split()
            return _Waiting(ours, int(pid), int(pipe))
        except (OSError, ValueError) as error:
            ours.close()
            raise NotReadyError(str(error)) from error

    def _accept(self) -> socket.socket:
        """Wait for the process that was started for us; nobody else's connection is taken."""
        self._listener.settimeout(BEGIN_S)
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError as error:
                raise NotReadyError("nobody came to fork wrappers") from error
            peer = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
            if _CREDENTIALS.unpack(peer)[1] == os.getuid():
                connection.settimeout(TIMEOUT_S)
                return connection
            connection.close()  # abstract sockets have no mode: anyone may come


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A wrapper that waits for its terminal."""

    connection: socket.socket
    pid: int
    pipe: int

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Say no more: a wrapper that was not told to begin ends."""
        self.connection.close()

    def begin(self, terminal: str) -> None:
        with suppress(OSError):  # it was killed meanwhile: its attempt has not begun, and is launched again
            self.connection.sendall(terminal.encode() + b"\n")


def _serve(name: str) -> list[str]:
    return [sys.executable, "-I", "-S", str(WRAPPER), agent.wrap.SERVE, name, PADDING]


def _new_session(fork: Fork, wrapper: _Waiting) -> str:
    holds = f"sh -c '{_HOLDS}' aispool {wrapper.pid} {wrapper.pipe}"
    return f"new-session -d -P -F '#{{pane_tty}}' -s {fork.session} -- {holds}"


def _line(connection: socket.socket) -> str:
    text = b""
    while not text.endswith(b"\n"):
        piece = connection.recv(MOST_BYTES)
        if not piece:
            raise OSError("no wrapper was forked")
        text += piece
    return text.decode()
