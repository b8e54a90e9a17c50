"""Whose trouble an OSError is: everybody's, which stops new work, or one task's, which ends that task."""

from __future__ import annotations

import errno
import os
from pathlib import Path

_EVERYBODYS = frozenset(
    {
        *(errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.ENODEV, errno.ESTALE),
        *(errno.ENOMEM, errno.EMFILE, errno.ENFILE),
    }
)


class TakenOverError(Exception):
    """Another agent took us for dead and has this task now: nothing of it may be touched any more."""


_NOT_ALLOWED = frozenset({errno.EACCES, errno.EPERM})


def is_everybodys(error: OSError, *shared: Path) -> bool:
    """Tell whether any other task would fail alike: a full, broken or read-only disk, no descriptors.

    Args:
        error: what happened.
        shared: folders that every task goes through; that nothing may be put there concerns all.
    """
    if error.errno in _NOT_ALLOWED:
        names = (name for name in (error.filename, error.filename2) if name is not None)
        return any(Path(os.fsdecode(name)).parent in shared for name in names)
    return error.errno in _EVERYBODYS
