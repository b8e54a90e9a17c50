"""How the hosts are: our own first, then those that are configured, as the collector last saw them."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from agent.config import ConfigError, host_name
from agent.fleet.gone import gone
from agent.fleet.hosts import load
from agent.fleet.layout import ANY, Fleet
from agent.fleet.outbox import parcels
from agent.fleet.reasons import unreachable
from agent.fleet.state import HostState, read_state
from agent.host.beat import Beat, read_beat
from agent.inspect.agents import AgentView, agents
from agent.inspect.queue import pauses
from spool.names import is_dropped_name
from spool.records import DamagedError, State, iso, utc_now
from spool.view import in_session

if TYPE_CHECKING:
    from agent.fleet.layout import Mirror
    from agent.service.places import Desk
    from spool.workspace import Workspace


def hosts(desk: Desk) -> list[dict[str, Any]]:
    """Return every host as a document; no network is needed.

    Fields: host (null for our own), name (for people), address (null for our own), reachable (null when it
    was never reached), last_seen_at (UTC ISO 8601), agents (name, alive, heartbeat_age_s, pid, host,
    started_at, version, slots, state, disk_error), agent_version, slots, slots_used, load_1m,
    disk_free_bytes, disk_total_bytes (null when nobody knows), waiting, running, waiting_for_a_person,
    uncollected, on_its_way, unknown (counts), paused (everything, tool NAME, group NAME), trouble (one line,
    null when there is none).
    """
    fleet = Fleet(desk.workspace)
    try:
        names, problem = list(load(desk.workspace)), None
    except ConfigError as error:
        names, problem = [name for name in desk.mirror_names() if name != ANY], str(error)
    return [_own(desk.workspace, problem), *(_of_mirror(fleet.mirror(name)) for name in names)]


def standing(mirror: Mirror) -> dict[str, Any]:
    """Return how the collector last saw one host: state.json, and what is on its way to it.

    `on_its_way` tasks are provably not there, `unknown` ones may be, `unaccounted` ones were and are shown no
    more; `trouble` is one line, null when there is none.
    """
    try:
        state: HostState | None = read_state(mirror)
    except DamagedError:
        state = None
    state = state or HostState(host=mirror.name, address="")
    sent = [parcel.note() for parcel in parcels(mirror.sent.tasks)]
    lost_sight_of = gone(mirror)
    return {
        **state.model_dump(mode="json"),
        "on_its_way": sum(1 for _ in parcels(mirror.outbox.tasks)),
        "unknown": sum(1 for note in sent if note is not None and note.seen_at is None),
        "unaccounted": lost_sight_of,
        "trouble": unreachable(mirror) or state.error or _about(lost_sight_of),
    }


def _about(gone: list[str]) -> str | None:
    if not gone:
        return None
    more = f" and {len(gone) - 1} more" if len(gone) > 1 else ""
    return f"{gone[0]}{more} gone from there: `aispool show --all {gone[0]}` says what to do"


def _own(workspace: Workspace, problem: str | None) -> dict[str, Any]:
    found = agents(workspace)
    alive = [agent for agent in found if agent.alive]
    disk = os.statvfs(workspace.root)
    return {
        "host": None,
        "name": host_name(),
        "address": None,
        "reachable": True,
        "last_seen_at": iso(utc_now()),
        "agents": [_agent(agent) for agent in found],
        **_said(workspace, {agent.name for agent in alive}),
        "load_1m": os.getloadavg()[0],
        "disk_free_bytes": disk.f_bavail * disk.f_frsize,
        "disk_total_bytes": disk.f_blocks * disk.f_frsize,
        "waiting": sum(map(is_dropped_name, os.listdir(workspace.tasks))),
        **_in_session(workspace),
        **dict.fromkeys(("uncollected", "on_its_way", "unknown"), 0),
        "paused": pauses(workspace),
        "trouble": problem or _trouble(alive),
    }


def _agent(agent: AgentView) -> dict[str, Any]:
    names = ("name", "alive", "heartbeat_age_s", "pid", "host", "started_at", "version", "slots", "state")
    return {name: getattr(agent, name) for name in (*names, "disk_error")}


def _trouble(alive: list[AgentView]) -> str | None:
    if not alive:
        return "no agent works here now: `aispool agent` starts one"
    for agent in alive:
        if agent.hangs:
            return f"the agent {agent.name} gives no sign of life: `aispool doctor` says more"
        if agent.disk_error:
            return f"the agent {agent.name}: {agent.disk_error}"
    return None


def _of_mirror(mirror: Mirror) -> dict[str, Any]:
    seen, workspace = standing(mirror), mirror.workspace
    asking, paused = 0, list[str]()
    with suppress(FileNotFoundError):  # it was never looked at
        asking = _in_session(workspace)["waiting_for_a_person"]
        paused = pauses(workspace)
    same = ("reachable", "last_seen_at", "waiting", "running", "uncollected", "on_its_way", "unknown")
    return {
        "host": mirror.name,
        "name": mirror.name,
        "address": seen["address"] or None,
        "agents": [],
        **_said(workspace, None),
        "disk_total_bytes": None,
        "waiting_for_a_person": asking,
        "paused": paused,
        "trouble": seen["trouble"],
        **{name: seen[name] for name in same},
    }


def _said(workspace: Workspace, names: set[str] | None) -> dict[str, Any]:
    """Return what the agents last said of themselves; null where none did.

    Args:
        workspace: whose.
        names: of the agents that live; None for all that did not say that they stopped.
    """
    beats = [beat for beat in _beats(workspace) if beat.state != "stopped"]
    beats = [beat for beat in beats if names is None or beat.name in names]
    loads = [beat.load for beat in beats if beat.load is not None]
    free = [beat.free_bytes for beat in beats if beat.free_bytes is not None]
    return {
        "agent_version": beats[0].version if beats else None,
        "slots": sum(beat.slots for beat in beats) if beats else None,
        "slots_used": sum(beat.running for beat in beats) if beats else None,
        "load_1m": max(loads, default=None),
        "disk_free_bytes": min(free, default=None),
    }


def _beats(workspace: Workspace) -> list[Beat]:
    found = []
    with suppress(FileNotFoundError):
        for folder in workspace.agents():
            with suppress(DamagedError, OSError):
                beat = read_beat(folder)
                found += [beat] if beat is not None else []
    return found


def _in_session(workspace: Workspace) -> dict[str, int]:
    states = [view.state for view in in_session(workspace)]
    running, asking = states.count(State.RUNNING), states.count(State.WAITING_INPUT)
    return {"running": running, "waiting_for_a_person": asking}
