"""A program on a terminal of its own, as part of an event loop: what it prints comes as text, keys go to it.

setsid(1) makes the terminal the controlling one of the program, so that it hears when its size changes.
"""

from __future__ import annotations

import asyncio
import codecs
import fcntl
import os
import struct
import subprocess
import termios
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from agent.launchers.calls import environment

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

PIECE_BYTES: Final = 1 << 14
REST_S: Final = 0.02
"""Between two pieces: a flood is drawn at some 800 kB a second, and the program waits for us meanwhile."""
MOST_KEYS: Final = 1 << 16


class Pane:
    """One running program.

    Args:
        argv: what runs.
        columns: of the terminal.
        rows: of it.
        on_text: called with what it prints.
        on_end: called once, with its exit status.

    Raises:
        OSError: it cannot be started.
    """

    def __init__(
        self,
        argv: Sequence[str],
        columns: int,
        rows: int,
        on_text: Callable[[str], None],
        on_end: Callable[[int], None],
    ) -> None:
        self._on_text = on_text
        self._on_end = on_end
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._loop = asyncio.get_running_loop()
        self._terminal, theirs = os.openpty()
        self._is_open = True
        self._keys = b""
        try:
            os.set_blocking(self._terminal, False)
            self.resize(columns, rows)
            self._process = subprocess.Popen(
                ["setsid", "--ctty", "--wait", *argv],
                stdin=theirs,
                stdout=theirs,
                stderr=theirs,
                env=environment(TERM="xterm-256color", COLORTERM="truecolor"),
            )
        except OSError:
            os.close(self._terminal)
            raise
        finally:
            os.close(theirs)
        self._loop.add_reader(self._terminal, self._read)

    def resize(self, columns: int, rows: int) -> None:
        """Make the terminal this large."""
        if self._is_open:
            size = struct.pack("HHHH", max(1, min(rows, 500)), max(1, min(columns, 1000)), 0, 0)
            fcntl.ioctl(self._terminal, termios.TIOCSWINSZ, size)

    def type(self, keys: str) -> None:
        """Send keys to the program; it gets them as fast as it reads."""
        if not self._is_open or len(self._keys) + len(keys) > MOST_KEYS:
            return
        self._keys += keys.encode(errors="replace")
        self._write()

    def close(self) -> None:
        """End the program and forget it."""
        if not self._is_open:
            return
        self._is_open = False
        self._loop.remove_reader(self._terminal)
        self._loop.remove_writer(self._terminal)
        os.close(self._terminal)  # a hang-up for whoever has it
        with suppress(ProcessLookupError):
            self._process.terminate()
        self._loop.run_in_executor(None, self._process.wait)

    def _write(self) -> None:
        try:
            sent = os.write(self._terminal, self._keys)
        except BlockingIOError:
            sent = 0
        except OSError:
            return  # it has ended; the reader finds out
        self._keys = self._keys[sent:]
        if self._keys:
            self._loop.add_writer(self._terminal, self._write)
        else:
            self._loop.remove_writer(self._terminal)

    def _read(self) -> None:
        try:
            piece = os.read(self._terminal, PIECE_BYTES)
        except BlockingIOError:
            return
        except OSError:  # EIO: nobody has the other side any more (pty(7))
            piece = b""
        if not piece:
            self._ended()
            return
        self._on_text(self._decoder.decode(piece))
        self._loop.remove_reader(self._terminal)
        self._loop.call_later(REST_S, self._go_on)

    def _go_on(self) -> None:
        if self._is_open:
            self._loop.add_reader(self._terminal, self._read)

    def _ended(self) -> None:
        self._is_open = False
        self._loop.remove_reader(self._terminal)
        self._loop.remove_writer(self._terminal)
        os.close(self._terminal)
        waiting = self._loop.run_in_executor(None, self._process.wait)
        waiting.add_done_callback(lambda done: self._on_end(done.result()))
