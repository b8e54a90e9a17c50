"""The processes of running attempts: memory, processor time, and which are the largest.

Names only, never arguments: those may hold prompts.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from agent.proctree import Tree, boot_id, is_same
from spool.attempt import Phase, attempts_of
from spool.records import DamagedError, Started

if TYPE_CHECKING:
    from collections.abc import Iterable

    from spool.attempt import Attempt

PROC: Final = Path("/proc")
TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")
PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True)
class Process:
    """One process; `cpu_percent` is of one processor, over its whole life, as ps(1) has it."""

    pid: int
    task_id: str
    name: str
    rss_bytes: int
    cpu_s: float
    cpu_percent: float
    elapsed_s: float


@dataclass(frozen=True, slots=True)
class Tally:
    """What the processes of one task use together."""

    task_id: str
    processes: int
    rss_bytes: int
    cpu_s: float


def of_session(folder: Path) -> list[Process]:
    """Return the living processes of a session's latest attempt, its wrapper's included."""
    attempts = attempts_of(folder)
    if not attempts or attempts[-1].phase() not in {Phase.RUNNING, Phase.ORPHANED}:
        return []
    pids = _pids(attempts[-1])
    return [process for pid in sorted(pids) if (process := _read(pid, folder.name)) is not None]


def _pids(attempt: Attempt) -> set[int]:
    try:
        started = Started.read(attempt.started)
    except DamagedError:
        started = None
    if started is None or started.boot_id != boot_id():
        return Tree(str(attempt.folder), attempt.tree_lock).members()
    pids = Tree(str(attempt.folder), attempt.tree_lock, started.tool_pid, started.tool_start_ticks).members()
    if is_same(started.wrapper_pid, started.wrapper_start_ticks, started.boot_id):
        pids.add(started.wrapper_pid)
    return pids


def tally(task_id: str, processes: Iterable[Process]) -> Tally:
    """Add up the processes of one task."""
    mine = list(processes)
    return Tally(task_id, len(mine), sum(p.rss_bytes for p in mine), round(sum(p.cpu_s for p in mine), 2))


def largest(processes: Iterable[Process], most: int) -> list[Process]:
    """Return those that use the most memory, the largest first."""
    return sorted(processes, key=lambda process: (-process.rss_bytes, process.pid))[:most]


def _read(pid: int, task_id: str) -> Process | None:
    """Read proc(5) stat; None when the process ended."""
    try:
        text = (PROC / str(pid) / "stat").read_text(errors="replace")
        uptime_s = float((PROC / "uptime").read_text().split()[0])
    except (FileNotFoundError, ProcessLookupError):
        return None
    name = text[text.index("(") + 1 : text.rindex(")")]
    fields = text[text.rindex(")") + 2 :].split()
    cpu_s = (int(fields[11]) + int(fields[12])) / TICKS_PER_S
    elapsed_s = max(uptime_s - int(fields[19]) / TICKS_PER_S, 1 / TICKS_PER_S)
    return Process(
        pid=pid,
        task_id=task_id,
        name=name,
        rss_bytes=int(fields[21]) * PAGE_BYTES,
        cpu_s=round(cpu_s, 2),
        cpu_percent=round(100 * cpu_s / elapsed_s, 1),
        elapsed_s=round(elapsed_s, 1),
    )
