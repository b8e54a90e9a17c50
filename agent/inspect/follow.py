"""Reading a log that grows and rotates: NAME becomes NAME.1 and NAME begins again.

The open file is read to its end before the new one is opened, so a rotation loses nothing. A file that
shrank was truncated in place, and is read again from its start.
"""

from __future__ import annotations

import os
import time
from collections import deque
from typing import TYPE_CHECKING, BinaryIO, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

PIECE_BYTES: Final = 1 << 16


class Follower:
    """Yields what is written into a log, from where it stands."""

    def __init__(self, path: Path, poll_s: float, offset: int = 0) -> None:
        self._path = path
        self._poll_s = poll_s
        self.offset = offset

    def pieces(self, until: Callable[[], bool]) -> Iterator[bytes]:
        """Yield bytes as they come; end when `until` was true before the last look found nothing."""
        file: BinaryIO | None = None
        try:
            while True:
                over = until()
                file = file or self._open()
                yield from self._rest(file)
                renewed = self._renewed(file)
                if renewed is not None:
                    yield from self._rest(file)
                    if file:
                        file.close()
                    file, self.offset = renewed, 0
                    continue
                if over:
                    return
                time.sleep(self._poll_s)
        finally:
            if file:
                file.close()

    def _open(self) -> BinaryIO | None:
        try:
            file = self._path.open("rb")
        except FileNotFoundError:
            return None
        file.seek(self.offset)
        return file

    def _rest(self, file: BinaryIO | None) -> Iterator[bytes]:
        if file is None:
            return
        if os.fstat(file.fileno()).st_size < file.tell():
            file.seek(0)
        while piece := file.read(PIECE_BYTES):
            yield piece

    def _renewed(self, file: BinaryIO | None) -> BinaryIO | None:
        """Return the new file of this name when there is one."""
        if file is None:
            return None
        try:
            new = self._path.open("rb")
        except FileNotFoundError:
            return None
        if os.path.sameopenfile(new.fileno(), file.fileno()):
            new.close()
            return None
        return new


def last_lines(files: Iterable[Path], count: int, follower: Follower | None = None) -> list[bytes]:
    """Return the last lines of several files read as one; a follower goes on where they end."""
    lines: deque[bytes] = deque(maxlen=count)
    at = 0
    for path in files:
        with path.open("rb") as file:
            for line in file:
                lines.append(line)
            at = file.tell()
    if follower is not None:
        follower.offset = at
    return list(lines)


def tail(path: Path, count: int, most_bytes: int = PIECE_BYTES) -> bytes:
    """Return the last lines of a file, reading no more than its last bytes."""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - most_bytes))
        return b"".join(file.read().splitlines(keepends=True)[-count:])
