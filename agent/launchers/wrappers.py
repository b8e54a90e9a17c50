"""The process that forks wrappers, as its owner sees it (agent.wrapper.starter is the other side)."""

from __future__ import annotations

import os
import secrets
import socket
import struct
import sys
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

import agent.wrap
from agent.launchers.calls import TIMEOUT_S

WRAPPER: Final = Path(agent.wrap.__file__).absolute()
PADDING: Final = " " * 1024
MOST_BYTES: Final = 64
BEGIN_S: Final = 5.0
"""How long an interpreter may take to begin."""
_CREDENTIALS: Final = struct.Struct("3i")


class NotReadyError(Exception):
    """No wrapper can be forked now: start one."""


class Forks:
    """Where one such process connects to, and what is asked of it; it ends when this is closed.

    Args:
        name: of the abstract socket, and for the process list; random letters are added.
    """

    def __init__(self, name: str) -> None:
        self._name = f"{name}-{secrets.token_hex(8)}"
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(f"\0{self._name}")
        self._listener.listen()
        self._connection: socket.socket | None = None
        self._ahead: socket.socket | None = None

    @property
    def argv(self) -> list[str]:
        """Return the words that start the process."""
        return [sys.executable, "-I", "-S", str(WRAPPER), agent.wrap.SERVE, self._name, PADDING]

    @property
    def session(self) -> str:
        """Return a name for a session in which it runs."""
        return self._name[:-10]

    @property
    def has_begun(self) -> bool:
        """Tell whether the process has ever come."""
        return self._connection is not None

    def close(self) -> None:
        """Let go of it; wrappers that were told to begin go on."""
        for end in (self._listener, self._connection, self._ahead):
            if end is not None:
                end.close()

    def ask_for(self, *attempts: Path) -> list[Waiting]:
        """Have a wrapper forked for each attempt; they wait to be told to begin.

        Raises:
            NotReadyError: nobody forks, or no more; those that were forked end.
        """
        with ExitStack() as asked:
            connections = [asked.enter_context(self._ask(attempt)) for attempt in attempts]
            try:
                waiting = [Waiting(connection, *_numbers(connection)) for connection in connections]
            except (OSError, ValueError) as error:
                raise NotReadyError(str(error)) from error
            asked.pop_all()
        with suppress(NotReadyError):  # the next one who asks hears of it
            self._ahead = self._fork()
        return waiting

    def _ask(self, attempt: Path) -> socket.socket:
        """Give an attempt to the wrapper that was forked ahead, else to a new one."""
        connection, self._ahead = self._ahead or self._fork(), None
        try:
            connection.sendall(os.fsencode(attempt) + b"\n")
        except OSError as error:
            connection.close()
            raise NotReadyError(str(error)) from error
        return connection

    def _fork(self) -> socket.socket:
        """Have a wrapper forked; what it is for is told later."""
        if self._connection is None:
            self._connection = self._accept()
        ours, theirs = socket.socketpair()
        ours.settimeout(TIMEOUT_S)
        try:
            with theirs:
                socket.send_fds(self._connection, [b"!"], [theirs.fileno()])
        except OSError as error:
            ours.close()
            raise NotReadyError(str(error)) from error
        return ours

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
class Waiting:
    """A wrapper that waits for its terminal.

    Args:
        pipe: the number in the wrapper of a descriptor that ends when it does.
    """

    connection: socket.socket
    pid: int
    pipe: int

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Say no more: a wrapper that was not told to begin ends."""
        self.connection.close()

    def begin(self, terminal: str) -> None:
        """Tell it to begin, with a terminal or a file as its standard streams; "" is the null device."""
        with suppress(OSError):  # it was killed meanwhile: its attempt has not begun, and is launched again
            self.connection.sendall(os.fsencode(terminal) + b"\n")


def _numbers(connection: socket.socket) -> tuple[int, int]:
    """Read what a wrapper says first: its pid, and the number of its pipe."""
    text = b""
    while not text.endswith(b"\n"):
        piece = connection.recv(MOST_BYTES)
        if not piece:
            raise OSError("no wrapper was forked")
        text += piece
    pid, pipe = text.split()
    return int(pid), int(pipe)
