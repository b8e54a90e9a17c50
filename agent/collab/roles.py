"""Roles, domains, kinds of question, evidence, rules and providers: data, laid over the built-in ones.

`builtin.toml` beside this file, and on top configs/roles.toml of the workspace, option by option. A new
role or domain is a table there; nothing here knows a role by its name but the coordinator, who plans and
integrates. Providers are in the same file, and read by `agent.collab.providers`.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING, Any, Final, Self

from pydantic import BaseModel, ConfigDict, Field, StrictStr, ValidationError, model_validator

from agent.collab.definitions import (
    AskDefinition,
    DomainDefinition,
    EvidenceDefinition,
    Limits,
    Prompts,
    RoleDefinition,
    RuleDefinition,
    TypeDefinition,
)
from agent.collab.records import RoleName  # noqa: TC001 - pydantic reads the annotations
from agent.config import config_error, merged, read_toml

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from spool.workspace import Workspace

ROLES_FILE: Final = "roles.toml"
COORDINATOR: Final = "coordinator"


@dataclass(frozen=True, slots=True)
class Cast:
    """Who may play a role.

    Args:
        model: of the first of `providers`, when it names none itself.
        fallback: asked when none of `providers` can answer.
    """

    providers: tuple[str, ...]
    fallback: tuple[str, ...]
    model: str | None


class Roles(BaseModel):
    """Everything of roles.toml; `providers` and `learning` are checked where they are used."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    roles: dict[RoleName, RoleDefinition]
    domains: dict[RoleName, DomainDefinition] = Field(default_factory=dict)
    types: dict[StrictStr, TypeDefinition]
    evidence: dict[RoleName, EvidenceDefinition] = Field(default_factory=dict)
    rules: dict[StrictStr, RuleDefinition] = Field(default_factory=dict)
    prompts: Prompts
    limits: Limits = Limits()
    ask: AskDefinition
    providers: dict[StrictStr, dict[StrictStr, Any]] = Field(default_factory=dict)
    learning: dict[StrictStr, Any] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _knows_its_names(self) -> Self:
        coordinator = self.roles.get(COORDINATOR)
        if coordinator is None or coordinator.does != "coordinates":
            raise ValueError(
                f'roles.{COORDINATOR} is missing or does not coordinate: set does = "coordinates"'
            )
        named = [(f"types.{n}", t.roles, t.evidence) for n, t in self.types.items()]
        named += [(f"domains.{n}", d.roles, d.evidence) for n, d in self.domains.items()]
        for place, roles, evidence in named:
            unknown = [f"{place}.roles names {name!r}" for name in roles if name not in self.roles]
            unknown += [f"{place}.evidence names {name!r}" for name in evidence if name not in self.evidence]
            if unknown:
                raise ValueError(f"{unknown[0]}, which is not defined: define it, or take it out")
        return self

    def cast(self, role: str, domain: str | None = None) -> Cast:
        """Return who may play a role, in a domain that may have its own."""
        own = self.roles[role]
        field = self.domains.get(domain or "")
        here = field.providers.get(role, ()) if field else ()
        model = field.models.get(role) if field else None
        if not here:
            return Cast(own.providers, own.fallback, model or own.model)
        others = tuple(name for name in (*own.providers, *own.fallback) if name not in here)
        return Cast(here, others, model)

    @property
    def validator(self) -> str | None:
        """The role that validates; None when nobody does."""
        return next((name for name, role in self.roles.items() if role.does == "validates"), None)

    @property
    def specialists(self) -> tuple[str, ...]:
        """The roles that answer."""
        return tuple(name for name, role in self.roles.items() if role.does == "answers")


def builtin() -> dict[str, Any]:
    """Return the built-in tables."""
    return tomllib.loads(resources.files("agent.collab").joinpath("builtin.toml").read_text("utf-8"))


def load(workspace: Workspace) -> Roles:
    """Return the roles of a workspace.

    Raises:
        ConfigError: configs/roles.toml cannot be used.
    """
    file = workspace.configs / ROLES_FILE
    own = read_toml(file)
    return checked(file, merged(builtin(), own))


def checked(file: Path, document: Mapping[str, Any]) -> Roles:
    """Return the roles of merged tables.

    Args:
        file: named in what is wrong.
        document: all tables.

    Raises:
        ConfigError: they cannot be used.
    """
    try:
        return Roles.model_validate(document)
    except ValidationError as error:
        known = (*Roles.model_fields, *RoleDefinition.model_fields, *TypeDefinition.model_fields)
        known = (*known, *DomainDefinition.model_fields, *RuleDefinition.model_fields, *Limits.model_fields)
        raise config_error(file, error, known) from None
