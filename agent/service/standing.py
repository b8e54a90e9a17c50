"""How a task stands, in one line for people: its state's reason, what it asks, when it goes on."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from spool.view import View


def standing(view: View, now: datetime | None = None) -> str:
    """Return the reason; with the question of a task that waits for a person, and the time of a parked one.

    The time is local, as people read it; `--json` has it in UTC.
    """
    reason, status = view.reason, view.status
    if status is None:
        return reason
    if view.state == "waiting_input" and status.question:
        question = " ".join(status.question.split())
        return f"asks: {question}"
    if view.state == "deferred" and status.next_attempt_at is not None:
        now = now or datetime.now(UTC)
        if status.next_attempt_at > now:
            return f"{reason}; goes on at {clock(status.next_attempt_at, now)}"
    return reason


def clock(moment: datetime, now: datetime) -> str:
    """Return a local time, with its date when that is not today's."""
    local = moment.astimezone()
    return f"{local:%H:%M:%S}" if local.date() == now.astimezone().date() else f"{local:%Y-%m-%d %H:%M:%S}"
