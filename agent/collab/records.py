"""What the roles say, as it is checked here whatever a provider promised; and what a run keeps of it.

What a model answers is an `Answered`: unknown keys are dropped, wrong kinds and sizes refused (the schema of
each goes to the provider, and lists stand where one would like an object with free keys, since not every
provider's schemas have those). What lies on disk is a `spool.records.Record`.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictStr, model_validator

from spool.records import SCHEMA_VERSION, Record, Usage, Utc

TEXT_CHARS = 40_000
LINE_CHARS = 2_000
KEY = r"^[a-z][a-z0-9_]{0,39}$"

Line = Annotated[StrictStr, Field(max_length=LINE_CHARS)]
Text = Annotated[StrictStr, Field(max_length=TEXT_CHARS)]
Key = Annotated[StrictStr, Field(pattern=KEY)]
RoleName = Annotated[StrictStr, Field(pattern=r"^[a-z][a-z0-9_-]{0,39}$")]


class Answered(BaseModel):
    """A part of what a model says."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Question(Answered):
    """One thing that every specialist is asked, with the answers it may choose from.

    Args:
        answers: closed: what is none of them counts as an abstention.
        weight: of the question in the consensus.
    """

    key: Key
    text: Line
    answers: Annotated[tuple[Line, ...], Field(min_length=2, max_length=8)]
    weight: Annotated[float, Field(gt=0, le=10)] = 1.0

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        if len({answer.strip().casefold() for answer in self.answers}) != len(self.answers):
            raise ValueError("two of its answers are the same")
        return self


class Assignment(Answered):
    """What one role is to do in this run."""

    role: RoleName
    task: Line


class Plan(Answered):
    """What the coordinator decides.

    Args:
        assignments: the roles that run.
        evidence: names from the catalogue of what may be collected.
        cites: ids of memories that it used.
    """

    understanding: Text
    assignments: Annotated[tuple[Assignment, ...], Field(min_length=1, max_length=12)]
    questions: Annotated[tuple[Question, ...], Field(min_length=1, max_length=12)]
    evidence: Annotated[tuple[Line, ...], Field(max_length=40)] = ()
    cites: Annotated[tuple[Line, ...], Field(max_length=40)] = ()

    @model_validator(mode="after")
    def _keys_differ(self) -> Self:
        if len({question.key for question in self.questions}) != len(self.questions):
            raise ValueError("two questions have the same key")
        return self

    def task_of(self, role: str) -> str:
        """Return what a role is to do; empty when the plan does not name it."""
        return next((a.task for a in self.assignments if a.role == role), "")


class Quote(Answered):
    """Words that stand in a piece of evidence, verbatim.

    Args:
        source: the evidence's name.
    """

    source: Line
    quote: Line


class Answer(Answered):
    """A specialist's answer to one keyed question; None abstains."""

    key: Key
    answer: Line | None = None
    evidence: Annotated[tuple[Quote, ...], Field(max_length=10)] = ()


class Proposal(Answered):
    """A command that somebody should run; nothing here has run it.

    Args:
        command: exactly what a shell would be given.
        check_before, check_after: read-only commands whose output tells whether it helped.
        dry_run: the same command so that it changes nothing; empty where the program has no such mode.
    """

    command: Annotated[StrictStr, Field(min_length=1, max_length=LINE_CHARS)]
    purpose: Line = ""
    check_before: Line = ""
    check_after: Line = ""
    dry_run: Line = ""


class Response(Answered):
    """What a specialist says."""

    text: Text
    answers: Annotated[tuple[Answer, ...], Field(max_length=40)] = ()
    commands: Annotated[tuple[Proposal, ...], Field(max_length=20)] = ()


class Check(Answered):
    """One binary check by the validator."""

    name: Line
    passed: StrictBool
    why: Line = ""


class Veto(Answered):
    """What the validator takes out of one response.

    Args:
        target: `answer:KEY`, `command:N` (from 1) or `text`.
    """

    target: Annotated[StrictStr, Field(pattern=r"^(answer:[a-z][a-z0-9_]{0,39}|command:[1-9][0-9]?|text)$")]
    why: Line = ""


class Validation(Answered):
    """The validator's verdict on one response."""

    checks: Annotated[tuple[Check, ...], Field(min_length=1, max_length=40)]
    vetoes: Annotated[tuple[Veto, ...], Field(max_length=40)] = ()


class Integration(Answered):
    """The coordinator's one result out of all responses."""

    summary: Text
    findings: Annotated[tuple[Line, ...], Field(max_length=30)] = ()
    recommendations: Annotated[tuple[Line, ...], Field(max_length=30)] = ()
    dissent: Annotated[tuple[Line, ...], Field(max_length=30)] = ()


class CallRecord(Record):
    """One request to a provider.

    Args:
        error: the kind of failure as in `agent.collab.providers`; None when it answered.
    """

    provider: str
    model: str | None = None
    error: str | None = None
    duration_s: float = 0.0
    usage: Usage = Usage()


class StepRecord(Record):
    """collab/steps/NAME.json: one role's part in one phase, written once.

    Args:
        name: the file's stem: `1-plan`, `2-analyst`, `3-validation-analyst`, `4-consensus` …
        state: `ok`, or `failed` and why.
        kind: of the failure, as in `agent.collab.providers.base`.
        retry_after_s: when its provider's limit ends, counted from `finished_at`.
        prompt_sha256: of the prompt, as it was sent.
        saw: step → sha256 of the step files whose content was in the prompt.
        calls: every request, the failed ones included.
        response: what was understood of it: a `Plan`, `Response`, `Validation`, `Integration` …
        text: what the model wrote.
    """

    schema_version: int = SCHEMA_VERSION
    name: str
    phase: int
    role: str
    state: Literal["ok", "failed"]
    reason: str = ""
    kind: str | None = None
    retry_after_s: float | None = None
    provider: str | None = None
    model: str | None = None
    family: str | None = None
    prompt_sha256: str | None = None
    saw: dict[str, str] = Field(default_factory=dict)
    started_at: Utc
    finished_at: Utc
    calls: tuple[CallRecord, ...] = ()
    usage: Usage = Usage()
    response: dict[str, Any] | None = None
    text: str = ""


class EvidenceRecord(Record):
    """One piece of evidence; its content is collab/evidence/NAME.txt.

    Args:
        host: where it was collected.
        command: what printed it; empty for a file that was given.
        task_id: of the task that ran the command.
    """

    name: str
    host: str
    command: str = ""
    task_id: str | None = None
    sha256: str
    size_bytes: int
    exit_code: int | None = None
    collected_at: Utc


class EvidenceIndex(Record):
    """collab/evidence/index.json."""

    schema_version: int = SCHEMA_VERSION
    items: tuple[EvidenceRecord, ...] = ()
    missing: dict[str, str] = Field(default_factory=dict)


TaskType = Literal[
    "system_analysis", "problem_solving", "performance", "security", "code_review", "general", "review"
]


class QuestionRecord(Record):
    """collab/question.json: what was asked, and why the pipeline answers it.

    Args:
        language: two letters of ISO 639-1.
        rule: the rule that handed the question over, or `asked for`.
        of: the id whose result is reviewed.
    """

    schema_version: int = SCHEMA_VERSION
    task_id: str
    text: str
    type: TaskType
    domain: str | None = None
    language: str = "en"
    host: str | None = None
    asked_by: str = ""
    rule: str = "asked for"
    of: str | None = None
    asked_at: Utc
