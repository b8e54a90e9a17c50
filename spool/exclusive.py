"""Renaming that never replaces: renameat2(2) with RENAME_NOREPLACE, which Python does not offer.

link(2) and unlink(2) give the same guarantee, but leave two names when killed between; they are the
fallback for file systems without the flag.
"""

from __future__ import annotations

import ctypes
import errno
import os
import stat
from typing import TYPE_CHECKING

from spool.files import await_name, fsync_folder, is_at, rename

if TYPE_CHECKING:
    from pathlib import Path

_AT_FDCWD = -100
_RENAME_NOREPLACE = 1
_UNSUPPORTED = frozenset({errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP})


def move_new(source: Path, target: Path) -> None:
    """Rename a file or a folder for good, never replacing one.

    Raises:
        FileExistsError: the name is taken; nothing was changed.
        FileNotFoundError: another was faster, or a folder is missing.
        OSError: the target lies on another file system.
    """
    _rename_new(source, target)
    fsync_folder(target.parent)
    if source.parent != target.parent:
        fsync_folder(source.parent, lost=True)


def _rename_new(source: Path, target: Path) -> None:
    inode = source.lstat().st_ino
    code = _renameat2(source, target)
    if code in _UNSUPPORTED:
        _rename_by_link(source, target)
    elif code == errno.ENOENT and is_at(target, inode):
        await_name(target, inode)
    elif code != 0:
        raise OSError(code, os.strerror(code), os.fspath(source), None, os.fspath(target))


def _renameat2(source: Path, target: Path) -> int:
    function = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if function is None:
        return errno.ENOSYS
    done = function(_AT_FDCWD, os.fsencode(source), _AT_FDCWD, os.fsencode(target), _RENAME_NOREPLACE)
    return 0 if done == 0 else ctypes.get_errno()


def _rename_by_link(source: Path, target: Path) -> None:
    if stat.S_ISDIR(source.lstat().st_mode):
        # link(2) is not for folders; rename(2) itself refuses one that is not empty
        try:
            rename(source, target)
        except OSError as error:
            if error.errno not in {errno.ENOTEMPTY, errno.ENOTDIR}:
                raise
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), os.fspath(target)) from None
        return
    inode = source.lstat().st_ino
    try:
        os.link(source, target, follow_symlinks=False)
    except FileExistsError:
        if not is_at(target, inode):
            raise
    source.unlink(missing_ok=True)
