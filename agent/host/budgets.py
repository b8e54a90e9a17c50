"""Which budgets are used up today: a sum for each budget, kept in memory and read anew from the results.

`Ledger` is the plain arithmetic of one day. `Budgets` fills it: from the workspace at the start, at
midnight and after a reload; between those from each attempt as it is settled, and from each result that
appears, which may be another agent's. An attempt is counted once, however often it is told.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent import log
from agent.budget import Spent, begin_of, day_of, next_day
from agent.host.room import Closed
from agent.host.waiting import utc
from agent.spending import everything, of_records, of_result

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence
    from datetime import date, datetime

    from agent.budget import Budget
    from agent.spending import Spending
    from spool.records import AttemptRecord
    from spool.task import AcceptedTask
    from spool.workspace import Workspace


class Ledger:
    """What was spent of each budget on one local day."""

    def __init__(self, budgets: Sequence[Budget], day: date) -> None:
        self.day = day
        self._budgets = budgets
        self._counted: dict[tuple[str, int], Spending] = {}
        self._spent = [Spent() for _ in budgets]

    def count(self, spending: Spending) -> None:
        """Count an attempt; one of another day not at all, one that is told again as it is told now."""
        if day_of(spending.finished_at) != self.day:
            return
        key = (spending.task_id, spending.number)
        before = self._counted.get(key)
        if before == spending:
            return
        self._counted[key] = spending
        if before is None:
            self._add(spending)
            return
        self._spent = [Spent() for _ in self._budgets]
        for counted in self._counted.values():
            self._add(counted)

    def closed(self) -> tuple[Closed, ...]:
        """Return the work that waits for tomorrow, and why, as the scheduler wants it."""
        until = next_day(self.day).timestamp()
        return tuple(
            Closed(
                until_s=until,
                words=f"the day's budget of {words}; it goes on at {utc(until)}",
                tool=budget.tool,
                label=budget.label,
            )
            for budget, spent in zip(self._budgets, self._spent, strict=True)
            if (words := budget.used_up(spent))
        )

    def exhausted(self, tool: str, labels: Collection[str]) -> str | None:
        """Return why a task does not start today; None when it may."""
        for closed in self.closed():
            if closed.tool in {None, tool} and (closed.label is None or closed.label in labels):
                return closed.words
        return None

    def blind(self) -> list[Budget]:
        """Return the budgets with an amount that some attempt did not say."""
        return [
            budget
            for budget, spent in zip(self._budgets, self._spent, strict=True)
            if (budget.max_cost_usd is not None and spent.unknown_cost)
            or (budget.max_tokens is not None and spent.unknown_tokens)
        ]

    def _add(self, spending: Spending) -> None:
        for budget, spent in zip(self._budgets, self._spent, strict=True):
            if budget.covers(spending.tool, spending.labels):
                spent.add(spending.usage)


class Budgets:
    """The budgets of one agent, counted over its whole workspace."""

    def __init__(
        self, workspace: Workspace, budgets: Sequence[Budget], utc_now: Callable[[], datetime]
    ) -> None:
        self._workspace = workspace
        self._utc_now = utc_now
        self._budgets = budgets
        self._ledger: Ledger | None = None
        self._warned: set[Budget] = set()

    def reload(self, budgets: Sequence[Budget]) -> None:
        """Work with other budgets from now on."""
        if budgets != self._budgets:
            self._budgets = budgets
            self._ledger = None

    def settled(self, task: AcceptedTask, records: Sequence[AttemptRecord]) -> None:
        """Count the attempts of a session of ours that are over."""
        if self._budgets:
            self._count(of_records(task.task_id, task.tool, task.labels, records))

    def look(self, task_id: str) -> None:
        """Count the attempts of a result that appeared."""
        if self._budgets:
            self._count(of_result(self._workspace, task_id))

    def read_again(self) -> None:
        """Read today's results over, for what no event told us."""
        if self._budgets:
            self._ledger = None

    def closed(self) -> tuple[Closed, ...]:
        """Return what does not start now, as the scheduler wants it.

        Raises:
            OSError: the results cannot be listed.
        """
        return self._today().closed() if self._budgets else ()

    def exhausted(self, tool: str, labels: Collection[str]) -> str | None:
        """Return why a task of this tool does not start now; None when it may.

        Raises:
            OSError: the results cannot be listed.
        """
        return self._today().exhausted(tool, labels) if self._budgets else None

    def _today(self) -> Ledger:
        """Return today's ledger; at the first look, and when the date changed, it is read anew."""
        day = day_of(self._utc_now())
        if self._ledger is None or self._ledger.day != day:
            ledger = Ledger(self._budgets, day)
            for spending in everything(self._workspace, begin_of(day)):
                ledger.count(spending)
            self._ledger = ledger
            self._warn(ledger)
        return self._ledger

    def _count(self, spendings: Iterable[Spending]) -> None:
        ledger = self._today()
        for spending in spendings:
            ledger.count(spending)
        self._warn(ledger)

    def _warn(self, ledger: Ledger) -> None:
        for budget in ledger.blind():
            if budget not in self._warned:
                self._warned.add(budget)
                log.warning("budget does not count what a tool does not say", budget=budget.name)
