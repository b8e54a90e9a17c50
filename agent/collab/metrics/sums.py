"""What is added up: a player, a day, and how well a score foretold the outcomes."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from agent.collab.scores.measures import auroc, brier, ece

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from agent.collab.runs import Run
    from agent.collab.scores.measures import Point
    from spool.records import Usage


@dataclass(slots=True)
class Player:
    """What one provider and model did in one role.

    Args:
        calls: requests, the failed ones included.
        errors: kind → how many; the kinds are those of `agent.collab.providers`.
        seconds: that each answered request took.
        input_tokens, output_tokens, cost_usd: as far as they are known; None when nothing is.
        unknown_cost: answered requests of which it is not known what they cost.
        checks_passed, checks_made: the validator's binary checks of its answers.
    """

    role: str
    provider: str
    model: str | None
    calls: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)
    input_tokens: int | None = None
    output_tokens: int | None = None
    cost_usd: float | None = None
    unknown_cost: int = 0
    checks_passed: int = 0
    checks_made: int = 0

    @property
    def success_rate(self) -> float | None:
        """Return the share of requests that were answered."""
        return len(self.seconds) / self.calls if self.calls else None

    @property
    def pass_rate(self) -> float | None:
        """Return the share of the validator's checks that passed."""
        return self.checks_passed / self.checks_made if self.checks_made else None

    def add(self, error: str | None, duration_s: float, usage: Usage) -> None:
        """Count one request."""
        self.calls += 1
        if error is not None:
            self.errors[error] += 1
        else:
            self.seconds.append(duration_s)
            self.unknown_cost += usage.cost_usd is None
        self.input_tokens = _plus(self.input_tokens, usage.input_tokens)
        self.output_tokens = _plus(self.output_tokens, usage.output_tokens)
        if usage.cost_usd is not None:
            self.cost_usd = (self.cost_usd or 0.0) + usage.cost_usd

    def document(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return {
            "role": self.role,
            "provider": self.provider,
            "model": self.model,
            "calls": self.calls,
            "success_rate": self.success_rate,
            "errors": dict(sorted(self.errors.items())),
            "response_s_p50": quantile(self.seconds, 0.5),
            "response_s_p95": quantile(self.seconds, 0.95),
            "input_tokens": self.input_tokens,
            "output_tokens": self.output_tokens,
            "cost_usd": self.cost_usd,
            "unknown_cost": self.unknown_cost,
            "checks_passed": self.checks_passed,
            "checks_made": self.checks_made,
            "pass_rate": self.pass_rate,
        }


def _plus(sum_so_far: int | None, value: int | None) -> int | None:
    return sum_so_far if value is None else (sum_so_far or 0) + value


@dataclass(slots=True)
class Day:
    """One local calendar day, or all of them together.

    Args:
        day: on which the runs were asked for; None for all together.
        consensus, coverage, confidence: percent, of the runs that had one.
    """

    day: date | None
    runs: int = 0
    consensus: list[float] = field(default_factory=list)
    coverage: list[float] = field(default_factory=list)
    confidence: list[float] = field(default_factory=list)
    calls: int = 0
    failed_calls: int = 0
    cost_usd: float | None = None

    def add(self, run: Run) -> None:
        """Count one run."""
        self.runs += 1
        shown = run.scores
        if shown.consensus.percent is not None:
            self.consensus.append(shown.consensus.percent)
            if shown.consensus.coverage_percent is not None:
                self.coverage.append(shown.consensus.coverage_percent)
        if shown.confidence.percent is not None:
            self.confidence.append(shown.confidence.percent)
        for call in (call for play in run.plays for call in play.calls):
            self.calls += 1
            self.failed_calls += call.error is not None
            if call.usage.cost_usd is not None:
                self.cost_usd = (self.cost_usd or 0.0) + call.usage.cost_usd

    def document(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return {
            "day": self.day.isoformat() if self.day else None,
            "runs": self.runs,
            "runs_without_consensus": self.runs - len(self.consensus),
            "consensus_percent_mean": mean(self.consensus),
            "coverage_percent_mean": mean(self.coverage),
            "confidence_percent_mean": mean(self.confidence),
            "calls": self.calls,
            "failed_calls": self.failed_calls,
            "cost_usd": self.cost_usd,
        }


@dataclass(frozen=True, slots=True)
class Quality:
    """How well a score foretold the outcomes that were labelled; None where too little is known."""

    labels: int
    auroc: float | None
    ece: float | None
    brier: float | None

    @classmethod
    def of(cls, points: Sequence[Point]) -> Quality:
        """Measure points (score 0 to 1, good)."""
        return cls(len(points), auroc(points), ece(points), brier(points))

    def document(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return {"labels": self.labels, "auroc": self.auroc, "ece": self.ece, "brier": self.brier}


@dataclass(frozen=True, slots=True)
class Calibration:
    """The labels, and what they say of the scores.

    Args:
        method: that new runs are calibrated with; None: they are shown uncalibrated.
        consensus, raw: of all labelled runs that had one.
        shown: the calibrated Confidence that people saw, before they said how the run turned out.
    """

    labels: int
    good: int
    method: str | None
    consensus: Quality
    raw: Quality
    shown: Quality

    def document(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return {
            "labels": self.labels,
            "good": self.good,
            "method": self.method,
            "consensus": self.consensus.document(),
            "raw_confidence": self.raw.document(),
            "shown_confidence": self.shown.document(),
        }


def mean(values: Sequence[float]) -> float | None:
    """Return the mean; None of nothing."""
    return math.fsum(values) / len(values) if values else None


def quantile(values: Sequence[float], share: float) -> float | None:
    """Return the value below which such a share lies, straight between neighbours; None of nothing."""
    if not values:
        return None
    ordered = sorted(values)
    at = share * (len(ordered) - 1)
    low = math.floor(at)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (at - low)
