"""The log of one task, read in a thread: its end first, then what is added."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from agent.service import logs
from agent.service.places import Desk
from agent.top.feed import READING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from agent.top.rows import Row

MOST_BYTES: Final = 1 << 17
"""How much of the end of a log is shown at first, and read at once."""
MOST_FULL: Final = 3
LOOK_S: Final = 0.3
SETTLE_S: Final = 0.1
"""Who holds down an arrow key passes many tasks, and wants the log of the last."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Some of a log.

    Args:
        serial: which call of `follow` it answers.
        begins: whether it is the first one.
        note: what to say when there is nothing to show.
        content: None for nothing yet; empty when nothing will follow.
    """

    serial: int
    begins: bool
    note: str = ""
    content: bytes | None = None


class Tail:
    """Follows one log at a time.

    Args:
        root: of the workspace.
        tell: called in a thread of ours when there is something to take.
    """

    def __init__(self, root: Path, tell: Callable[[], None]) -> None:
        self.failure: Exception | None = None
        self._root = root
        self._tell = tell
        self._changed = threading.Condition()
        self._serial = 0
        self._row: Row | None = None
        self._pieces: list[Piece] = []
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name="tail", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Read no more; a read that hangs is left to itself."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        if self._thread.is_alive():
            self._thread.join(1.0)

    def follow(self, row: Row | None) -> int:
        """Follow the log of this task from now on; return what its pieces bear."""
        with self._changed:
            self._serial += 1
            self._row = row
            self._pieces.clear()
            self._changed.notify_all()
            return self._serial

    def take(self) -> list[Piece]:
        """Return what was read since."""
        with self._changed:
            pieces, self._pieces = self._pieces, []
            self._changed.notify_all()
            return pieces

    def _run(self) -> None:
        try:
            serial = 0
            while not self._stopped:
                row, serial = self._next(serial)
                if row is not None:
                    self._follow(row, serial)
        except Exception as error:  # noqa: BLE001 - a bug: the app ends with it, in its own thread
            self.failure = error
            self._tell()

    def _next(self, serial: int) -> tuple[Row | None, int]:
        """Wait for another task; return the last of several that come one after the other."""
        with self._changed:
            self._changed.wait_for(partial(self._unwanted, serial))
            latest = self._serial
            while self._changed.wait_for(partial(self._unwanted, latest), SETTLE_S) and not self._stopped:
                latest = self._serial
            return (None if self._stopped else self._row), latest

    def _follow(self, row: Row, serial: int) -> None:
        """Follow one log until it is over or another one is wanted."""
        begins = True
        while True:
            try:
                self._read(row, serial, begins=begins)
            except READING as error:
                self._put(Piece(serial, begins=True, note=str(error)))
                if self._over(serial, 1.0):
                    return
                begins = True
            else:
                return

    def _read(self, row: Row, serial: int, *, begins: bool) -> None:
        source = logs.log(Desk(self._root), row.task_id, row.host or "here")
        offset, over, full = source.end(MOST_BYTES), False, 0
        note = "it printed nothing" if row.is_over else "it has printed nothing yet"
        self._put(Piece(serial, begins, note))
        while not over:
            content, offset, over = source.read(offset, MOST_BYTES)
            full = full + 1 if len(content) == MOST_BYTES else 0
            if content and not self._put(Piece(serial, begins=False, content=content)):
                return
            if full == MOST_FULL:
                # faster than anybody reads: go on with what is newest
                offset, full = source.end(MOST_BYTES), 0
                self._put(Piece(serial, begins=True))
            if not over and self._over(serial, LOOK_S):
                return
        self._put(Piece(serial, begins=False, content=b""))

    def _put(self, piece: Piece) -> bool:
        """Hand a piece over when the one before was taken; False when nobody wants it any more."""
        with self._changed:
            self._changed.wait_for(lambda: not self._pieces or self._unwanted(piece.serial))
            if self._unwanted(piece.serial):
                return False
            self._pieces.append(piece)
        self._tell()
        return True

    def _over(self, serial: int, wait_s: float) -> bool:
        with self._changed:
            return self._changed.wait_for(lambda: self._unwanted(serial), wait_s)

    def _unwanted(self, serial: int) -> bool:
        return self._stopped or self._serial != serial
