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
from spool.admit import Rules

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from pathlib import Path

    from agent.config import AgentConfig
    from agent.launchers import Launcher
    from agent.tools.registry import Registry
    from spool.task import AcceptedTask
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
        config = self.config
        return Rules(
            config.max_task_bytes,
            config.quiet_s,
            config.reject_unparsable_after_s,
            config.allowed_uids,
        )

    def launcher(self, task: AcceptedTask | None = None) -> Launcher:
        """Return the launcher that a task asks for, or the configured one."""
        name = (task.launcher if task else None) or self.config.launcher
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
