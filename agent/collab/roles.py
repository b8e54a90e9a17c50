"""Roles, domains, kinds of question, evidence, rules and providers: data, laid over the built-in ones.

`builtin.toml` beside this file, and on top configs/roles.toml of the workspace, option by option. A new
role or domain is a table there; nothing here knows a role by its name but the coordinator, who plans and
integrates. Providers are in the same file, and read by `agent.collab.providers`.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    StrictInt,
    StrictStr,
    ValidationError,
    model_validator,
)

from agent.collab.records import KEY, Question, RoleName
from agent.config import ConfigError, config_error, merged, read_toml
from agent.tools import template

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from spool.workspace import Workspace

ROLES_FILE: Final = "roles.toml"
COORDINATOR: Final = "coordinator"

Does = Literal["coordinates", "answers", "validates"]
May = Literal["read", "propose", "veto"]


def _check_template(text: str) -> str:
    template.parse(text)
    return text


def _check_pattern(text: str) -> str:
    try:
        re.compile(text)
    except re.error as error:
        raise ValueError(f"{text[:100]!r} is not a regular expression ({error}): mend it") from None
    return text


def _unset_when_empty(value: Any) -> Any:
    return None if value == "" else value


Template = Annotated[StrictStr, AfterValidator(_check_template)]
Pattern = Annotated[StrictStr, AfterValidator(_check_pattern)]
Seconds = Annotated[float, Field(gt=0, le=86_400)]
Count = Annotated[StrictInt, Field(ge=1, le=1_000_000)]
ByLanguage = dict[StrictStr, StrictStr]

_STRICT = ConfigDict(frozen=True, extra="forbid")


class RoleDefinition(BaseModel):
    """Who takes part.

    Args:
        about: one line for people.
        does: its place: it coordinates, answers in phase 2, or validates.
        providers: by name; the calls are spread over them, by their limits and load.
        fallback: asked when none of those can answer.
        model: instead of the provider's default one.
        temperature: None leaves it to the model; some refuse to be told.
        max_tokens: of one answer.
        prompt: who it is.
        may: `read` the evidence, `propose` commands, `veto`.
        timeout_s: of one request.
    """

    model_config = _STRICT
    about: StrictStr = ""
    does: Does = "answers"
    providers: Annotated[tuple[StrictStr, ...], Field(min_length=1)]
    fallback: tuple[StrictStr, ...] = ()
    model: Annotated[StrictStr | None, BeforeValidator(_unset_when_empty)] = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    max_tokens: Count = 4096
    prompt: Template
    may: tuple[May, ...] = ("read",)
    timeout_s: Seconds = 180.0


class DomainDefinition(BaseModel):
    """A field of knowledge, which changes who takes part and what they look at.

    Args:
        roles: those that answer; empty: what the kind of question says.
        prompt: said to every role.
        prompts: role → said to it alone.
        evidence: collected beside what the plan asks for.
        providers: role → who plays it here; the role's own providers are asked when those cannot.
        models: role → model of the first of these.
    """

    model_config = _STRICT
    about: StrictStr = ""
    roles: tuple[StrictStr, ...] = ()
    providers: dict[StrictStr, tuple[StrictStr, ...]] = Field(default_factory=dict)
    models: dict[StrictStr, StrictStr] = Field(default_factory=dict)
    prompt: StrictStr = ""
    prompts: dict[StrictStr, StrictStr] = Field(default_factory=dict)
    evidence: tuple[StrictStr, ...] = ()


class StandardQuestion(BaseModel):
    """A keyed question of a standard plan, in each language."""

    model_config = _STRICT
    key: Annotated[StrictStr, Field(pattern=KEY)]
    text: ByLanguage
    answers: Annotated[tuple[StrictStr, ...], Field(min_length=2, max_length=8)]
    weight: Annotated[float, Field(gt=0, le=10)] = 1.0

    def in_language(self, language: str) -> Question:
        """Return it as it is asked."""
        text = self.text.get(language) or self.text.get("en") or next(iter(self.text.values()))
        return Question(key=self.key, text=text, answers=self.answers, weight=self.weight)


class TypeDefinition(BaseModel):
    """A kind of question, and the plan that is used when the coordinator makes none.

    Args:
        any: patterns by which a question is known to be of this kind.
        domain: what it is asked in when nobody says.
        questions: what every specialist answers.
        tasks: role → what it does, by language.
        evidence: what is collected.
    """

    model_config = _STRICT
    about: StrictStr = ""
    any: tuple[Pattern, ...] = ()
    domain: Annotated[StrictStr | None, BeforeValidator(_unset_when_empty)] = None
    roles: tuple[StrictStr, ...] = ("analyst", "executor", "innovator")
    questions: Annotated[tuple[StandardQuestion, ...], Field(min_length=1)]
    tasks: dict[StrictStr, ByLanguage] = Field(default_factory=dict)
    evidence: tuple[StrictStr, ...] = ()


class EvidenceDefinition(BaseModel):
    """Something that a read-only command tells about a host."""

    model_config = _STRICT
    about: StrictStr = ""
    command: StrictStr
    timeout_s: Seconds = 20.0


class RuleDefinition(BaseModel):
    """When a plain question is handed over to the pipeline.

    Patterns are searched in the question in small letters without accents.

    Args:
        any: one of them is found.
        all: all of them are found.
        unless: none of them is found.
        min_words: it has at least that many.
        stays: a question for which it fires stays with the plain chat, whatever the rules below it say.
        enabled: False switches the rule off.
    """

    model_config = _STRICT
    about: StrictStr = ""
    any: tuple[Pattern, ...] = ()
    all: tuple[Pattern, ...] = ()
    unless: tuple[Pattern, ...] = ()
    min_words: Annotated[StrictInt, Field(ge=0)] = 0
    stays: StrictBool = False
    enabled: StrictBool = True

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not (self.any or self.all or self.min_words):
            raise ValueError("it would fire for every question: add `any`, `all` or `min_words`")
        return self


class Limits(BaseModel):
    """Bounds of one run.

    Args:
        evidence_wait_s: for the facts of this host.
        fleet_wait_s: the same for another host.
        evidence_chars: of one piece of evidence, as the roles see it; its beginning and its end.
        prompt_chars: of all evidence in one prompt.
        call_budget_s: for one role with all its retries and fallbacks.
        file_bytes: of one given file.
    """

    model_config = _STRICT
    evidence_wait_s: Seconds = 180.0
    fleet_wait_s: Seconds = 900.0
    evidence_chars: Count = 6_000
    prompt_chars: Count = 60_000
    call_budget_s: Seconds = 600.0
    file_bytes: Count = 400_000


class Prompts(BaseModel):
    """What is said in each phase; the names are those of the phases."""

    model_config = _STRICT
    plan: Template
    answer: Template
    proposing: Template
    validate_response: Template
    integrate: Template
    side_effects: Template
    ask: Template


class AskDefinition(BaseModel):
    """The plain chat: who answers `aispool ask`."""

    model_config = _STRICT
    providers: Annotated[tuple[StrictStr, ...], Field(min_length=1)]
    fallback: tuple[StrictStr, ...] = ()
    model: Annotated[StrictStr | None, BeforeValidator(_unset_when_empty)] = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    max_tokens: Count = 2048
    timeout_s: Seconds = 120.0


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

    model_config = _STRICT
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


def require_domain(roles: Roles, name: str | None, file: Path) -> DomainDefinition | None:
    """Return a domain by its name; None for none.

    Raises:
        ConfigError: nobody defined it.
    """
    if not name:
        return None
    if name not in roles.domains:
        known = ", ".join(sorted(roles.domains)) or "none"
        raise ConfigError(
            file, f"there is no domain {name[:100]!r}", f"known: {known}; or add [domains.{name}]"
        )
    return roles.domains[name]
