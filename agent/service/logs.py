"""A task's output as it grows.

    source = log(desk, task_id)
    content, offset, over = source.read(0)          and so on from `offset`, until `over`

An offset is a number that names a byte of a file: which file is told by its inode, so that it stays right
when the log rotates (NAME.log becomes NAME.log.1), when the task moves from sessions/ to results/, and for
another process. 0 is the beginning of what is kept. An offset whose bytes are gone is answered with what
begins next. The bytes are the tool's own, escapes and all: who shows them takes out what must not be there.
"""

from __future__ import annotations

import os
import stat
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from agent.service.errors import ServiceError
from agent.service.files import open_below
from spool.attempt import attempts_of
from spool.names import is_task_id
from spool.view import find

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from agent.service.places import Desk, Place
    from spool.view import View
    from spool.workspace import Workspace

PIECE_BYTES: Final = 1 << 16
_POSITION_BITS: Final = 40
_FILE_BITS: Final = 12
"""Together 52: a number of JavaScript holds them."""


@dataclass(frozen=True, slots=True)
class _Open:
    """A part of the output, open."""

    descriptor: int
    size_bytes: int
    inode: int

    @property
    def tag(self) -> int:
        """Return a number from 1 that tells one file of a task from another."""
        return self.inode % ((1 << _FILE_BITS) - 1) + 1


class LogSource:
    """The output of one task, wherever it lies now."""

    def __init__(self, place: Place, task_id: str) -> None:
        self._place = place
        self._task_id = task_id

    def read(self, offset: int, most_bytes: int = PIECE_BYTES) -> tuple[bytes, int, bool]:
        """Return what follows an offset, the offset behind it, and whether nothing more will come.

        Args:
            offset: of the last call; 0 at first.
            most_bytes: no more than these are returned; b"" when there are none now.

        Raises:
            OSError: it cannot be read.
        """
        view = find(self._place.workspace, self._task_id)
        over = view is None or view.state.is_over  # before the bytes: what comes between is read next time
        if view is None:
            return b"", offset, True
        with self._opened(view, over=over) as parts:
            at, position = _located(parts, offset)
            while at < len(parts):
                content = os.pread(parts[at].descriptor, most_bytes, position)
                if content:
                    return content, _offset(parts[at].tag, position + len(content)), False
                if at + 1 == len(parts):
                    return b"", _offset(parts[at].tag, position), over
                at, position = at + 1, 0
        return b"", offset, over

    def end(self, most_bytes: int) -> int:
        """Return the offset behind which there are no more than so many bytes now.

        Raises:
            OSError: it cannot be read.
        """
        view = find(self._place.workspace, self._task_id)
        if view is None:
            return 0
        with self._opened(view, over=view.state.is_over) as parts:
            left = most_bytes
            for part in reversed(parts):
                if part.size_bytes >= left:
                    return _offset(part.tag, part.size_bytes - left)
                left -= part.size_bytes
        return 0

    @contextmanager
    def _opened(self, view: View, *, over: bool) -> Iterator[list[_Open]]:
        with ExitStack() as stack:
            found: dict[int, _Open] = {}
            for path in self._paths(view, over=over):
                part = _open(self._place.workspace.root, path)
                if part is not None:
                    stack.callback(os.close, part.descriptor)
                    found.setdefault(part.inode, part)
            yield list(found.values())

    def _paths(self, view: View, *, over: bool) -> list[Path]:
        """Return where the output lies: the log behind its rotated part, else the attempts' files.

        Both parts of the log come twice: what was the log when it was opened is its rotated part a moment
        later, so that a rotation in between hides nothing.
        """
        found = output_files(self._place.workspace, view)
        file = log_file(self._place.workspace, view)
        if file is not None and file in found:
            before = file.with_name(f"{file.name}.1")
            return [before, file, before, file]
        return found if over else []  # what two streams say meanwhile has no order


def log_file(workspace: Workspace, view: View) -> Path | None:
    """Return a task's log, made or not; what a record says counts only where it names a file of logs/."""
    named = view.result.output.log if view.result else view.status.log if view.status else None
    folder, _, name = (named or "").rpartition("/")
    if folder == workspace.logs.name and name.endswith(".log") and not name.startswith("."):
        return workspace.logs / name
    return workspace.logs / f"{view.tool}-{view.task_id}.log" if is_task_id(view.tool) else None


def output_files(workspace: Workspace, view: View) -> list[Path]:
    """Return where a task's output lies: its log behind the rotated part, else its attempts' files."""
    if view.place in {"tasks", "held"}:
        return []
    file = log_file(workspace, view)
    parts = (file.with_name(f"{file.name}.1"), file) if file is not None else ()
    if found := [path for path in parts if path.is_file()]:
        return found
    streams = (path for attempt in attempts_of(view.path) for path in (attempt.stdout, attempt.stderr))
    return [path for path in streams if path.is_file()]


def log(desk: Desk, task_id: str, host: str | None = None) -> LogSource:
    """Return the output of a task; it may not have printed anything yet.

    Raises:
        ServiceError: nobody knows the id.
    """
    found = desk.find(task_id, host)
    if not is_task_id(found.view.task_id):
        raise ServiceError("not_found", f"{task_id} has no id yet, and so no output")
    return LogSource(found.place, found.view.task_id)


def _open(root: Path, path: Path) -> _Open | None:
    """Open a part, following no link below the workspace; None when there is none."""
    folder = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        descriptor = open_below(folder, list(path.relative_to(root).parts))
    except OSError:
        return None
    finally:
        os.close(folder)
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        os.close(descriptor)
        return None
    return _Open(descriptor, status.st_size, status.st_ino)


def _offset(tag: int, position: int) -> int:
    return tag << _POSITION_BITS | position


def _located(parts: list[_Open], offset: int) -> tuple[int, int]:
    """Return the part and the position that an offset names; the beginning when that is gone."""
    tag, position = offset >> _POSITION_BITS, offset & ((1 << _POSITION_BITS) - 1)
    for at, part in enumerate(parts):
        if part.tag == tag:
            return at, position if position <= part.size_bytes else 0
    return 0, 0
