"""Logs of a host, collected as they grow: no byte twice, none lost without saying so.

On a host NAME.log grows, becomes NAME.log.1 at its cap, and begins anew; each such file is a generation. Here
logs/NAME.log goes on through all generations. How far the current one was collected is not written down: it
is the length of our file, less where the generation begins in it, so that a collector killed in the middle of
an append goes on at that very byte. A rotation shows in the size and time of NAME.log.1; what we have of a
generation must be the beginning of what the host has, or nothing is appended.
"""

from __future__ import annotations

import hashlib
import os
from itertools import count
from typing import TYPE_CHECKING, Final

from pydantic import Field

from spool.files import FILE_MODE, fsync_folder, open_regular, put, write_all
from spool.records import Record

if TYPE_CHECKING:
    from pathlib import Path

    from agent.fleet.layout import Mirror

PIECE_BYTES: Final = 1 << 20
ROLL_BYTES: Final = 256 << 20
"""A collected log larger than this becomes NAME.1 at its next generation."""
PATIENCE: Final = 2
"""Rounds in which a log does not go on before it is taken for another: a rotation shows in the next one."""

Stamp = tuple[int, int]
"""A file's size, and the time of its last change in nanoseconds."""


class Progress(Record):
    """.logs/NAME.json: where the current generation begins in our file.

    Args:
        start: byte of our file at which it begins.
        rotated: the generation before it, as NAME.log.1 was when it ended.
        rotated_sha256: of its content, for its time alone may change.
        marker: our own line before `start`, which a kill may have cut off.
        doubts: rounds in which the host's file did not go on from ours.
    """

    start: int = 0
    rotated: Stamp | None = None
    rotated_sha256: str | None = None
    marker: str = ""
    doubts: int = Field(default=0, ge=0)


class Log:
    """One log of one host.

    Args:
        mirror: the host's.
        staged: rsync's copies: NAME and NAME.1, between whose making no rotation ended.
        name: NAME.
    """

    def __init__(self, mirror: Mirror, staged: Path, name: str) -> None:
        self._current = staged / name
        self._before = staged / f"{name}.1"
        self._target = mirror.workspace.logs / name
        self._file = mirror.log_records / f"{name}.json"
        self._host = mirror.name

    def gather(self) -> bool:
        """Append what is new; False when the host's file does not go on from ours, or not yet.

        Raises:
            OSError: our own disk; calling again goes on.
            DamagedError: the record cannot be read.
        """
        progress = self._progress()
        switched = False
        for _ in count():
            before = stamp_of(self._before)
            if before is None or before == progress.rotated:
                return not (switched and self._is_old()) and self._append_current(progress)
            digest = _digest(self._before)
            if self._goes_on(self._before, progress):
                self._append(self._before, progress)
                ended = Progress(start=self._size(), rotated=before, rotated_sha256=digest)
                progress = self._rolled(self._note(ended))
                switched = True
            elif digest == progress.rotated_sha256:
                progress = self._note(progress.model_copy(update={"rotated": before}))
            else:
                progress = self._skip(progress)
        raise AssertionError

    def _is_old(self) -> bool:
        """Tell whether the copy of NAME may still be of the generation that has just ended.

        It was rotated while rsync looked at one name after the other; the next round looks again.
        """
        current, before = stamp_of(self._current), stamp_of(self._before)
        if current is None or before is None or not 0 < current[0] <= before[0]:
            return False
        with open_regular(self._current) as ours, open_regular(self._before) as theirs:
            return _same(ours, 0, theirs, current[0])

    def _append_current(self, progress: Progress) -> bool:
        if stamp_of(self._current) is None:
            return True
        if self._goes_on(self._current, progress):
            self._append(self._current, progress)
            if progress.doubts:
                self._note(progress.model_copy(update={"doubts": 0}))
            return True
        if progress.doubts < PATIENCE:
            self._note(progress.model_copy(update={"doubts": progress.doubts + 1}))
            return False
        self._append(self._current, self._skip(progress))
        return True

    def _progress(self) -> Progress:
        """Return how far we are, with our own line finished that a kill may have cut off."""
        progress = Progress.read(self._file) or Progress()
        size = self._size()
        missing = progress.start - size
        if missing <= 0:
            return progress
        marker = progress.marker.encode()
        if size and missing <= len(marker):
            self._write(marker[-missing:])
            return progress
        # a person removed or cut it: what the host still has of this generation comes again
        return progress.model_copy(update={"start": size, "marker": ""})

    def _skip(self, progress: Progress) -> Progress:
        """Begin a new generation after the same rotation, and say that a part of the log is not here."""
        newline = "" if self._ends_a_line() else "\n"
        marker = (
            f"{newline}[aispool: a part of this log was gone from {self._host} before it was collected]\n"
        )
        start = self._size() + len(marker.encode())
        noted = progress.model_copy(update={"start": start, "marker": marker, "doubts": 0})
        self._note(noted)
        self._write(marker.encode())
        return noted

    def _note(self, progress: Progress) -> Progress:
        put(self._file, progress.encoded())
        return progress

    def _size(self) -> int:
        stamp = stamp_of(self._target)
        return stamp[0] if stamp else 0

    def _ends_a_line(self) -> bool:
        size = self._size()
        if not size:
            return True
        with open_regular(self._target) as descriptor:
            return os.pread(descriptor, 1, size - 1) == b"\n"

    def _goes_on(self, source: Path, progress: Progress) -> bool:
        """Tell whether what we have of this generation is the beginning of the host's file."""
        have = self._size() - progress.start
        stamp = stamp_of(source)
        if stamp is None or stamp[0] < have:
            return False
        if have == 0:
            return True
        with open_regular(self._target) as ours, open_regular(source) as theirs:
            return _same(ours, progress.start, theirs, have)

    def _append(self, source: Path, progress: Progress) -> None:
        offset = self._size() - progress.start
        with open_regular(source) as theirs:
            while piece := os.pread(theirs, PIECE_BYTES, offset):
                self._write(piece)
                offset += len(piece)

    def _write(self, piece: bytes) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
        new = not self._target.exists()
        descriptor = os.open(self._target, flags, FILE_MODE)
        try:
            write_all(descriptor, piece)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        if new:
            fsync_folder(self._target.parent)

    def _rolled(self, progress: Progress) -> Progress:
        """Begin a new file of ours when it is large; a generation has just ended."""
        if progress.start <= ROLL_BYTES:
            return progress
        # killed between the two: without our file the generation begins at 0 all the same
        self._target.replace(f"{self._target}.1")
        fsync_folder(self._target.parent)
        return self._note(progress.model_copy(update={"start": 0}))


def _same(ours: int, start: int, theirs: int, length: int) -> bool:
    """Tell whether one open file, from `start`, and another from its beginning hold the same bytes."""
    for offset in range(0, length, PIECE_BYTES):
        size = min(PIECE_BYTES, length - offset)
        mine = os.pread(ours, size, start + offset)
        if len(mine) < size or mine != os.pread(theirs, size, offset):
            return False
    return True


def _digest(path: Path) -> str:
    with open_regular(path) as descriptor, open(descriptor, "rb", closefd=False) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def stamp_of(path: Path) -> Stamp | None:
    """Return what tells one state of a file from another; None when there is none."""
    try:
        with open_regular(path) as descriptor:
            status = os.fstat(descriptor)
    except FileNotFoundError:
        return None
    return status.st_size, status.st_mtime_ns
