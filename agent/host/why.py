"""NAME.why beside each waiting file: its id, and why it still waits, for whoever has only `ls` and `cat`."""

from __future__ import annotations

from functools import partial
from itertools import islice
from typing import TYPE_CHECKING

from agent.host.pace import Pace
from spool.files import post, put
from spool.names import WHY_SUFFIX, stem_of
from spool.records import State
from spool.view import Why

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from agent.host.intake import Intake
    from agent.host.schedule import Plan

MOST_AT_ONCE = 200
"""Lines written in one turn; a backlog gets its lines over the next turns, in the order of its coming."""
LEAST_AT_ONCE = 4
"""The same when something else waits to be done."""


class Whys:
    """Keeps the lines true, a bounded number at a time."""

    def __init__(self, pace: Pace | None = None) -> None:
        self._left: Iterator[str] = iter(())
        self._is_going_round = False
        self._pace = pace or Pace()

    def begin(self, intake: Intake) -> None:
        """Go through all that waits once more; after a long way round not at once."""
        if not self._pace.may_begin():
            return
        self._pace.begins()
        self._left = iter([dropped.task_id for dropped in intake.waiting()])
        self._is_going_round = True

    def write_some(self, intake: Intake, plan: Plan, is_wanted: Callable[[], bool]) -> bool:
        """Write the next lines that changed; True when more are left.

        Args:
            intake: what waits.
            plan: why.
            is_wanted: tells whether something else waits to be done.

        Raises:
            OSError: the disk; the lines are only information.
        """
        count = 0
        if not self._is_going_round:
            return False  # nothing is counted, or it would rest anew at every turn of the agent
        with self._pace.counted():
            for count, task_id in enumerate(islice(self._left, MOST_AT_ONCE), 1):
                self.write(task_id, intake, plan)
                if count >= LEAST_AT_ONCE and is_wanted():
                    return True
        self._is_going_round = count == MOST_AT_ONCE
        return self._is_going_round

    def write(self, task_id: str, intake: Intake, plan: Plan) -> None:
        """Write one task's line when it changed."""
        dropped = intake.get(task_id)
        if dropped is None or task_id not in plan.index:
            return  # being claimed, or refused: it is looked at again
        decision = plan.decision(task_id)
        state = State(getattr(decision, "state", State.QUEUED))
        reason = getattr(decision, "reason", "it starts now").removeprefix(f"{state}: ")
        line = Why(task_id, state, reason).line()
        if dropped.line != hash(line):
            path = dropped.path.with_name(stem_of(dropped.path.name) + WHY_SUFFIX)
            write = partial(put, durable=False) if dropped.is_given else post  # a given id is kept here
            try:
                write(path, line.encode(), through=intake.site.folder)
            except OSError:
                write(path, line.encode())  # where sessions/ cannot be written, this line is to say so
            dropped.line = hash(line)
