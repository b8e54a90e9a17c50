"""A process as if on another host, or after another boot: name spaces of its own. Needs root."""

from __future__ import annotations

import ctypes
import os
import uuid
from pathlib import Path
from typing import Any

NEWNS, NEWUTS, NEWPID = 0x00020000, 0x04000000, 0x20000000
"""unshare(2): mounts, the host's name, processes."""
MS_BIND, MS_REC, MS_PRIVATE = 4096, 16384, 1 << 18
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def leave(spaces: int) -> None:
    """Leave the machine's name spaces; mounts from now on are seen by nobody else."""
    _call("unshare", spaces)
    if spaces & NEWNS:
        _call("mount", b"none", b"/", None, MS_REC | MS_PRIVATE, None)


def cover(path: Path, other: Path) -> None:
    """Let another file be seen under a path."""
    _call("mount", os.fsencode(other), os.fsencode(path), None, MS_BIND, None)


def see_own_processes() -> None:
    """Mount /proc anew, after NEWPID."""
    _call("mount", b"proc", b"/proc", b"proc", 0, None)


def boot(kept: Path) -> None:
    """Have another boot id, which is kept in a file."""
    kept.write_text(f"{uuid.uuid4()}\n")
    cover(BOOT_ID, kept)


def _call(name: str, *arguments: Any) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if getattr(libc, name)(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")
