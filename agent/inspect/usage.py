"""Tokens and money of all attempts, by tool, day or label, beside the budgets of today.

What a tool does not say is unknown, not zero: each sum says how many attempts it is missing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from agent.budget import Spent, begin_of, day_of
from agent.inspect.documents import document
from agent.spending import everything
from spool.records import iso

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from agent.budget import Budget
    from agent.spending import Spending
    from spool.workspace import Workspace

By = Literal["tool", "day", "label"]


@dataclass(slots=True)
class Part:
    """One tool's, day's or label's part.

    Args:
        key: None for tasks without a label.
    """

    key: str | None
    spent: Spent = field(default_factory=Spent)
    tasks: set[str] = field(default_factory=set)

    def add(self, spending: Spending) -> None:
        """Count one attempt."""
        self.spent.add(spending.usage)
        self.tasks.add(spending.task_id)


@dataclass(frozen=True, slots=True)
class BudgetToday:
    """A budget, and what was spent of it today."""

    budget: Budget
    spent: Spent


@dataclass(frozen=True, slots=True)
class UsageReport:
    """All parts, by name; the total counts an attempt once, whatever labels it has."""

    by: By
    since: datetime | None
    until: datetime
    parts: list[Part]
    total: Part
    budgets: list[BudgetToday]


def usage(
    workspace: Workspace, by: By, since: datetime | None, now: datetime, budgets: Sequence[Budget] = ()
) -> UsageReport:
    """Add up what every attempt that ended since then has used.

    Args:
        workspace: where.
        by: what the parts are.
        since: None for all that is kept.
        now: the wall clock.
        budgets: those of agent.toml.
    """
    midnight = begin_of(day_of(now))
    parts: dict[str | None, Part] = {}
    total = Part(None)
    today = [BudgetToday(budget, Spent()) for budget in budgets]
    earliest = min(since, midnight) if since and budgets else since
    for spending in everything(workspace, earliest):
        if spending.finished_at >= midnight:
            for one in today:
                if one.budget.covers(spending.tool, spending.labels):
                    one.spent.add(spending.usage)
        if since is None or spending.finished_at >= since:
            total.add(spending)
            for key in _keys(spending, by):
                parts.setdefault(key, Part(key)).add(spending)
    ordered = sorted(parts.values(), key=lambda part: (part.key is None, part.key or ""))
    return UsageReport(by, since, now, ordered, total, today)


def _keys(spending: Spending, by: By) -> tuple[str | None, ...]:
    if by == "tool":
        return (spending.tool,)
    if by == "day":
        return (day_of(spending.finished_at).isoformat(),)
    return tuple(dict.fromkeys(spending.labels)) or (None,)


def usage_document(workspace: Workspace, found: UsageReport) -> dict[str, Any]:
    """Return it as JSON has it: a sum of which nothing is known is null."""
    return document(
        workspace,
        by=found.by,
        since=iso(found.since) if found.since else None,
        until=iso(found.until),
        parts=[{found.by: part.key, **_part(part)} for part in found.parts],
        total=_part(found.total),
        budgets=[
            {
                **one.budget.model_dump(mode="json"),
                "used_up": one.budget.used_up(one.spent) is not None,
                **_spent(one.spent),
            }
            for one in found.budgets
        ],
    )


def _part(part: Part) -> dict[str, Any]:
    return {"tasks": len(part.tasks), **_spent(part.spent)}


def _spent(spent: Spent) -> dict[str, Any]:
    tokens_known = not spent.attempts or spent.unknown_tokens < spent.attempts
    cost_known = not spent.attempts or spent.unknown_cost < spent.attempts
    return {
        "attempts": spent.attempts,
        "input_tokens": spent.input_tokens if tokens_known else None,
        "output_tokens": spent.output_tokens if tokens_known else None,
        "cost_usd": round(spent.cost_usd, 6) if cost_known else None,
        "attempts_without_tokens": spent.unknown_tokens,
        "attempts_without_cost": spent.unknown_cost,
    }
