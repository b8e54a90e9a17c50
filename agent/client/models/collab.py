"""Collaborative runs, the plain chat, and what runs remember."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import ConfigDict, Field

from agent.client.models.base import Answer, Asked, Moment

Kind = Literal[
    "system_analysis", "problem_solving", "performance", "security", "code_review", "general", "review"
]
_NAME = Field(default=None, min_length=1, max_length=100)


class Question(Asked):
    """A question for all roles.

    Args:
        kind: null: its words tell.
        domain: a field of roles.toml.
        host: that it is about: its facts are collected there.
        of: the id of a task whose result is reviewed.
        language: of the answer, two letters; null: the question's.
        read_only: run nothing that is proposed.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        json_schema_extra={"examples": [{"question": "why is this machine slow?", "kind": "performance"}]},
    )

    question: str = Field(min_length=1, max_length=100_000, pattern=r"\S")
    kind: Kind | None = None
    domain: str | None = _NAME
    host: str | None = _NAME
    of: str | None = _NAME
    language: str | None = Field(default=None, pattern=r"^[a-z]{2}$")
    read_only: bool = False


class RunRow(Answer):
    """One run of a list; percentages are null while they are not known."""

    task_id: str
    host: str | None
    state: str
    reason: str
    changed_at: Moment | None
    question: dict[str, Any] | None
    doing: str | None
    consensus_percent: float | None
    coverage_percent: float | None
    confidence_percent: float | None
    calibrated: bool | None
    label: dict[str, Any] | None


class RunPage(Answer):
    """Runs, the latest first."""

    runs: tuple[RunRow, ...]
    next: str | None
    total: int


class Command(Answer):
    """A proposed command.

    Args:
        sha256: of its bytes: what an approval must name.
        exact: every byte of it, escaped where it is not plain.
        waits: a person must speak.
        word: approved or declined; null before.
    """

    number: int
    role: str
    command: str
    sha256: str
    exact: str
    size_bytes: int
    decision: str
    reasons: tuple[str, ...]
    waits: bool
    word: str | None
    by: str | None
    outcome: dict[str, Any] | None


class CommandList(Answer):
    """What a run proposes to do."""

    task_id: str
    commands: tuple[Command, ...]


class Run(Answer):
    """All that is known of a run.

    Args:
        cards: one a role: state, what it does, what it said.
        matrix: who answered which key with what.
        scores: consensus with coverage, confidence, whether it is calibrated, dissent.
        rated: the proposed commands.
        report, steps, progress: as the run's files have them.
        label: how it turned out, in a person's words.
    """

    task_id: str
    host: str | None
    state: str
    reason: str
    asked: str | None
    question: dict[str, Any] | None
    report: dict[str, Any] | None
    progress: dict[str, Any] | None
    steps: tuple[dict[str, Any], ...]
    cards: tuple[dict[str, Any], ...]
    matrix: dict[str, Any]
    scores: dict[str, Any]
    rated: tuple[Command, ...]
    trouble: str | None
    label: dict[str, Any] | None


class Word(Asked):
    """Which bytes a person saw when they approved or declined a command."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        json_schema_extra={
            "examples": [{"sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"}]
        },
    )

    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


class LabelAsked(Asked):
    """How a run turned out; `none` takes it back."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        json_schema_extra={"examples": [{"outcome": "good", "why": "it was the disk"}]},
    )

    outcome: Literal["good", "bad", "none"]
    why: str = Field(default="", max_length=10_000)


class Labelled(Answer):
    """What was noted.

    Args:
        labelled: how many runs are.
        needed: from how many on confidence is calibrated.
        tuned: names in roles.toml that were changed.
    """

    label: dict[str, Any] | None
    labelled: int
    needed: int
    tuned: tuple[str, ...]
    problem: str | None


class Explained(Answer):
    """What would happen with a question; nobody is asked or paid.

    Args:
        rule: that hands it over to all roles; null: the plain chat answers.
        roles: who would play each role.
    """

    hands_over: bool
    rule: str | None
    rules: tuple[dict[str, Any], ...]
    type: str
    domain: str | None
    language: str | None
    roles: tuple[dict[str, Any], ...]


class Explain(Asked):
    """A question, to be told what would happen with it."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        json_schema_extra={"examples": [{"question": "should we move to PostgreSQL?"}]},
    )

    question: str = Field(min_length=1, max_length=100_000, pattern=r"\S")
    kind: Kind | None = None
    domain: str | None = _NAME


class ChatAsked(Asked):
    """A question for the plain chat; `plain`: never hand it over to all roles."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        json_schema_extra={"examples": [{"text": "what does DNS stand for?", "plain": True}]},
    )

    text: str = Field(min_length=1, max_length=100_000, pattern=r"\S")
    plain: bool = False


class Chatted(Answer):
    """An answer, or the run that the question was handed over to.

    Args:
        why: which rule handed it over, and what each rule found.
        text, provider, model, usage: the plain answer.
        task_id: the run.
    """

    why: dict[str, Any]
    text: str | None
    provider: str | None
    model: str | None
    usage: dict[str, Any] | None
    task_id: str | None
    warnings: tuple[str, ...]


class Memory(Answer):
    """One thing that is remembered for later runs."""

    id: str
    text: str
    source: str
    host: str | None
    domain: str | None
    task_id: str | None
    outcome: str | None
    created_at: Moment


class MemoryList(Answer):
    """What is remembered: the oldest first, or what fits best first."""

    entries: tuple[Memory, ...]


class MemoryAsked(Asked):
    """Something to remember; `host`: the one it is about, null for all."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        json_schema_extra={"examples": [{"text": "nginx logs fill /var on Mondays", "host": "web1"}]},
    )

    text: str = Field(min_length=1, max_length=100_000, pattern=r"\S")
    host: str | None = _NAME
    domain: str | None = _NAME


class Provider(Answer):
    """One who could answer a role; `state`: answers, ready, no key or absent."""

    name: str
    state: str
    family: str | None
    model: str | None
    problem: str | None


class ProviderList(Answer):
    """Who could answer a role."""

    providers: tuple[Provider, ...]


class Tuning(Answer):
    """Who should rather play which role, with the evidence; `applied`: whether roles.toml was changed."""

    proposals: tuple[dict[str, Any], ...]
    applied: bool
    kept: str | None


class Tune(Asked):
    """Which proposals are written into roles.toml (empty: all of them), or that the last change is undone."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, json_schema_extra={"examples": [{"names": []}]}
    )

    names: list[str] = Field(default=[], max_length=100)
