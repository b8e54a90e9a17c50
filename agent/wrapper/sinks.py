"""Where a tool's output goes: bounded files, a rotated log, and the pane that people look at.

None of them ever stops the tool: a full disk, a dead terminal or a paused one loses output, says so, and
the attempt goes on.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from spool.files import write_all

if TYPE_CHECKING:
    from pathlib import Path

TAIL_BYTES = 256 << 10


class CappedFile:
    """A stream's file: its beginning and its end when it is larger than the cap."""

    def __init__(self, path: Path, cap_bytes: int) -> None:
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        self._tail_bytes = min(TAIL_BYTES, cap_bytes // 2)
        self._head_left = cap_bytes - self._tail_bytes
        self._tail = bytearray()
        self._failed = False
        self.total_bytes = 0
        self._kept_bytes = 0

    @property
    def truncated(self) -> bool:
        """Tell whether something of the stream is not in the file."""
        return self._failed or self._kept_bytes + len(self._tail) < self.total_bytes

    def write(self, chunk: bytes) -> None:
        """Take a part of the stream."""
        self.total_bytes += len(chunk)
        head, rest = chunk[: self._head_left], chunk[self._head_left :]
        if head:
            self._head_left -= len(head)
            self._put(head)
        if rest:
            self._tail += rest
            del self._tail[: -self._tail_bytes]

    def close(self) -> None:
        """Write the end of a stream that was too long, and make the file durable."""
        left_out = self.total_bytes - self._kept_bytes - len(self._tail)
        if self._tail:
            if left_out > 0:
                self._note(f"\n[aispool: {left_out} bytes were left out here]\n".encode())
            self._put(bytes(self._tail))
            self._tail.clear()
        try:
            if self.total_bytes:
                os.fsync(self._fd)
        except OSError:
            self._failed = True
        os.close(self._fd)

    def _note(self, text: bytes) -> None:
        try:
            write_all(self._fd, text)
        except OSError:
            self._failed = True

    def _put(self, chunk: bytes) -> None:
        try:
            write_all(self._fd, chunk)
        except OSError:
            self._failed = True
        else:
            self._kept_bytes += len(chunk)


class RotatedLog:
    """The log of one task: both streams as they came; at its cap it becomes NAME.1 and begins again."""

    def __init__(self, path: Path, cap_bytes: int) -> None:
        self._path = path
        self._cap_bytes = cap_bytes
        self.failed = False
        self._fd = -1
        self._open()

    def write(self, chunk: bytes) -> None:
        """Append; after a failure the log tries again with the next part."""
        try:
            if self._fd < 0:
                self._open()
            if self._fd >= 0 and os.fstat(self._fd).st_size + len(chunk) > self._cap_bytes:
                self._path.rename(f"{self._path}.1")
                self.close()
                self._open()
            if self._fd >= 0:
                write_all(self._fd, chunk)
        except OSError:
            self.failed = True

    def close(self) -> None:
        """Close it; the next write opens it again."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _open(self) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
        try:
            self._fd = os.open(self._path, flags, 0o600)
        except OSError:
            self.failed = True


class Pane:
    """The terminal of the session; a reader that does not read loses lines, never stalls the tool."""

    def __init__(self, descriptor: int) -> None:
        self._fd = -1
        try:
            if os.isatty(descriptor):
                flags = os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
                self._fd = os.open(os.ttyname(descriptor), flags)
        except OSError:
            return  # the terminal died before we began: there is nobody to show anything to

    def write(self, chunk: bytes) -> None:
        """Show a part of the output, as far as the terminal takes it."""
        if self._fd < 0:
            return
        try:
            os.write(self._fd, chunk)
        except BlockingIOError:
            return
        except OSError:
            self.close()

    def close(self) -> None:
        """Stop showing."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
