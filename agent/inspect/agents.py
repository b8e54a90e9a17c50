"""The agents of a workspace: who works here, since when, and whether it still breathes.

An agent lives as long as its lock is held. Its heartbeat is the change time of agent.json: a held lock with
an old heartbeat is an agent that hangs.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from spool.files import read_regular
from spool.locks import agent_lock_path, is_held
from spool.workspace import AGENT_PREFIX

if TYPE_CHECKING:
    from pathlib import Path

    from spool.workspace import Workspace

HANGS_AFTER_S: Final = 60.0
RECORD: Final = "agent.json"
COMMAND_LINE_PREFIX: Final = "cli-"
"""Names under which this command line itself holds a claim for a moment, without a record."""


@dataclass(frozen=True, slots=True)
class AgentView:
    """One agent; the fields of its record are None when it never wrote one that can be read."""

    name: str
    alive: bool
    heartbeat_age_s: float | None
    pid: int | None = None
    host: str | None = None
    started_at: str | None = None
    version: str | None = None
    slots: int | None = None
    state: str | None = None
    disk_error: str | None = None

    @property
    def hangs(self) -> bool:
        """Tell whether it lives without a sign of life."""
        return self.alive and self.heartbeat_age_s is not None and self.heartbeat_age_s > HANGS_AFTER_S


def agents(workspace: Workspace, now_s: float | None = None) -> list[AgentView]:
    """Return every agent that ever worked here, by name."""
    now_s = time.time() if now_s is None else now_s
    found = []
    for folder in workspace.agents():
        name = folder.name.removeprefix(AGENT_PREFIX)
        if not name.startswith(COMMAND_LINE_PREFIX) or (folder / RECORD).exists():
            found.append(_view(name, folder, is_held(agent_lock_path(workspace, name)), now_s))
    return found


def any_alive(workspace: Workspace) -> bool:
    """Tell whether an agent works here."""
    return any(agent.alive for agent in agents(workspace))


def _view(name: str, folder: Path, alive: bool, now_s: float) -> AgentView:  # noqa: FBT001 - private
    file = folder / RECORD
    try:
        record = json.loads(read_regular(file, 1 << 16))
        age_s = max(0.0, now_s - file.lstat().st_mtime)
    except (OSError, ValueError):
        return AgentView(name, alive, None)
    if not isinstance(record, dict):
        return AgentView(name, alive, age_s)
    return AgentView(
        name,
        alive,
        age_s,
        pid=_of(record, "pid", int),
        host=_of(record, "host", str),
        started_at=_of(record, "started_at", str),
        version=_of(record, "version", str),
        slots=_of(record, "slots", int),
        state=_of(record, "state", str),
        disk_error=_of(record, "disk_error", str),
    )


def _of(record: dict[str, Any], name: str, kind: type) -> Any:
    value = record.get(name)
    return value if isinstance(value, kind) else None
