"""NAME.why beside each waiting file: its id, and why it still waits, for whoever has only `ls` and `cat`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spool.files import put
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

    def begin(self, intake: Intake) -> None:
        """Go through all that waits once more."""
        waiting = [dropped.task_id for dropped in intake.waiting()]
        kept = set(waiting)
        self._written = {task_id: known for task_id, known in self._written.items() if task_id in kept}
        self._left = iter(waiting)

    def write_some(self, intake: Intake, plan: Plan) -> bool:
        """Write the next lines that changed; True when more are left.

        Raises:
            OSError: the disk; the lines are only information.
        """
        for _ in range(MOST_AT_ONCE):
            task_id = next(self._left, None)
            if task_id is None:
                return False
            self.write(task_id, intake, plan)
        return True

    def write(self, task_id: str, intake: Intake, plan: Plan) -> None:
        """Write one task's line when it changed."""
        dropped = intake.get(task_id)
        if dropped is None:
            return
        decision = plan.decision(task_id)
        state = State(getattr(decision, "state", State.QUEUED))
        reason = getattr(decision, "reason", "it starts now").removeprefix(f"{state}: ")
        line = Why(task_id, state, reason).line()
        # a file that was taken out of line and accepted anew, as after an edit, lost its line with that
        if self._written.get(task_id) != (dropped, line):
            path = dropped.path.with_name(stem_of(dropped.path.name) + WHY_SUFFIX)
            put(path, line.encode(), durable=False)
            self._written[task_id] = (dropped, line)
