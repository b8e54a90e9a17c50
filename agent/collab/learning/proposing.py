"""What the evidence proposes: one change of roles.toml for a role, everywhere or in one domain."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt, ValidationError

from agent.collab.learning.evidence import Arm, Key, better, gather
from agent.collab.roles import ROLES_FILE
from agent.config import config_error

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from agent.collab.labels import Label
    from agent.collab.roles import Roles
    from agent.collab.runs import Run
    from spool.workspace import Workspace


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


def proposals(
    roles: Roles, settings: Settings, labels: Sequence[Label], runs: Iterable[Run]
) -> list[Proposal]:
    """Return what the evidence proposes, by role and domain."""
    arms = gather(labels, runs).arms
    found = (_proposal(roles, settings, key, list(arms[key].values())) for key in sorted(arms, key=_order))
    return [each for each in found if each is not None]


def _order(key: Key) -> tuple[str, str]:
    return key[0], key[1] or ""


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
