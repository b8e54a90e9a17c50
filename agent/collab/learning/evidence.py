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
from typing import TYPE_CHECKING, Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt, ValidationError

from agent.collab.roles import ROLES_FILE
from agent.config import config_error

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from agent.collab.labels import Label
    from agent.collab.roles import Roles
    from agent.collab.runs import Run
    from spool.workspace import Workspace

MARK_WEIGHT: Final = 0.25
_STEPS: Final = 2000


class Settings(BaseModel):
    """[learning] of roles.toml.

    Args:
        auto_tune: proposals are applied as soon as they come up.
        min_outcomes: labelled runs that each side must have.
        certainty: how probable it must be that the proposed one is better.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    auto_tune: StrictBool = False
    min_outcomes: Annotated[StrictInt, Field(ge=1, le=100_000)] = 10
    certainty: Annotated[float, Field(gt=0.5, lt=1)] = 0.95


def settings_of(workspace: Workspace, roles: Roles) -> Settings:
    """Return the options of [learning].

    Raises:
        ConfigError: one cannot be used.
    """
    try:
        return Settings.model_validate(roles.learning)
    except ValidationError as error:
        file = workspace.configs / ROLES_FILE
        raise config_error(file, error, tuple(Settings.model_fields), ("learning",)) from None


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


@dataclass(frozen=True, slots=True)
class Proposal:
    """A change of roles.toml and why.

    Args:
        domain: None for the role everywhere.
        best: who should play it; `rival` is the best of those who do now.
        certainty: the probability that `best` is better than `rival`.
        fallback: everybody else who plays it now.
    """

    role: str
    domain: str | None
    best: Arm
    rival: Arm
    certainty: float
    fallback: tuple[str, ...]

    @property
    def name(self) -> str:
        """Return what it is called on the command line: `analyst`, `analyst@security`."""
        return f"{self.role}@{self.domain}" if self.domain else self.role

    def changes(self) -> dict[tuple[str, ...], Any]:
        """Return path → value in roles.toml; an empty text unsets a model."""
        if self.domain:
            place = ("domains", self.domain)
            change: dict[tuple[str, ...], Any] = {(*place, "providers", self.role): [self.best.provider]}
            if self.best.model:
                change[*place, "models", self.role] = self.best.model
            return change
        place = ("roles", self.role)
        return {
            (*place, "providers"): [self.best.provider],
            (*place, "fallback"): list(self.fallback),
            (*place, "model"): self.best.model or "",
        }

    def document(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return {
            "name": self.name,
            "role": self.role,
            "domain": self.domain,
            "certainty": self.certainty,
            "best": self.best.document(),
            "rival": self.rival.document(),
            "changes": {".".join(path): value for path, value in self.changes().items()},
        }


Key = tuple[str, str | None]
"""Role, and domain; None for all domains together."""


def proposals(
    roles: Roles, settings: Settings, labels: Sequence[Label], runs: Iterable[Run]
) -> list[Proposal]:
    """Return what the evidence proposes, by role and domain."""
    arms = gather(labels, runs).arms
    found = (_proposal(roles, settings, key, list(arms[key].values())) for key in sorted(arms, key=_order))
    return [each for each in found if each is not None]


def _order(key: Key) -> tuple[str, str]:
    return key[0], key[1] or ""


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


def _proposal(roles: Roles, settings: Settings, key: Key, arms: list[Arm]) -> Proposal | None:
    role, domain = key
    if role not in roles.roles or (domain is not None and domain not in roles.domains):
        return None
    known = [arm for arm in arms if arm.outcomes >= settings.min_outcomes]
    cast = roles.cast(role, domain)
    playing = [
        arm for arm in known if arm.provider in cast.providers and _plays(arm, cast.providers, cast.model)
    ]
    if not known or not playing:
        return None
    best = max(known, key=lambda arm: (arm.expected, arm.outcomes))
    rivals = [arm for arm in playing if arm is not best]
    if not rivals:
        return None
    rival = max(rivals, key=lambda arm: (arm.expected, arm.outcomes))
    certainty = better(best, rival)
    if certainty < settings.certainty:
        return None
    others = dict.fromkeys(name for name in (*cast.providers, *cast.fallback) if name != best.provider)
    return Proposal(role, domain, best, rival, certainty, tuple(others))


def _plays(arm: Arm, providers: Sequence[str], model: str | None) -> bool:
    """Tell whether roles.toml lets this model play: the role's `model` is that of its first provider."""
    return arm.provider != providers[0] or model is None or arm.model == model


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
