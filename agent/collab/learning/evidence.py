"""What speaks for a provider and model in a role: outcomes that were labelled, and the validator's marks.

An outcome is the whole run's: good or bad, it counts for every role that was played in it. A mark is the
share of the validator's checks that an answer passed; it counts a quarter of an outcome, and only from a
validator of another model family, since validators prefer their own (arXiv 2504.03846). Both make a Beta
posterior over "a run with this one in this role turns out good".
"""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from agent.collab.labels import Label
    from agent.collab.runs import Run

MARK_WEIGHT: Final = 0.25
_STEPS: Final = 2000

Key = tuple[str, str | None]
"""Role, and domain; None for all domains together."""


@dataclass(slots=True)
class Arm:
    """One provider and model in one role.

    Args:
        good, bad: labelled runs.
        marks: sum of the shares of checks that its answers passed, over `marked` answers.
    """

    provider: str
    model: str | None
    good: int = 0
    bad: int = 0
    marks: float = 0.0
    marked: int = 0

    def mark(self, passed: int, made: int, independent: bool | None) -> None:  # noqa: FBT001
        """Count the validator's marks of one answer; those of its own family do not count."""
        if made and independent:
            self.marks += passed / made
            self.marked += 1

    @property
    def outcomes(self) -> int:
        """Count the labelled runs."""
        return self.good + self.bad

    def posterior(self) -> tuple[float, float]:
        """Return the parameters of the Beta posterior, from a uniform prior."""
        good = 1 + self.good + MARK_WEIGHT * self.marks
        return good, 1 + self.bad + MARK_WEIGHT * (self.marked - self.marks)

    @property
    def expected(self) -> float:
        """Return the posterior's mean."""
        good, bad = self.posterior()
        return good / (good + bad)

    def document(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return {
            "provider": self.provider,
            "model": self.model,
            "good": self.good,
            "bad": self.bad,
            "marked_answers": self.marked,
            "mean_mark": self.marks / self.marked if self.marked else None,
            "expected": self.expected,
        }


class Evidence:
    """The arms of every role, in each domain and in all together."""

    def __init__(self) -> None:
        self.arms: dict[Key, dict[tuple[str, str | None], Arm]] = defaultdict(dict)

    def of(self, role: str, domain: str | None, provider: str, model: str | None) -> Iterator[Arm]:
        """Yield the arms that one play counts for."""
        for key in {(role, None), (role, domain)}:
            yield self.arms[key].setdefault((provider, model), Arm(provider, model))

    def add_label(self, label: Label) -> None:
        """Count an outcome once for each role and who played it, and the marks of its answers."""
        for role, provider, model in sorted({(r.role, r.provider, r.model or "") for r in label.roles}):
            for arm in self.of(role, label.domain, provider, model or None):
                arm.good += label.good
                arm.bad += not label.good
        for each in label.roles:
            for arm in self.of(each.role, label.domain, each.provider, each.model or None):
                arm.mark(each.checks_passed, each.checks_made, each.independent)

    def add_run(self, run: Run) -> None:
        """Count the marks of a run that nobody has labelled."""
        domain = run.question.domain if run.question else None
        for play in run.plays:
            if play.provider is not None:
                for arm in self.of(play.role, domain, play.provider, play.model or None):
                    arm.mark(play.checks_passed, play.checks_made, play.independent)


def gather(labels: Sequence[Label], runs: Iterable[Run]) -> Evidence:
    """Add up the evidence; a labelled run's marks are those of its label, and count once."""
    evidence = Evidence()
    for label in labels:
        evidence.add_label(label)
    labelled = {label.task_id for label in labels}
    for run in runs:
        if run.task_id not in labelled:
            evidence.add_run(run)
    return evidence


def better(one: Arm, other: Arm) -> float:
    """Return the probability that one is better than the other, given what is known of both."""
    (a, b), (c, d) = one.posterior(), other.posterior()
    steps = [(step + 0.5) / _STEPS for step in range(_STEPS)]
    density = [_beta(x, a, b) for x in steps]
    below, total, won = 0.0, math.fsum(density), 0.0
    other_density = [_beta(x, c, d) for x in steps]
    other_total = math.fsum(other_density)
    for own, others in zip(density, other_density, strict=True):
        won += own * (below + others / 2)
        below += others
    return won / (total * other_total)


def _beta(x: float, a: float, b: float) -> float:
    scale = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)
    return math.exp(scale + (a - 1) * math.log(x) + (b - 1) * math.log1p(-x))
