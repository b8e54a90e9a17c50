"""Budgets: what a calendar day of work may cost, and the plain arithmetic of what was spent.

A day is the local calendar day in which an attempt ended. An amount that a tool does not say counts for
nothing and is counted apart, so that nobody takes "unknown" for "free".
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictInt, StrictStr, model_validator

from spool.names import TASK_ID_RULE, is_task_id

if TYPE_CHECKING:
    from collections.abc import Collection

    from spool.records import Usage


def _check_tool(text: str) -> str:
    if not is_task_id(text):
        raise ValueError(f"{text[:120]!r} is not a tool's name: use {TASK_ID_RULE}")
    return text


class Budget(BaseModel):
    """One table [[budgets]] of agent.toml: of a tool, of a label, of both, or of everything.

    Args:
        per: for how long the amounts are; they start anew at midnight, local time.
        tool: only its tasks count and are stopped.
        label: only tasks with this label count and are stopped.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    per: Literal["day"] = "day"
    tool: Annotated[StrictStr, AfterValidator(_check_tool)] | None = None
    label: Annotated[StrictStr, Field(min_length=1, max_length=200)] | None = None
    max_cost_usd: Annotated[float, Field(strict=True, allow_inf_nan=False, gt=0)] | None = None
    max_tokens: Annotated[StrictInt, Field(ge=1, le=1 << 60)] | None = None

    @model_validator(mode="after")
    def _has_an_amount(self) -> Self:
        if self.max_cost_usd is None and self.max_tokens is None:
            raise ValueError("a budget has no amount: give max_cost_usd or max_tokens")
        return self

    def covers(self, tool: str, labels: Collection[str]) -> bool:
        """Tell whether a task counts, and is stopped when nothing is left."""
        return self.tool in {None, tool} and (self.label is None or self.label in labels)

    def of(self) -> str:
        """Return whose budget it is, for a sentence; empty when it is everybody's."""
        tool = f" for tool {self.tool}" if self.tool else ""
        return tool + (f"{' with' if tool else ' for'} label {self.label}" if self.label else "")

    @property
    def name(self) -> str:
        """Return its amounts and whose it is: 5.00 USD and 1,000 tokens for tool claude."""
        cost = None if self.max_cost_usd is None else money(self.max_cost_usd)
        tokens = None if self.max_tokens is None else f"{self.max_tokens:,} tokens"
        return " and ".join(amount for amount in (cost, tokens) if amount) + self.of()

    def used_up(self, spent: Spent) -> str | None:
        """Return which amount is used up, in words; None while something is left."""
        if self.max_cost_usd is not None and spent.cost_usd >= self.max_cost_usd:
            return f"{money(self.max_cost_usd)}{self.of()} is used up ({money(spent.cost_usd)})"
        if self.max_tokens is not None and spent.tokens >= self.max_tokens:
            return f"{self.max_tokens:,} tokens{self.of()} is used up ({spent.tokens:,})"
        return None


@dataclass(slots=True)
class Spent:
    """A sum of what attempts have used.

    Args:
        attempts: how many.
        unknown_cost: how many of them did not say what they cost.
        unknown_tokens: how many of them did not say their tokens.
    """

    attempts: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float = 0.0
    unknown_cost: int = 0
    unknown_tokens: int = 0

    @property
    def tokens(self) -> int:
        """Return the tokens of both directions."""
        return self.input_tokens + self.output_tokens

    def add(self, usage: Usage) -> None:
        """Count one attempt."""
        self.attempts += 1
        self.input_tokens += usage.input_tokens or 0
        self.output_tokens += usage.output_tokens or 0
        self.cost_usd += usage.cost_usd or 0.0
        self.unknown_cost += usage.cost_usd is None
        self.unknown_tokens += usage.input_tokens is None and usage.output_tokens is None


def money(amount_usd: float) -> str:
    """Write an amount: cents, and as many more digits as a small one needs."""
    return f"{amount_usd:.2f} USD" if amount_usd >= 1 or amount_usd == 0 else f"{amount_usd:.4f} USD"


def day_of(moment: datetime) -> date:
    """Return the local calendar day."""
    return moment.astimezone().date()


def begin_of(day: date) -> datetime:
    """Return when a local day begins, also where the clocks change in that night."""
    return datetime.combine(day, time.min).astimezone(UTC)


def next_day(day: date) -> datetime:
    """Return when the day after it begins."""
    return begin_of(day + timedelta(days=1))
