"""What every step of the agent works with: workspace, options, tools, launchers and clocks."""

from __future__ import annotations

import os
import socket
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from agent.config import host_name
from agent.host.collecting import waiting_for_collector
from agent.launchers import LAUNCHERS
from agent.proctree import boot_id

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from pathlib import Path

    from agent.config import AgentConfig
    from agent.launchers import Launcher
    from agent.tools.registry import Registry
    from spool.admit import Rules
    from spool.task import Task
    from spool.workspace import Workspace

BELL = ".bell"
OUTBOX = ".outbox"


@dataclass(frozen=True, slots=True)
class Site:
    """One agent on one workspace; a reload makes a new one.

    Args:
        name: the agent's.
        monotonic_s: seconds that no clock setting changes.
        utc_now: the wall clock.
    """

    workspace: Workspace
    name: str
    config: AgentConfig
    registry: Registry
    utc_now: Callable[[], datetime]
    monotonic_s: Callable[[], float] = time.monotonic
    host: str = field(default_factory=host_name)
    boot: str = field(default_factory=boot_id)
    launchers: dict[str, Launcher] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        """Return the agent's own folder below sessions/."""
        return self.workspace.agent(self.name)

    @property
    def bell(self) -> Path:
        """Return the folder in which a file named by an id makes the agent look at that task."""
        return self.folder / BELL

    @property
    def outbox(self) -> Path:
        """Return the folder of the notices that hooks were not given yet."""
        return self.folder / OUTBOX

    @property
    def hosts(self) -> frozenset[str]:
        """Return the names by which a task may ask for this host."""
        return frozenset({self.host, socket.gethostname(), self.name})

    def rules(self) -> Rules:
        """Return what may be dropped here."""
        return self.config.rules()

    def launcher(self, task: Task | None = None) -> Launcher:
        """Return the launcher of a task, or the usual one."""
        return self.launcher_named(self.config.launcher_of(task) if task else self.config.launcher)

    def launcher_named(self, name: str) -> Launcher:
        """Return one launcher; there is one of each, which remembers what it was told."""
        if name not in self.launchers:
            self.launchers[name] = LAUNCHERS[name](self.workspace.root)
        return self.launchers[name]


MIN_FREE_INODES = 200


def no_room(site: Site) -> str | None:
    """Return why nothing may be claimed for want of disk, or None."""
    status = os.statvfs(site.workspace.root)
    free = status.f_bavail * status.f_frsize
    if free < site.config.reserve_bytes:
        waiting = waiting_for_collector(site.workspace)
        return (
            f"only {free >> 20} MiB are free on the workspace's disk, {site.config.reserve_bytes >> 20} MiB "
            "are kept for what is running: free some space, or lower reserve_bytes"
            + (f"; {waiting}" if waiting else "")
        )
    if status.f_files and status.f_favail < MIN_FREE_INODES:
        return f"only {status.f_favail} inodes are free on the workspace's disk: remove some files"
    return None
