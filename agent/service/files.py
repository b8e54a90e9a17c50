"""What lies in a task's folder, and reading one file of it, whatever a mirror shows or a tool left there.

Each name is opened below the one before it and no link is followed (openat(2), O_NOFOLLOW), so that nothing
outside of the task's folder is reached, not even while somebody swaps names. Names that begin with a dot are
not there: they are half-written files and what tools hide, often with secrets. A file that is also one of
configs/ (a hard link) is not handed out.
"""

from __future__ import annotations

import errno
import mimetypes
import os
import stat
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, BinaryIO, Final, Literal

from agent.service.errors import ServiceError
from spool.names import FILES_SUFFIX, stem_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agent.service.places import Desk, Found
    from spool.workspace import Workspace

Kind = Literal["text", "image", "binary"]

MOST_FILES: Final = 2000
MOST_DEPTH: Final = 16
_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
_NO_SUCH: Final = frozenset(
    {errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.ENXIO, errno.ENAMETOOLONG, errno.ENODEV}
)
"""Missing, a link, a folder, a socket or a FIFO."""
_IMAGES: Final = frozenset({".png", ".jpg", ".jpeg", ".gif", ".webp"})
"""Not SVG, which is a program."""


@dataclass(frozen=True, slots=True)
class Opened:
    """An open file of a task.

    Args:
        path: below the task's folder.
        stream: at its start; whoever opened it closes it.
        kind: by its name: what a browser may be told that it is.
    """

    path: str
    stream: BinaryIO
    size_bytes: int
    modified_at: datetime
    kind: Kind

    @property
    def etag(self) -> str:
        """Return what tells this content from another one of this file."""
        status = os.fstat(self.stream.fileno())
        return f"{status.st_ino:x}-{status.st_mtime_ns:x}-{status.st_size:x}"


def files(desk: Desk, task_id: str, host: str | None = None) -> list[dict[str, Any]]:
    """Return the regular files of a task: path (below its folder), bytes, kind; sorted by path.

    `kind` is text, image or binary. Of a task that waits these are its file and what goes with it. No more
    than `MOST_FILES` are named.

    Raises:
        ServiceError: nobody knows the id.
    """
    return files_of(desk.find(task_id, host))


def files_of(found: Found) -> list[dict[str, Any]]:
    """Return the regular files of a task that was found."""
    rows: list[dict[str, Any]] = []
    with suppress(FileNotFoundError, NotADirectoryError), _folder_of(found) as (folder, only):
        for path, status in _walk(folder, "", only):
            rows.append({"path": path, "bytes": status.st_size, "kind": kind_of(path)})
            if len(rows) == MOST_FILES:
                break
    return sorted(rows, key=lambda one: str(one["path"]))


def open_file(desk: Desk, task_id: str, relative: str, host: str | None = None) -> Opened:
    """Open one regular file of a task for reading.

    Args:
        desk: where to look.
        task_id: of the task.
        relative: as `files` names it.
        host: None looks everywhere.

    Raises:
        ServiceError: there is no such file, or it is no file that is handed out.
        OSError: the disk.
    """
    found = desk.find(task_id, host)
    missing = ServiceError("not_found", f"{task_id} has no file {relative!r}: its files are listed with it")
    parts = relative.split("/")
    if not all(_is_shown(part) for part in parts) or len(parts) > MOST_DEPTH:
        raise missing
    try:
        with _folder_of(found) as (folder, only):
            if only is not None and parts[0] not in only:
                raise missing
            descriptor = open_below(folder, parts)
    except OSError as error:
        if error.errno in _NO_SUCH:
            raise missing from None
        raise
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode) or _is_secret(desk.workspace, status):
        os.close(descriptor)
        raise missing
    modified_at = datetime.fromtimestamp(status.st_mtime, UTC)
    return Opened(relative, os.fdopen(descriptor, "rb"), status.st_size, modified_at, kind_of(relative))


def open_below(folder: int, parts: list[str]) -> int:
    """Open a file below an open folder, name by name, following no link; return its descriptor.

    Raises:
        OSError: a name is missing, a link, or may not be read.
    """
    parent = os.dup(folder)
    try:
        for part in parts[:-1]:
            child = os.open(part, _FOLDER, dir_fd=parent)
            os.close(parent)
            parent = child
        return os.open(parts[-1], _FILE, dir_fd=parent)
    finally:
        os.close(parent)


def kind_of(path: str) -> Kind:
    """Tell by its name what a file may be shown as."""
    name = path.rpartition("/")[2]
    suffix = os.path.splitext(name)[1].casefold()  # noqa: PTH122 - a name of somebody else
    if suffix in _IMAGES:
        return "image"
    kind, encoding = mimetypes.guess_type(name)
    if encoding is not None or (kind and kind.startswith(("image/", "audio/", "video/", "font/"))):
        return "text" if kind == "image/svg+xml" and encoding is None else "binary"
    is_binary = kind in {"application/octet-stream", "application/pdf", "application/zip", "application/wasm"}
    return "binary" if is_binary or suffix in {".sqlite", ".pyc", ".gz", ".xz", ".zst", ".7z"} else "text"


@contextmanager
def _folder_of(found: Found) -> Iterator[tuple[int, set[str] | None]]:
    """Open the folder of a task; the names of it that are the task's, None for all.

    Raises:
        OSError: there is none.
    """
    view = found.view
    only = None
    folder = view.path
    if view.place in {"tasks", "held"}:
        folder, only = view.path.parent, {view.name, stem_of(view.name) + FILES_SUFFIX}
    # the parent is ours; the task's own folder may be anything on a mirror
    parent = os.open(folder.parent, _FOLDER & ~os.O_NOFOLLOW)
    try:
        descriptor = os.open(folder.name, _FOLDER, dir_fd=parent)
    finally:
        os.close(parent)
    try:
        yield descriptor, only
    finally:
        os.close(descriptor)


def _walk(folder: int, above: str, only: set[str] | None) -> Iterator[tuple[str, os.stat_result]]:
    """Yield the regular files below an open folder, following no link."""
    with os.scandir(folder) as entries:
        names = sorted(entry.name for entry in entries)
    for name in names:
        if not _is_shown(name) or (only is not None and name not in only):
            continue
        try:
            status = os.stat(name, dir_fd=folder, follow_symlinks=False)
            if stat.S_ISREG(status.st_mode):
                yield above + name, status
            elif stat.S_ISDIR(status.st_mode) and above.count("/") < MOST_DEPTH - 1:
                child = os.open(name, _FOLDER, dir_fd=folder)
                try:
                    yield from _walk(child, f"{above}{name}/", None)
                finally:
                    os.close(child)
        except OSError:
            continue  # it went, or may not be looked into: what can be read is shown


def _is_shown(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False  # no address can name it
    return bool(name) and not name.startswith(".") and "\0" not in name and "/" not in name


def _is_secret(workspace: Workspace, status: os.stat_result) -> bool:
    """Tell whether a file is one of configs/ under another name."""
    if status.st_nlink == 1:
        return False
    return any(
        (other.st_dev, other.st_ino) == (status.st_dev, status.st_ino)
        for folder, _, names in os.walk(workspace.configs)
        for name in names
        if (other := _status(os.path.join(folder, name))) is not None  # noqa: PTH118 - many files
    )


def _status(path: str) -> os.stat_result | None:
    try:
        return os.lstat(path)
    except OSError:
        return None
