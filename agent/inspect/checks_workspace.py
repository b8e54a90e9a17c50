"""Checks of the workspace: who may enter, what its file system can, what its configuration says."""

from __future__ import annotations

import fcntl
import os
import stat
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from agent.config import ConfigError, load, load_or_defaults, read_toml
from agent.inspect.agents import agents
from agent.inspect.finding import Finding, note, ok, problem
from agent.inspect.queue import has_waiting, pauses
from agent.tools.registry import Registry
from spool.files import no_writer_holds
from spool.locks import file_system_of, is_held, is_network

if TYPE_CHECKING:
    from collections.abc import Iterator

    from spool.workspace import Workspace

FEW_INODES: Final = 1000
MOST_SKEW_S: Final = 2.0
HOOKS: Final = frozenset({"on-start", "on-finish", "on-waiting"})


def ownership(workspace: Workspace) -> Iterator[Finding]:
    """Look at who may enter: tasks are run, so whoever writes here runs programs as us."""
    status = workspace.root.stat()
    if status.st_uid != os.geteuid():
        yield problem(
            "workspace",
            f"{workspace.root} belongs to user {status.st_uid}, not to you",
            "run this as its owner, or choose another workspace",
        )
    if status.st_mode & 0o077:
        yield problem(
            "workspace",
            f"others may enter {workspace.root} (mode {stat.S_IMODE(status.st_mode):04o})",
            f"chmod 700 {workspace.root}",
        )
    for folder in workspace.folders():
        if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
            yield problem("workspace", f"{folder} cannot be written", f"chmod u+rwx {folder}")
    if status.st_uid == os.geteuid() and not status.st_mode & 0o077:
        yield ok("workspace", f"{workspace.root} is yours alone")


def file_system(workspace: Workspace) -> Iterator[Finding]:
    """Try what the protocol relies on: leases, locks, and that all folders are on one file system."""
    kind = file_system_of(workspace.root)
    if is_network(workspace.root):
        yield note(
            "file system",
            f"{kind} may be shared by several hosts: no events, no leases, locks of little worth",
            "prefer a local disk; on this one give each host's agent its own --name",
        )
    devices = {folder.stat().st_dev for folder in workspace.folders()}
    if len(devices) > 1:
        yield problem(
            "file system", "the workspace spans several file systems, so nothing can be renamed into place",
            "mount one file system over the whole workspace",
        )  # fmt: skip
    with _scratch(workspace.tasks) as path:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            lease = no_writer_holds(descriptor)
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            works = is_held(path)
        finally:
            os.close(descriptor)
    if lease is None:
        yield note(
            "leases", f"{kind} grants none", "a dropped file is then read once it was quiet for quiet_s"
        )
    else:
        yield ok("leases", f"{kind} tells whether a file is still being written")
    if works:
        yield ok("locks", f"flock works on {kind}")
    else:
        yield problem("locks", f"flock does nothing on {kind}", "put the workspace on a local disk")


def room(workspace: Workspace) -> Iterator[Finding]:
    """Look at free space and inodes."""
    reserve = load_or_defaults(workspace)[0].reserve_bytes
    status = os.statvfs(workspace.root)
    free = status.f_bavail * status.f_frsize
    remedy = "aispool clean, free some space, or lower reserve_bytes in configs/agent.toml"
    if free < reserve:
        yield problem(
            "disk", f"{free >> 20} MiB are free, less than the reserve of {reserve >> 20} MiB", remedy
        )
    elif free < 2 * reserve:
        yield note("disk", f"{free >> 20} MiB are free, the reserve is {reserve >> 20} MiB", remedy)
    else:
        yield ok("disk", f"{free >> 20} MiB are free")
    if status.f_files and status.f_favail < FEW_INODES:
        yield problem("disk", f"{status.f_favail} inodes are free", "remove small files, or lower keep_count")


def clock_of_disk(workspace: Workspace) -> Iterator[Finding]:
    """Compare the times that the disk writes with our clock: a file server has one of its own."""
    with _scratch(workspace.tasks) as path:
        skew_s = path.stat().st_mtime - time.time()
    if abs(skew_s) > MOST_SKEW_S:
        yield problem(
            "clock", f"the workspace's disk is {skew_s:+.0f} s off our clock", "let a time server set both"
        )


def configuration(workspace: Workspace) -> Iterator[Finding]:
    """Read every configuration file as its user would."""
    broken = 0
    for path in sorted(workspace.configs.glob("*.toml")):
        try:
            if path.name == "agent.toml":
                load(workspace)
            elif path.name == "tools.toml":
                Registry.load(workspace)
            else:
                read_toml(path)
        except ConfigError as error:
            broken += 1
            where = f"{path.name}, {error.place}" if error.place else path.name
            yield problem("configuration", f"{where}: {error.what}", error.remedy)
    if not broken:
        yield ok("configuration", "every file of configs/ can be used")
    for what in pauses(workspace):
        yield note(
            "paused", f"claiming is paused: {what}", "aispool resume (--tool, --group) starts it again"
        )


def secrets(workspace: Workspace) -> Iterator[Finding]:
    """Look at the files with secrets."""
    bad = 0
    for path in sorted((workspace.configs / "env").iterdir()):
        status = path.stat()
        if stat.S_ISREG(status.st_mode) and status.st_mode & 0o077:
            bad += 1
            yield problem("secrets", f"others may read {path}", f"chmod 600 {path}, and change what is in it")
    if not bad:
        yield ok("secrets", "only you can read the files of configs/env")


def hooks(workspace: Workspace) -> Iterator[Finding]:
    """Look at the hooks: a file that cannot be run, or has another name, never does anything."""
    for path in sorted((workspace.configs / "hooks").iterdir()):
        if path.name.startswith(".") or path.suffix in {".sample", ".md", ".txt"}:
            continue
        if path.name not in HOOKS:
            yield note("hooks", f"{path.name} is no hook", f"name it {', '.join(sorted(HOOKS))}")
        elif not (path.is_file() and os.access(path, os.X_OK)):
            yield problem("hooks", f"{path} cannot be run", f"chmod u+x {path}")
        else:
            yield ok("hooks", f"{path.name} can be run")


def agents_here(workspace: Workspace) -> Iterator[Finding]:
    """Look for an agent that works here."""
    alive = [agent for agent in agents(workspace) if agent.alive]
    for agent in alive:
        if agent.hangs:
            yield problem(
                "agent",
                f"{agent.name} (pid {agent.pid}) gave no sign of life for {agent.heartbeat_age_s:.0f} s",
                "see logs/agent.log, and restart it",
            )
        else:
            yield ok("agent", f"{agent.name} works here (pid {agent.pid})")
    if not alive:
        grade = problem if has_waiting(workspace) else note
        yield grade("agent", "none works here now", "aispool agent, or start its unit")


@contextmanager
def _scratch(folder: Path) -> Iterator[Path]:
    """Make a hidden file for a moment; the drop folder ignores it."""
    handle, name = tempfile.mkstemp(prefix=".doctor-", dir=folder)
    os.close(handle)
    try:
        yield Path(name)
    finally:
        Path(name).unlink(missing_ok=True)
