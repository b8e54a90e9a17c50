"""When names appear in a folder, seen from outside by inotify(7)."""

from __future__ import annotations

import ctypes
import os
import select
import struct
import time
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from pathlib import Path

IN_MOVED_TO, IN_CREATE, IN_Q_OVERFLOW = 0x80, 0x100, 0x4000
HEADER = struct.Struct("iIII")
_libc = ctypes.CDLL(None, use_errno=True)


class Arrivals:
    """The names that come into one folder from now on, dotfiles left out."""

    def __init__(self, folder: Path) -> None:
        self._fd = _libc.inotify_init1(os.O_CLOEXEC)
        if (
            self._fd < 0
            or _libc.inotify_add_watch(self._fd, os.fsencode(folder), IN_MOVED_TO | IN_CREATE) < 0
        ):
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), str(folder))
        self.seen: dict[str, float] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)

    def wait(self, name: str, limit_s: float) -> float:
        """Return when a name was seen, on the monotonic clock."""
        self._until(lambda: name in self.seen, limit_s, name)
        return self.seen[name]

    def count(self, number: int, limit_s: float) -> float:
        """Return when so many had been seen."""
        self._until(lambda: len(self.seen) >= number, limit_s, f"{number} names")
        return sorted(self.seen.values())[number - 1] if number else time.monotonic()

    def _until(self, there: object, limit_s: float, what: str) -> None:
        assert callable(there)
        deadline_s = time.monotonic() + limit_s
        while not there():
            ready, _, _ = select.select([self._fd], [], [], max(deadline_s - time.monotonic(), 0))
            if not ready:
                raise TimeoutError(f"after {limit_s:g} s: {what}; {len(self.seen)} were seen")
            self._take(os.read(self._fd, 1 << 20))

    def _take(self, raw: bytes) -> None:
        now_s, at = time.monotonic(), 0
        while at < len(raw):
            _, mask, _, length = HEADER.unpack_from(raw, at)
            if mask & IN_Q_OVERFLOW:
                raise OverflowError("inotify lost events: the figure would be wrong")
            name = os.fsdecode(raw[at + HEADER.size : at + HEADER.size + length].rstrip(b"\0"))
            if not name.startswith("."):
                self.seen.setdefault(name, now_s)
            at += HEADER.size + length
