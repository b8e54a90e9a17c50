"""NAME.why beside each waiting file: its id, and why it still waits, for whoever has only `ls` and `cat`."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from agent.host.pace import Pace
from spool.files import post, put
from spool.names import WHY_SUFFIX, stem_of
from spool.records import State
from spool.view import Why

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agent.host.intake import Dropped, Intake
    from agent.host.schedule import Plan

MOST_AT_ONCE = 200
"""Lines written in one turn; a backlog gets its lines over the next turns, in the order of its coming."""


class Whys:
    """Keeps the lines true, a bounded number at a time."""

    def __init__(self) -> None:
        self._written: dict[str, tuple[Dropped, str]] = {}
        self._left: Iterator[str] = iter(())
        self._pace = Pace()

    def begin(self, intake: Intake) -> None:
        """Go through all that waits once more; after a long way round not at once."""
        if not self._pace.may_begin():
            return
        self._pace.begins()
        waiting = [dropped.task_id for dropped in intake.waiting()]
        kept = set(waiting)
        self._written = {task_id: known for task_id, known in self._written.items() if task_id in kept}
        self._left = iter(waiting)

    def write_some(self, intake: Intake, plan: Plan) -> bool:
        """Write the next lines that changed; True when more are left.

        Raises:
            OSError: the disk; the lines are only information.
        """
        some = list(islice(self._left, MOST_AT_ONCE))
        with self._pace.counted():
            for task_id in some:
                self.write(task_id, intake, plan)
        return len(some) == MOST_AT_ONCE

    def write(self, task_id: str, intake: Intake, plan: Plan) -> None:
        """Write one task's line when it changed."""
        dropped = intake.get(task_id)
        if dropped is None or task_id not in plan.index:
            return  # being claimed, or refused: it is looked at again
        decision = plan.decision(task_id)
        state = State(getattr(decision, "state", State.QUEUED))
        reason = getattr(decision, "reason", "it starts now").removeprefix(f"{state}: ")
        line = Why(task_id, state, reason).line()
        # a file that was taken out of line and accepted anew, as after an edit, lost its line with that
        if self._written.get(task_id) != (dropped, line):
            path = dropped.path.with_name(stem_of(dropped.path.name) + WHY_SUFFIX)
            if dropped.is_given:
                put(path, line.encode(), durable=False)  # the id of a file that brought none is kept here
            else:
                post(path, line.encode())
            self._written[task_id] = (dropped, line)
