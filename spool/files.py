"""Files that are whole or absent, whatever dies: the only module that writes into a workspace.

Put   = temporary dotfile in the same folder, write, fsync, rename, fsync of the folder.
Move  = rename, fsync of the destination folder, fsync of the source folder.
Both orders are those of "All File Systems Are Not Created Equal" (OSDI 2014): a rename without
fsync leaves an empty file after a power cut. The fsyncs of folders may be put off for several steps, and
done once for all of them (`names_together`); that of a file's content never is.

On NFS an answer may get lost, and the repeated request finds done what the first one did: ENOENT for a
rename, EEXIST for a link. Such an error is believed only when the file is not where it was to go. The kernel
believed it, and goes on saying that nothing is there: so its cache is waited for.

Standard library only: the wrapper imports this module without site-packages.
"""

from __future__ import annotations

import fcntl
import os
import signal
import stat
import time
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LOOKUP_S = 60.0
"""How long names are believed at most: acdirmax of nfs(5)."""
FOLDER_MODE = 0o700
FILE_MODE = 0o600
TEMPORARY = ".tmp"
"""How the names end of files that are written and have no other name yet."""
MOST_TOGETHER = 100
"""Folders that are kept open at most until they are synced."""


class NotRegularError(OSError):
    """The path is a link, a folder, a FIFO or a device where a regular file was expected."""


class TooLargeError(OSError):
    """The file is larger than the caller reads."""


@dataclass(slots=True)
class _PutOff:
    """The folders that this thread still has to sync, open, in the order of their changes.

    Args:
        gained: where names were made.
        lost: from where they were moved away, perhaps beside.
    """

    gained: dict[tuple[int, int], int] = field(default_factory=dict)
    lost: dict[tuple[int, int], int] = field(default_factory=dict)

    def add(self, folder: Path, *, lost: bool) -> None:
        """Remember a folder: opened now, and known by its inode, since its name may become another's."""
        if len(self.gained) + len(self.lost) >= MOST_TOGETHER:
            sync_names()
        descriptor = _open_folder(folder)
        status = os.fstat(descriptor)
        which = (status.st_dev, status.st_ino)
        into = self.lost if lost else self.gained
        if which in self.lost or which in into:
            os.close(descriptor)
            return
        if which in self.gained:
            os.close(self.gained.pop(which))
        into[which] = descriptor

    def take(self) -> list[int]:
        """Return all, to be synced in this order: nothing is gone before it is where it went.

        What moves on moves from folder to folder; so of those that lost a name the last comes first.
        """
        found = [*self.gained.values(), *reversed(self.lost.values())]
        self.gained, self.lost = {}, {}
        return found


_put_off: ContextVar[_PutOff | None] = ContextVar("_put_off", default=None)


def fsync_folder(folder: Path, *, lost: bool = False) -> None:
    """Make the names in a folder survive a power cut; within `names_together`, at its end.

    Args:
        folder: which.
        lost: something was moved from it, so that its destination must survive first.
    """
    together = _put_off.get()
    if together is None:
        _sync(_open_folder(folder))
    else:
        together.add(folder, lost=lost)


def _open_folder(folder: Path) -> int:
    return os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)


@contextmanager
def names_together() -> Iterator[None]:
    """Sync each folder that changes within once, at the end: it costs a fraction of one sync after each step.

    Within, a power cut leaves what a kill at some step would have left, where the file system keeps the order
    of its names' changes, as those with a journal do. Whoever relies on more calls `sync_names` first.

    Raises:
        OSError: the disk; the names are as they are, and may not survive.
    """
    token = _put_off.set(_PutOff())
    try:
        yield
    finally:
        try:
            sync_names()
        finally:
            _put_off.reset(token)


def sync_names() -> None:
    """Sync now what `names_together` has put off, if anything.

    Raises:
        OSError: the disk; the names are as they are, and may not survive.
    """
    together = _put_off.get()
    failed: OSError | None = None
    for descriptor in together.take() if together is not None else ():
        try:
            _sync(descriptor)
        except OSError as error:
            failed = error
    if failed is not None:
        raise failed


def _sync(descriptor: int) -> None:
    """Sync what is open, and close it."""
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def fsync_tree(path: Path) -> None:
    """Make a file, or a folder with all it holds, survive a power cut.

    Links are not followed, and what may not be read is left as it is.

    Raises:
        OSError: it is gone, or the disk failed.
    """
    _fsync(os.fspath(path))
    for parent, folders, names in os.walk(path):
        for name in (*folders, *names):
            _fsync(os.path.join(parent, name))  # noqa: PTH118 - many files


def _fsync(path: str) -> None:
    mode = os.lstat(path).st_mode
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        return
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except PermissionError:
        return
    _sync(descriptor)


def make_folder(folder: Path, *, inside: Path | None = None) -> None:
    """Make a private folder and its parents durable; an existing one is left as it is.

    Args:
        folder: what is to be there.
        inside: a parent that is not made: where it is gone, nothing is to come back in its place.

    Raises:
        FileNotFoundError: `inside` is gone.
    """
    if folder.is_dir():
        return
    if folder.parent != inside:
        make_folder(folder.parent, inside=inside)
    try:
        folder.mkdir(mode=FOLDER_MODE)
    except FileExistsError:
        if not folder.is_dir():
            raise
    fsync_folder(folder.parent)


def make_folders(*folders: Path) -> None:
    """Make private folders durable together, each after its parent; existing ones are left as they are.

    Raises:
        FileNotFoundError: a parent is gone that does not stand before its folder.
    """
    changed: dict[Path, None] = {}
    for folder in folders:
        try:
            folder.mkdir(mode=FOLDER_MODE)
        except FileExistsError:
            if not folder.is_dir():
                raise
        else:
            changed[folder.parent] = None
    for parent in changed:
        fsync_folder(parent)


def write_all(descriptor: int, content: bytes) -> None:
    """Write every byte: write(2) may take fewer."""
    view = memoryview(content)
    while view:
        view = view[os.write(descriptor, view) :]


def is_at(path: Path, inode: int) -> bool:
    """Tell by its number whether a file is there; by listing, since a lookup may be answered from a cache."""
    try:
        with os.scandir(path.parent) as entries:
            return any(entry.name == path.name and entry.inode() == inode for entry in entries)
    except FileNotFoundError:
        return False


def await_name(path: Path, inode: int) -> None:
    """Wait until a lookup tells what a listing has shown, but not for ever."""
    give_up_s = time.monotonic() + LOOKUP_S
    while time.monotonic() < give_up_s:
        with suppress(FileNotFoundError):
            if path.lstat().st_ino == inode:
                return
        time.sleep(0.01)  # a cache tells nobody that it has expired


def rename(source: Path, target: Path) -> None:
    """Rename a file or a folder, however often the request is sent.

    Raises:
        OSError: nothing was changed.
    """
    inode = source.lstat().st_ino
    try:
        source.rename(target)
    except FileNotFoundError:
        if not is_at(target, inode):
            raise
        await_name(target, inode)


def _write_temporary(
    target: Path, content: bytes, *, flushed: bool = True, through: Path | None = None
) -> tuple[Path, int]:
    # cut by bytes: a name of 255 bytes may hold few characters
    readable = os.fsencode(target.name)[:100].decode(errors="ignore")
    temporary = (through or target.parent) / f".{readable}.{os.getpid()}.{os.urandom(4).hex()}{TEMPORARY}"
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE)
    try:
        try:
            write_all(descriptor, content)
            if flushed:
                os.fsync(descriptor)
            inode = os.fstat(descriptor).st_ino
        finally:
            os.close(descriptor)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    return temporary, inode


def put(target: Path, content: bytes, *, durable: bool = True, through: Path | None = None) -> None:
    """Replace a file at once and for good.

    Args:
        target: its folder exists.
        content: the whole file.
        durable: False skips the folder's fsync, for what is only information.
        through: the folder of the temporary file, for a target whose folder many watch.

    Raises:
        OSError: nothing was changed.
    """
    temporary, inode = _write_temporary(target, content, through=through)
    try:
        temporary.replace(target)
    except OSError as error:
        if not isinstance(error, FileNotFoundError) or not is_at(target, inode):
            temporary.unlink(missing_ok=True)
            raise
        await_name(target, inode)
    if durable:
        fsync_folder(target.parent)


def post(target: Path, content: bytes, *, through: Path | None = None) -> None:
    """Replace a file at once, and not for good: after a power cut it may be empty.

    For notices to people, which are written again; `through` is that of `put`.

    Raises:
        OSError: nothing was changed.
    """
    temporary, _ = _write_temporary(target, content, flushed=False, through=through)
    try:
        temporary.replace(target)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise


def put_new(target: Path, content: bytes) -> None:
    """Create a file at once and for good, never replacing one.

    Raises:
        FileExistsError: the name is taken; nothing was changed.
        OSError: nothing was changed.
    """
    temporary, inode = _write_temporary(target, content)
    try:
        os.link(temporary, target)
    except FileExistsError:
        if not is_at(target, inode):
            raise
    finally:
        temporary.unlink(missing_ok=True)
    fsync_folder(target.parent)


def move(source: Path, target: Path) -> None:
    """Rename a file or a folder for good.

    Raises:
        FileNotFoundError: another was faster, or a folder is missing.
        OSError: the target is a folder that is not empty, or lies on another file system.
    """
    rename(source, target)
    fsync_folder(target.parent)
    if source.parent != target.parent:
        fsync_folder(source.parent, lost=True)


def remove(path: Path) -> None:
    """Remove a file for good; one that is gone already is fine."""
    try:
        path.unlink()
    except FileNotFoundError:
        return
    fsync_folder(path.parent)


def remove_tree(folder: Path) -> None:
    """Remove a folder with all it holds; what is gone already is fine, the folder itself too.

    Raises:
        OSError: something of it cannot be removed.
    """
    import shutil  # noqa: PLC0415 - the wrapper, which starts often, needs none of it

    def go_on(_function: object, _path: str, trouble: tuple[Any, BaseException, Any]) -> None:
        if not isinstance(trouble[1], FileNotFoundError):
            raise trouble[1]

    shutil.rmtree(folder, onerror=go_on)


@contextmanager
def open_regular(path: Path) -> Iterator[int]:
    """Open a regular file for reading, never following a link, never blocking on a FIFO.

    Raises:
        NotRegularError: it is something else.
        OSError: it cannot be opened.
    """
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
    before = path.lstat()
    if not stat.S_ISREG(before.st_mode):
        raise NotRegularError(f"{path} is {kind_of(before.st_mode)}, not a regular file")
    descriptor = os.open(path, flags)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise NotRegularError(f"{path} is not a regular file")
        yield descriptor
    finally:
        os.close(descriptor)


def kind_of(mode: int) -> str:
    """Name a file type for people, with its article."""
    names = {
        stat.S_IFLNK: "a symbolic link",
        stat.S_IFDIR: "a folder",
        stat.S_IFIFO: "a FIFO",
        stat.S_IFSOCK: "a socket",
        stat.S_IFCHR: "a device",
        stat.S_IFBLK: "a device",
    }
    return names.get(stat.S_IFMT(mode), "a regular file")


def read_descriptor(descriptor: int, limit_bytes: int) -> bytes:
    """Read an open file from its start.

    Raises:
        TooLargeError: it holds more than the limit; nothing beyond it was read.
    """
    chunks: list[bytes] = []
    offset = 0
    # the first part is small, as most files are: a larger buffer is mapped and unmapped for each of them
    while chunk := os.pread(descriptor, min(1 << (20 if offset else 15), limit_bytes + 1 - offset), offset):
        chunks.append(chunk)
        offset += len(chunk)
        if offset > limit_bytes:
            raise TooLargeError(f"larger than {limit_bytes} bytes")
    return b"".join(chunks)


def read_regular(path: Path, limit_bytes: int = 64 << 20) -> bytes:
    """Read a regular file without following a link.

    Raises:
        NotRegularError: it is something else.
        TooLargeError: it holds more than the limit.
        OSError: it cannot be read.
    """
    with open_regular(path) as descriptor:
        return read_descriptor(descriptor, limit_bytes)


def read_tail(path: Path, most_bytes: int) -> tuple[bytes, bool]:
    """Return a regular file's end, and whether the file begins before it.

    Raises:
        NotRegularError: it is something else.
        OSError: it cannot be read.
    """
    with open_regular(path) as descriptor:
        begin = max(os.fstat(descriptor).st_size - most_bytes, 0)
        chunks: list[bytes] = []
        offset = begin
        while chunk := os.pread(descriptor, 1 << 20, offset):
            chunks.append(chunk)
            offset += len(chunk)
    return b"".join(chunks), begin > 0


def no_writer_holds(descriptor: int) -> bool | None:
    """Tell whether nobody has the open file open for writing; None where the kernel cannot say.

    A read lease (fcntl(2) F_SETLEASE) is granted only then. It is refused to those who do not own the
    file and on most network file systems: there the caller watches size and ctime instead.
    """
    try:
        # who opens it for writing while we hold the lease has us sent a signal: the default, SIGIO, kills
        fcntl.fcntl(descriptor, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
    except BlockingIOError:
        return False
    except OSError:
        return None
    fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    return True
