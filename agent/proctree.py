"""Processes told apart for sure, and a tool's processes ended together. Standard library only.

A pid alone lies: zombies answer signal 0, and numbers are given out again. A process is known by pid and
start time (proc(5), field 22 of stat) within one boot. A tool's processes are known by their group, by
the tree.lock that they inherited, or by the name of their attempt in their environment, so that neither
closing all descriptors nor leaving the group hides one.
"""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

PROC = Path("/proc")
STAT_BYTES = 4096
"""More than 52 numbers and a name of 64 bytes ever take."""
MARKER = "AISPOOL_ATTEMPT"
"""Environment name that holds the attempt's folder in every process of a tool."""


@dataclass(frozen=True, slots=True)
class Stat:
    """What proc(5) tells of a process."""

    pid: int
    state: str
    parent: int
    group: int
    session: int
    start_ticks: int


@dataclass(frozen=True, slots=True)
class Tree:
    """What identifies the processes of one attempt.

    Args:
        marker: the attempt's folder, as it stands in MARKER.
        lock: the attempt's tree.lock.
        leader: the tool's own pid, which is its group's number; None when unknown.
        leader_start_ticks: its start time.
    """

    marker: str
    lock: Path
    leader: int | None = None
    leader_start_ticks: int | None = None

    def members(self) -> set[int]:
        """Return the living processes of the attempt, without ourselves."""
        return self._own_group() | self._marked()

    def _own_group(self) -> set[int]:
        if self.leader is None:
            return set()
        leader = read_stat(self.leader)
        if leader is None or leader.start_ticks != self.leader_start_ticks:
            return set()
        return group_members(self.leader)

    def _marked(self) -> set[int]:
        wanted = f"{MARKER}={self.marker}\0".encode()
        try:
            lock = self.lock.stat()
        except FileNotFoundError:
            lock = None
        return {
            pid
            for pid in all_pids()
            if pid != os.getpid()
            and (_environment_holds(pid, wanted) or (lock is not None and _holds(pid, lock)))
            and read_stat(pid) is not None
        }


@cache
def boot_id() -> str:
    """Return what changes at every boot (random(4))."""
    return (PROC / "sys/kernel/random/boot_id").read_text().strip()


def read_stat(pid: int) -> Stat | None:
    """Return a process's record; None when there is none, or only its zombie."""
    try:
        # opened and read as such: a file object makes three times as many calls, and a record is one read
        descriptor = os.open(f"{PROC}/{pid}/stat", os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        text = os.read(descriptor, STAT_BYTES)
    except ProcessLookupError:
        return None
    finally:
        os.close(descriptor)
    # the name stands in brackets and may hold anything, brackets too
    fields = text[text.rindex(b")") + 2 :].split()
    if fields[0] in b"ZX":
        return None
    return Stat(pid, fields[0].decode(), int(fields[1]), int(fields[2]), int(fields[3]), int(fields[19]))


def all_pids() -> list[int]:
    """Return every process that we can see."""
    return [int(name) for name in os.listdir(PROC) if name.isdigit()]


def start_ticks(pid: int) -> int | None:
    """Return a living process's start time in clock ticks since the boot."""
    stat = read_stat(pid)
    return stat.start_ticks if stat else None


def is_same(pid: int, ticks: int, boot: str) -> bool:
    """Tell whether the process that was recorded still lives."""
    return boot == boot_id() and start_ticks(pid) == ticks


def group_members(group: int) -> set[int]:
    """Return the living processes of a group, without ourselves."""
    us = os.getpid()
    # most are not: one call tells, where reading each record takes milliseconds
    found = [read_stat(pid) for pid in all_pids() if pid != us and _is_in(pid, group)]
    return {stat.pid for stat in found if stat is not None and stat.group == group}


def _is_in(pid: int, group: int) -> bool:
    try:
        return os.getpgid(pid) == group
    except OSError:
        return False  # just gone, or hidden from us


def _environment_holds(pid: int, wanted: bytes) -> bool:
    try:
        environment = (PROC / str(pid) / "environ").read_bytes()
    except OSError:
        return False  # another user's, or just gone
    return environment.startswith(wanted) or b"\0" + wanted in environment


def _holds(pid: int, lock: os.stat_result) -> bool:
    folder = PROC / str(pid) / "fd"
    try:
        for name in os.listdir(folder):
            with suppress(FileNotFoundError):
                if (folder / name).readlink().name != "tree.lock":
                    continue
                status = (folder / name).stat()
                if (status.st_dev, status.st_ino) == (lock.st_dev, lock.st_ino):
                    return True
    except OSError:
        return False  # another user's, or just gone
    return False


@dataclass(slots=True)
class Ending:
    """Ends processes step by step: TERM, then after the grace KILL, until none is left.

    Args:
        tree: whose processes.
        grace_s: how long TERM may take.
        group_only: spare what left the tool's group.
    """

    tree: Tree
    grace_s: float
    group_only: bool = False
    _asked: set[int] = field(default_factory=set)
    _kill_at_s: float | None = None

    def step(self, now_s: float) -> bool:
        """Signal what still lives; True when nothing does. Call again until then.

        Args:
            now_s: a monotonic clock.
        """
        members = self._members()
        if not members:
            return True
        if self._kill_at_s is None:
            self._kill_at_s = now_s + self.grace_s
        if now_s >= self._kill_at_s:
            _signal(members, signal.SIGKILL)
        else:
            _signal(members - self._asked, signal.SIGTERM, signal.SIGCONT)
            self._asked |= members
        return False

    def _members(self) -> set[int]:
        if self.group_only:
            return group_members(self.tree.leader) if self.tree.leader else set()
        return self.tree.members()


def _signal(pids: set[int], *numbers: int) -> None:
    for pid in pids:
        for number in numbers:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, number)
