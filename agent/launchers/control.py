"""One tmux client in control mode, kept open: a command costs half of what a client of its own does.

Borrowed from tmux 3.3a (tmux(1), CONTROL MODE): every answer stands between `%begin` and `%end` or `%error`
lines with the same three numbers; other lines that begin with `%` are news, and never stand inside.

A client whose owner was killed ends when its input does, but only after its news were written, and tmux tries
that for ever where nobody can read them: client and server would stay. So the client itself holds the other
end of its output open, and the news go into that pipe.
"""

from __future__ import annotations

import os
import selectors
import subprocess
import time
from typing import TYPE_CHECKING, Final

from agent.launchers.base import LaunchError
from agent.launchers.calls import TIMEOUT_S, Answer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

CHUNK_BYTES: Final = 1 << 16


class ControlClient:
    """A tmux client that takes commands, one a line, until it is closed or its server ends.

    Args:
        argv: tmux with `-C` and the command that opens it.
        cwd: where sessions that it makes begin.
        env: its whole environment.

    Raises:
        LaunchError: tmux refused the first command, or did not answer it.
    """

    def __init__(self, argv: Sequence[str], cwd: Path, env: Mapping[str, str]) -> None:
        self._answers, said = os.pipe()
        try:
            self._process = subprocess.Popen(
                argv,
                cwd=cwd,
                env=env,
                stdin=subprocess.PIPE,
                stdout=said,
                stderr=subprocess.DEVNULL,
                bufsize=0,
                start_new_session=True,
                pass_fds=(self._answers,),
            )
        except OSError as error:
            os.close(self._answers)
            raise LaunchError(f"cannot start {argv[0]} in {cwd}: {error.strerror}") from error
        finally:
            os.close(said)
        assert self._process.stdin is not None
        self._commands = self._process.stdin.fileno()
        os.set_blocking(self._answers, False)
        self._unread = b""
        try:
            opened = self._answer(time.monotonic() + TIMEOUT_S)
        except LaunchError:
            self.close()
            raise
        if opened.code:
            self.close()
            raise LaunchError(f"tmux refused to be controlled: {opened.said}")

    def ask(self, commands: Sequence[str]) -> list[Answer]:
        """Have commands done, in this order, and return their answers.

        Args:
            commands: without line breaks; quoted as tmux reads them.

        Raises:
            LaunchError: the client or its server is gone, or does not answer.
        """
        try:
            os.write(self._commands, "".join(f"{command}\n" for command in commands).encode())
        except OSError as error:
            raise LaunchError(f"tmux takes no commands any more: {error.strerror}") from error
        deadline_s = time.monotonic() + TIMEOUT_S
        return [self._answer(deadline_s) for _ in commands]

    def close(self) -> None:
        """End the client; its server and its sessions stay."""
        assert self._process.stdin is not None
        self._process.terminate()
        self._process.stdin.close()
        os.close(self._answers)
        try:
            self._process.wait(TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _answer(self, deadline_s: float) -> Answer:
        while not self._line(deadline_s).startswith(b"%begin "):
            pass
        said: list[bytes] = []
        while not (line := self._line(deadline_s)).startswith((b"%end ", b"%error ")):
            said.append(line)
        text = b"\n".join(said).decode(errors="replace")
        return Answer(0, text, "") if line.startswith(b"%end ") else Answer(1, "", text)

    def _line(self, deadline_s: float) -> bytes:
        while b"\n" not in self._unread:
            self._read_more(deadline_s)
        line, _, self._unread = self._unread.partition(b"\n")
        if line.startswith(b"%exit"):
            raise LaunchError("the tmux server ended, or sent its control client away")
        return line

    def _read_more(self, deadline_s: float) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self._answers, selectors.EVENT_READ)
            if not selector.select(max(deadline_s - time.monotonic(), 0.0)):
                raise LaunchError(f"tmux did not answer within {TIMEOUT_S:g} s; look for a stopped server")
        piece = os.read(self._answers, CHUNK_BYTES)
        if not piece:
            raise LaunchError("the tmux server is gone")
        self._unread += piece
