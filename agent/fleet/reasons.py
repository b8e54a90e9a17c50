"""Why a task still waits with the collector, in words for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.fleet.state import HostState, read_state
from agent.sanitize import one_line
from spool.records import DamagedError, State
from spool.view import Why

if TYPE_CHECKING:
    from datetime import datetime

    from agent.fleet.layout import Mirror
    from agent.fleet.outbox import Parcel


def unreachable(mirror: Mirror) -> str | None:
    """Say why a host cannot be given anything now, as the end of a sentence that its name begins."""
    try:
        state = read_state(mirror)
    except DamagedError:
        state = None
    if state is None or state.reachable is None:
        return "was not reached yet"
    if not state.reachable:
        return f"is not reachable{_since(state)}"
    return f"is reached, but not believed: {one_line(state.problem)}" if state.problem else None


def _since(state: HostState) -> str:
    seen = f", was last seen {local_time(state.last_seen_at)}" if state.last_seen_at else ""
    again = f", is tried again {local_time(state.next_try_at)}" if state.next_try_at else ""
    why = f" ({one_line(state.error)})" if state.error else ""
    return f"{seen}{again}{why}"


def local_time(moment: datetime) -> str:
    """Write a time as people read it."""
    return f"{moment.astimezone():%Y-%m-%d %H:%M}"


def on_its_way(parcel: Parcel, problem: str | None) -> Why:
    """Say where a task is that waits for nothing but its host.

    Args:
        parcel: it.
        problem: why its host cannot be given anything now.
    """
    host = parcel.host
    if not parcel.is_sent:
        reason = f"waits for {host}, which {problem}" if problem else f"is on its way to {host}"
    elif problem is None:
        reason = f"was given to {host}, which does not show it yet"
    else:
        reason = (
            f"may be on {host}, which {problem}; it stays there: "
            f"`aispool fleet reassign {parcel.task_id}` gives it to another host"
        )
    return Why(parcel.task_id, State.QUEUED, reason)
