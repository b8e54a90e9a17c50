"""agent.json: who works here, and by its modification time, that it still does."""

from __future__ import annotations

import os
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING

from agent.proctree import start_ticks
from agent.tools.executable import find_program, service_path
from spool.enrol import enrolment_of, is_enrolled, marked
from spool.files import remove
from spool.locks import agent_lock_path, identity_of
from spool.records import DamagedError, Record, Utc

if TYPE_CHECKING:
    from pathlib import Path

    from agent.host.site import Site
    from spool.workspace import Workspace

FILE = "agent.json"
TOOLS_EVERY_S = 60.0
DEAD = "dead"
"""A person makes this file in an agent's folder to say that its host will never come back."""


def is_called_dead(folder: Path) -> bool:
    """Tell whether a person said that this agent is dead: others then take over what it has."""
    return (folder / DEAD).exists()


def come_back(folder: Path) -> None:
    """Begin to work although a person may have said that we are dead.

    Raises:
        OSError: what says so cannot be removed.
    """
    remove(folder / DEAD)


class Beat(Record):
    """One agent, as others see it."""

    name: str
    host: str
    pid: int
    start_ticks: int | None
    boot_id: str
    started_at: Utc
    version: str
    slots: int
    lock: int | None = None
    state: str
    disk_error: str | None = None
    running: int = 0
    waiting: int = 0
    held: int = 0
    tools: tuple[str, ...] = ()
    cpus: int | None = None
    load: float | None = None
    free_bytes: int | None = None
    workspace_id: str | None = None
    uncollected: int | None = None


@dataclass(frozen=True, slots=True)
class Work:
    """How much an agent has to do.

    Args:
        running: sessions that occupy a slot, those that wait for a person or their time not counted.
        waiting: accepted tasks in the drop folder, those on hold not counted.
    """

    running: int
    waiting: int
    held: int


class Heart:
    """Writes agent.json when it changes, and touches it otherwise."""

    def __init__(self, site: Site) -> None:
        self._file: Path = site.folder / FILE
        self._started_at = site.utc_now()
        self._written: Beat | None = None
        self._tools: tuple[str, ...] = ()
        self._tools_due_s = 0.0

    def beat(self, site: Site, state: str, disk_error: str | None, work: Work) -> None:
        """Say that we live, and how it goes."""
        disk = os.statvfs(site.workspace.root)
        workspace_id, uncollected = _collection(site.workspace)
        now = Beat(
            name=site.name,
            host=site.host,
            pid=os.getpid(),
            start_ticks=start_ticks(os.getpid()),
            boot_id=site.boot,
            started_at=self._started_at,
            version=version("aispool"),
            slots=site.config.slots,
            lock=identity_of(agent_lock_path(site.workspace, site.name)),
            state=state,
            disk_error=disk_error,
            running=work.running,
            waiting=work.waiting,
            held=work.held,
            tools=self._installed(site),
            cpus=os.cpu_count(),
            load=_coarse(os.getloadavg()[0]),
            free_bytes=int(_coarse(disk.f_bavail * disk.f_frsize)),
            workspace_id=workspace_id,
            uncollected=uncollected,
        )
        if now == self._written and self._file.exists():
            os.utime(self._file)
            return
        now.write(self._file, durable=False)
        self._written = now

    def _installed(self, site: Site) -> tuple[str, ...]:
        """Return the tools whose programs are there, looked for now and then."""
        now_s = site.monotonic_s()
        if now_s >= self._tools_due_s:
            self._tools_due_s = now_s + TOOLS_EVERY_S
            path = service_path()
            self._tools = tuple(
                name
                for name in site.registry.names()
                if (tool := site.registry.get(name)) and find_program(tool, path)
            )
        return self._tools


def _collection(workspace: Workspace) -> tuple[str | None, int | None]:
    """Return the id by which a collector knows the workspace, and how many results it does not hold yet."""
    if not is_enrolled(workspace):
        return None, None
    try:
        enrolment = enrolment_of(workspace)
    except DamagedError:
        enrolment = None
    return enrolment.workspace_id if enrolment else None, len(marked(workspace))


def _coarse(value: float) -> float:
    """Round to two digits: what changes all the time would be written all the time."""
    return float(f"{value:.2g}")


def read_beat(folder: Path) -> Beat | None:
    """Return what an agent last said of itself."""
    return Beat.read(folder / FILE)
