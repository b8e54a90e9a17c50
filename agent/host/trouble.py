"""Whose trouble an OSError is: everybody's, which stops new work, or one task's, which ends that task."""

from __future__ import annotations

import errno

_EVERYBODYS = frozenset(
    {
        *(errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.ENODEV, errno.ESTALE),
        *(errno.ENOMEM, errno.EMFILE, errno.ENFILE),
    }
)


def is_everybodys(error: OSError) -> bool:
    """Tell whether any other task would fail alike: a full, broken or read-only disk, no descriptors."""
    return error.errno in _EVERYBODYS
