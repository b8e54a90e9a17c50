"""Tasks that were handed to a cluster behind those they need, before these were over.

The cluster holds such a task back until the others' jobs are over; whether they succeeded is ours to judge.
Its job looks at their results before it begins, and leaves when one did not succeed; then it ends here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from agent.host.observing import record_end
from agent.host.session import read_exit
from agent.host.waiting import FAILED_STATES
from spool.attempt import Phase
from spool.known import state_on_disk

if TYPE_CHECKING:
    from agent.host.session import Session
    from agent.host.site import Site

ENDED_BY: Final = "dependency"
"""`ended_by` in the exit file of an attempt that never began because of another task."""


@dataclass(frozen=True, slots=True)
class Unmet:
    """A task that has not succeeded.

    Args:
        state: in which it ended; None while it has not.
        words: for a person.
    """

    state: str | None
    words: str


def unmet_dependency(site: Site, session: Session) -> Unmet | None:
    """Return what a prepared attempt still needs: what failed first, else what is not over."""
    if not session.on_cluster:
        return None  # it was not taken before its turn
    states = {task_id: state_on_disk(site.workspace, task_id) for task_id in session.task.dependencies}
    for task_id, state in states.items():
        if state in FAILED_STATES:
            return Unmet(state, f"dependency {task_id} did not succeed: {state}")
    waiting = [task_id for task_id, state in states.items() if state is None]
    return Unmet(None, f"it waits for {waiting[0]}, whose job is over") if waiting else None


def end_by_dependency(site: Site, session: Session, words: str) -> bool:
    """Record that the attempt will never begin; False when its wrapper came all the same."""
    assert session.attempt is not None
    return record_end(site, session.attempt, ENDED_BY, words, None) is Phase.ENDED


def ended_by_dependency(session: Session) -> str | None:
    """Return why an attempt never began; None when it was something else that ended it."""
    ended = read_exit(session.attempt) if session.attempt is not None else None
    return ended.error if ended is not None and ended.ended_by == ENDED_BY else None
