"""Where a multiplexer's socket lies: beside the tasks when it can, else in a private folder under /tmp.

A socket's path is limited to 107 bytes (unix(7)), and a socket on a network file system belongs to the wrong
machine as often as not. The choice depends on the workspace's path and mount alone, so that every process of
every version of this program makes the same one.

Starting happens under a lock beside the socket, so that nobody takes a server that is being born for a dead
one.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import stat
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from agent.launchers.base import LaunchError

if TYPE_CHECKING:
    from collections.abc import Iterator

LOCK_S: Final = 60.0

MOUNTS: Final = Path("/proc/self/mountinfo")
NOT_LOCAL: Final = re.compile(
    r"nfs4?|cifs|smb\w*|9p|virtiofs|afs|ceph|lustre|gpfs|beegfs|glusterfs|vboxsf|drvfs|v?fat|msdos|exfat|fuse(\..*)?"
)


def short_hash(text: str, length: int = 16) -> str:
    """Hash `text` to that many hexadecimal digits."""
    return hashlib.sha256(os.fsencode(text)).hexdigest()[:length]


def beside_or(workspace: Path, name: str, fallback: Path, limit_bytes: int) -> Path:
    """Choose WORKSPACE/name when it is short enough and on a local file system, else `fallback`."""
    own = workspace / name
    if len(os.fsencode(own)) <= limit_bytes and is_local(workspace):
        return own
    return fallback


def is_local(folder: Path, mountinfo: Path = MOUNTS) -> bool:
    """Say whether `folder` lies on a file system of this machine that holds sockets (proc(5), mountinfo)."""
    mounts = mountinfo.read_bytes().splitlines()
    where, kind = b"", ""
    target = os.fsencode(folder.resolve())
    for line in mounts:
        before, _, after = line.partition(b" - ")
        point = re.sub(rb"\\([0-7]{3})", lambda octal: bytes([int(octal[1], 8)]), before.split(b" ")[4])
        inside = target == point or target.startswith(point.rstrip(b"/") + b"/")
        if inside and len(point) >= len(where):  # a later mount on the same point hides the earlier
            where, kind = point, after.split(b" ")[0].decode()
    return NOT_LOCAL.fullmatch(kind) is None


def private_folder(folder: Path) -> None:
    """Make `folder` with mode 0700, or make sure that it is ours alone.

    Raises:
        LaunchError: it is a link, another user's, or open to others.
    """
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        facts = folder.lstat()
    except OSError as error:
        message = f"cannot make the folder {folder} for sessions: {error.strerror}; make it, with mode 0700"
        raise LaunchError(message) from error
    if not stat.S_ISDIR(facts.st_mode) or facts.st_uid != os.getuid():
        raise LaunchError(f"{folder} is not a folder of yours; somebody took its name: remove or rename it")
    if facts.st_mode & 0o077:
        raise LaunchError(f"{folder} is open to other users; run: chmod 700 {folder}")


@contextmanager
def alone(lock: Path) -> Iterator[None]:
    """Keep other launchers of the workspace from starting anything meanwhile.

    Raises:
        LaunchError: the lock cannot be made, or somebody holds it for too long.
    """
    try:
        descriptor = os.open(lock, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        message = (
            f"cannot make the lock {lock}: {error.strerror}; make its folder writable and free some space"
        )
        raise LaunchError(message) from error
    try:
        deadline = time.monotonic() + LOCK_S
        while not _locked(descriptor):
            if time.monotonic() > deadline:
                raise LaunchError(f"{lock} is held for over {LOCK_S:g} s; find who holds it: fuser {lock}")
            time.sleep(0.002)
        yield
    finally:
        os.close(descriptor)


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
