"""How this host is, as one value: agents, sessions, processes, queue, disk, logs, and what is wrong."""

from __future__ import annotations

import os
import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from agent.config import host_name, load_or_defaults
from agent.inspect.agents import AgentView, agents
from agent.inspect.configuration import configuration_problems
from agent.inspect.documents import document
from agent.inspect.follow import tail
from agent.inspect.processes import Process, Tally, largest, of_session, tally
from agent.inspect.queue import counts, has_waiting, pauses
from agent.inspect.terminals import ai_work_sessions
from agent.sanitize import Plain
from spool.records import iso
from spool.view import View, in_session, rejected

if TYPE_CHECKING:
    from pathlib import Path

    from agent.config import AgentConfig
    from spool.workspace import Workspace

LARGEST: Final = 10
RECENT_S: Final = 3600.0
TAIL_LINES: Final = 5
REPORT_PREFIX: Final = "healthcheck-"


@dataclass(frozen=True, slots=True)
class Disk:
    """Room on the workspace's disk."""

    total_bytes: int
    free_bytes: int
    reserve_bytes: int
    free_inodes: int | None


@dataclass(frozen=True, slots=True)
class RecentLog:
    """A log that changed lately, and its last lines without what steers a terminal."""

    name: str
    changed_at: str
    size_bytes: int
    last_lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Health:
    """All of it; `problems` is empty when all is well."""

    host: str
    checked_at: str
    agents: list[AgentView]
    sessions: list[View]
    terminals: list[str]
    tallies: list[Tally]
    largest: list[Process]
    queue: dict[str, int]
    paused: list[str]
    rejected: int
    disk: Disk
    logs: list[RecentLog]
    problems: list[str]


def examine(workspace: Workspace, now_s: float | None = None) -> Health:
    """Look at everything once; a configuration that cannot be used is a problem, and hides nothing.

    Args:
        workspace: where.
        now_s: the wall clock.
    """
    config, _ = load_or_defaults(workspace)
    now_s = time.time() if now_s is None else now_s
    sessions = list(in_session(workspace))
    processes = {view.task_id: of_session(view.path) for view in sessions}
    found = agents(workspace, now_s)
    disk = _disk(workspace, config)
    return Health(
        host=host_name(),
        checked_at=iso(datetime.fromtimestamp(now_s, UTC)),
        agents=found,
        sessions=sessions,
        terminals=ai_work_sessions(),
        tallies=[tally(task_id, own) for task_id, own in processes.items() if own],
        largest=largest((process for own in processes.values() for process in own), LARGEST),
        queue=counts(workspace),
        paused=pauses(workspace),
        rejected=len(rejected(workspace)),
        disk=disk,
        logs=_recent_logs(workspace, now_s),
        problems=[
            *_agent_problems(workspace, found, sessions),
            *_disk_problems(workspace, disk),
            *configuration_problems(workspace),
        ],
    )


def _disk(workspace: Workspace, config: AgentConfig) -> Disk:
    status = os.statvfs(workspace.root)
    return Disk(
        total_bytes=status.f_blocks * status.f_frsize,
        free_bytes=status.f_bavail * status.f_frsize,
        reserve_bytes=config.reserve_bytes,
        free_inodes=status.f_favail if status.f_files else None,
    )


def _agent_problems(workspace: Workspace, found: list[AgentView], sessions: list[View]) -> list[str]:
    problems = []
    alive = [agent for agent in found if agent.alive]
    if not alive and (has_waiting(workspace) or sessions):
        problems.append("tasks wait, and no agent works here: run `aispool agent`, or start its unit")
    for agent in alive:
        if agent.hangs:
            problems.append(
                f"the agent {agent.name} (pid {agent.pid}) gave no sign of life for "
                f"{agent.heartbeat_age_s:.0f} s: see logs/agent.log, and restart it"
            )
        if agent.disk_error:
            problems.append(f"the agent {agent.name} stopped claiming: {agent.disk_error}")
    return problems


def _disk_problems(workspace: Workspace, disk: Disk) -> list[str]:
    if not os.access(workspace.tasks, os.W_OK) or os.statvfs(workspace.root).f_flag & os.ST_RDONLY:
        return [f"{workspace.root} cannot be written: remount it, or mend its permissions"]
    if disk.free_bytes < disk.reserve_bytes:
        what = (
            f"{disk.free_bytes >> 20} MiB are free, less than the reserve of {disk.reserve_bytes >> 20} MiB"
        )
        return [f"{what}, so nothing is claimed: `aispool clean`, free some space, or lower reserve_bytes"]
    return []


def _recent_logs(workspace: Workspace, now_s: float) -> list[RecentLog]:
    found: list[tuple[float, RecentLog]] = []
    with os.scandir(workspace.logs) as entries:
        names = sorted(e.name for e in entries if e.is_file(follow_symlinks=False))
    for name in names:
        if name.startswith((".", REPORT_PREFIX)):
            continue
        recent = _recent(workspace.logs / name, now_s)
        if recent is not None:
            found.append(recent)
    return [log for _, log in sorted(found, key=lambda pair: -pair[0])]


def _recent(path: Path, now_s: float) -> tuple[float, RecentLog] | None:
    try:
        status = path.stat()
        if now_s - status.st_mtime > RECENT_S:
            return None
        content = tail(path, TAIL_LINES)
    except FileNotFoundError:
        return None  # rotated at this moment
    plain = Plain()
    lines = (plain.feed(content) + plain.end()).splitlines()[-TAIL_LINES:]
    changed_at = iso(datetime.fromtimestamp(status.st_mtime, UTC))
    return status.st_mtime, RecentLog(path.name, changed_at, status.st_size, tuple(lines))


def health_document(workspace: Workspace, health: Health) -> dict[str, Any]:
    """Return it as JSON has it."""
    return document(
        workspace,
        ok=not health.problems,
        problems=health.problems,
        host=health.host,
        checked_at=health.checked_at,
        agents=[{**asdict(agent), "hangs": agent.hangs} for agent in health.agents],
        sessions=[
            {
                "task_id": view.task_id,
                "state": str(view.state),
                "tool": view.tool,
                "reason": view.reason,
                "since": iso(view.changed_at) if view.changed_at else None,
                "attach": view.status.attach if view.status else None,
            }
            for view in health.sessions
        ],
        terminals=health.terminals,
        usage=[asdict(one) for one in health.tallies],
        largest_processes=[asdict(process) for process in health.largest],
        queue=health.queue,
        paused=health.paused,
        rejected=health.rejected,
        disk=asdict(health.disk),
        recent_logs=[asdict(log) for log in health.logs],
    )
