"""A file system that behaves like NFS as several hosts see it: one folder, mounted once for each of them.

Each mount is a process of its own (`python -m nfs_like BACKING MOUNTPOINT SEED`), so each has its own kernel
cache, as each NFS client has:

- names and attributes are believed for a while without asking (stale attributes, negative names);
- now and then a rename, link, unlink or mkdir is done, and then answered with an error, as when the first
  answer was lost and the request was sent again: ENOENT, or EEXIST;
- a lock that is taken on one mount is unknown on the others, and there is no read lease;
- changes made on one mount cause no file event on another.
"""

from __future__ import annotations

import errno
import os
import random
import sys
from typing import Any, Final

import mfusepy as fuse

CACHED_S: Final = 1.0
RETRANSMITTED: Final = 0.05
"""How often an answer is lost."""


class SharedFolder(fuse.Operations):  # type: ignore[misc]
    """Passes everything on to a folder, and loses an answer now and then."""

    use_ns = True

    def __init__(self, folder: str, seed: int) -> None:
        self._folder = folder
        self._dice = random.Random(seed)  # noqa: S311 - which answer is lost

    def _at(self, path: str) -> str:
        return self._folder + path

    def _answered(self, code: int) -> None:
        if self._dice.random() < RETRANSMITTED:
            raise fuse.FuseOSError(code)

    # ---- names

    def rename(self, old: str, new: str) -> None:
        os.rename(self._at(old), self._at(new))  # noqa: PTH104
        self._answered(errno.ENOENT)

    def unlink(self, path: str) -> None:
        os.unlink(self._at(path))  # noqa: PTH108
        self._answered(errno.ENOENT)

    def mkdir(self, path: str, mode: int) -> None:
        os.mkdir(self._at(path), mode)  # noqa: PTH102
        self._answered(errno.EEXIST)

    def rmdir(self, path: str) -> None:
        os.rmdir(self._at(path))  # noqa: PTH106
        self._answered(errno.ENOENT)

    def link(self, target: str, source: str) -> None:
        os.link(self._at(source), self._at(target))
        self._answered(errno.EEXIST)

    def symlink(self, target: str, source: str) -> None:
        os.symlink(source, self._at(target))  # noqa: PTH211

    def readlink(self, path: str) -> str:
        return os.readlink(self._at(path))  # noqa: PTH115

    def readdir(self, path: str, _handle: int) -> Any:
        with os.scandir(self._at(path)) as entries:
            found = [(entry.name, entry.inode()) for entry in entries]
        # an entry without a number is one that was removed
        return [(name, {"st_ino": number, "st_mode": 0}, 0) for name, number in ((".", 1), ("..", 1), *found)]

    # ---- attributes

    def getattr(self, path: str, _handle: int | None = None) -> dict[str, Any]:
        status = os.lstat(self._at(path))
        found: dict[str, Any] = {
            name: getattr(status, name)
            for name in ("st_mode", "st_nlink", "st_size", "st_uid", "st_gid", "st_ino")
        }
        times = {f"st_{kind}time": getattr(status, f"st_{kind}time_ns") for kind in "amc"}
        return found | times

    def chmod(self, path: str, mode: int) -> None:
        os.chmod(self._at(path), mode)  # noqa: PTH101

    def chown(self, path: str, uid: int, gid: int) -> None:
        os.lchown(self._at(path), uid, gid)

    def utimens(self, path: str, times: tuple[int, int] | None = None) -> None:
        os.utime(self._at(path), ns=times, follow_symlinks=False)

    def truncate(self, path: str, length: int, _handle: int | None = None) -> None:
        os.truncate(self._at(path), length)

    def statfs(self, path: str) -> dict[str, int]:
        found = os.statvfs(self._at(path))
        names = ("f_bavail", "f_bfree", "f_blocks", "f_bsize", "f_favail", "f_ffree", "f_files", "f_frsize")
        return {name: getattr(found, name) for name in (*names, "f_namemax")}

    def access(self, path: str, mode: int) -> None:
        if not os.access(self._at(path), mode):
            raise fuse.FuseOSError(errno.EACCES)

    # ---- content

    def open(self, path: str, flags: int) -> int:
        return os.open(self._at(path), flags & ~os.O_CREAT)

    def create(self, path: str, mode: int, _info: object = None) -> int:
        return os.open(self._at(path), os.O_RDWR | os.O_CREAT | os.O_EXCL, mode)

    def read(self, _path: str, size: int, offset: int, handle: int) -> bytes:
        return os.pread(handle, size, offset)

    def write(self, _path: str, data: bytes, offset: int, handle: int) -> int:
        return os.pwrite(handle, data, offset)

    def fsync(self, _path: str, _data_only: int, handle: int) -> None:
        os.fsync(handle)

    def fsyncdir(self, path: str, _data_only: int, _handle: int) -> None:
        descriptor = os.open(self._at(path), os.O_RDONLY)
        os.fsync(descriptor)
        os.close(descriptor)

    def release(self, _path: str, handle: int) -> None:
        os.close(handle)


def main(backing: str, mountpoint: str, seed: str) -> None:
    """Serve one mount in the foreground until it is unmounted."""
    fuse.FUSE(
        SharedFolder(backing, int(seed)),
        mountpoint,
        foreground=True,
        nothreads=True,
        fsname=backing,
        subtype="sshfs",  # a kind that is known to be a network's
        attr_timeout=CACHED_S,
        entry_timeout=CACHED_S,
        negative_timeout=CACHED_S,
        use_ino=True,
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
