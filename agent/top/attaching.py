"""Another program has the terminal for a while: `aispool attach`, as a person would run it.

It is a program of its own, so it needs nothing of ours, and whatever ends us can end it first.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from agent.top.rows import Row

LOOK_S: Final = 0.5
STDIN, STDERR = 0, 2


def words_for(root: Path, row: Row) -> list[str]:
    """Return the command that attaches to a task."""
    # -P: a folder named `agent` where we were started is not ours
    words = [sys.executable, "-P", "-m", "agent", "--workspace", str(root), "attach"]
    return [*words, *(("--host", row.host) if row.host else ()), "--", row.task_id]


class Guest:
    """The program that has our terminal."""

    def __init__(self) -> None:
        self._running: subprocess.Popen[bytes] | None = None
        self._ended = False

    def run(self, words: Sequence[str]) -> int:
        """Run it to its end and return its exit status; what it said about a failure stays until a key."""
        with _interrupts_are_its():
            self._running = subprocess.Popen(words)
            try:
                code = self._running.wait()
            finally:
                self._running = None
            if code and not self._ended:
                os.write(STDERR, b"\r\nEnter goes back to the list.\r\n")
                self._wait_for_enter()
        return code

    def end(self) -> None:
        """End it, from a signal handler: we are to end too."""
        self._ended = True
        if self._running is not None:
            self._running.terminate()

    def _wait_for_enter(self) -> None:
        while not self._ended:
            if select.select([STDIN], [], [], LOOK_S)[0]:
                os.read(STDIN, 4096)
                return


@contextmanager
def _interrupts_are_its() -> Iterator[None]:
    """Let C-c reach the other program alone; a handler, unlike SIG_IGN, is not inherited."""
    before = signal.signal(signal.SIGINT, lambda *_: None)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
