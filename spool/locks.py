"""Locks that tell who lives: flock(2), released by the kernel when its holder dies, however it dies."""

from __future__ import annotations

import fcntl
import hashlib
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from spool.files import make_folder

if TYPE_CHECKING:
    from filelock import FileLock

    from spool.workspace import Workspace

LOCAL_LOCKS = Path("/var/tmp")  # noqa: S108 - survives a reboot, is local, and the sub folder's owner is checked
NETWORK_FILE_SYSTEMS = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "ceph", "lustre", "gpfs", "beegfs", "glusterfs"}
)


class NameTakenError(Exception):
    """Another process of this name works here."""


def is_held(path: Path) -> bool:
    """Tell whether some process holds a flock on the file; a missing file is held by nobody.

    The probe takes a shared lock for microseconds, so whoever takes the lock for good must try again
    for a moment before it gives up.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def identity_of(path: Path) -> int | None:
    """Return the number of a lock's file, by which it is known again after a reboot; None when there is none.

    Not its device: that one's number is another after a reboot.
    """
    try:
        return path.lstat().st_ino
    except FileNotFoundError:
        return None


def file_system_of(path: Path) -> str:
    """Return the type of the file system that holds the path (proc(5), mountinfo)."""
    resolved = path.resolve()
    best, kind = "", "unknown"
    for line in Path("/proc/self/mountinfo").read_text(errors="replace").splitlines():
        fields = line.split(" ")
        mount_point = fields[4].encode().decode("unicode_escape")
        if resolved.is_relative_to(mount_point) and len(mount_point) >= len(best):
            best, kind = mount_point, fields[fields.index("-") + 1]
    return kind


def is_network(path: Path) -> bool:
    """Tell whether several hosts may see the path."""
    kind = file_system_of(path)
    return kind in NETWORK_FILE_SYSTEMS or kind.startswith("fuse.sshfs")


def agent_lock_path(workspace: Workspace, name: str) -> Path:
    """Return where an agent's lock lies."""
    return lock_path(workspace.agent(name))


def lock_path(folder: Path) -> Path:
    """Return where a folder's lock lies: in it, or on a local disk when the folder is remote.

    flock(2) is nothing on an NFS mounted `nolock` (filelock #6), so a lock there would tell nothing.
    """
    if not is_network(folder.parent):
        return folder / "lock"
    digest = hashlib.sha256(os.fsencode(folder.resolve())).hexdigest()[:16]
    return LOCAL_LOCKS / f"aispool-{os.getuid()}" / f"{digest}.lock"


def take_agent_lock(workspace: Workspace, name: str, wait_s: float = 0) -> FileLock:
    """Hold an agent's name for as long as this process lives.

    Raises:
        NameTakenError: another process holds it.
        OSError: the lock's folder cannot be used.
    """
    taken = f"an agent named {name} already works on {workspace.root}: stop it, or choose another --name"
    return take_lock(agent_lock_path(workspace, name), taken, wait_s)


def take_lock(path: Path, taken: str, wait_s: float = 0) -> FileLock:
    """Hold a lock for as long as this process lives.

    Args:
        path: `lock_path()`.
        taken: what to say when another process holds it.
        wait_s: for it to let go.

    Raises:
        NameTakenError: it did not.
        OSError: the lock's folder cannot be used.
    """
    from filelock import FileLock, Timeout  # noqa: PLC0415 - most commands hold none

    make_folder(path.parent)
    owner = path.parent.lstat()
    if owner.st_uid != os.getuid() or not stat.S_ISDIR(owner.st_mode):
        raise PermissionError(f"{path.parent} belongs to another user: remove it")
    lock = FileLock(path, mode=0o600, fallback_to_soft=False, thread_local=False)
    try:
        lock.acquire(timeout=wait_s)
    except Timeout:
        raise NameTakenError(taken) from None
    return lock
