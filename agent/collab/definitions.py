"""What roles.toml may say: roles, fields, kinds of question, evidence, rules, limits and prompts."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    StrictInt,
    StrictStr,
    model_validator,
)

from agent.collab.records import KEY, Question
from agent.tools import template

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
