"""The report: collab/report.json with every figure and decision, and report.md made from it alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

from agent.collab.markdown import rendered
from agent.collab.records import Check, Integration, QuestionRecord  # noqa: TC001 - pydantic reads the annotations
from agent.collab.scores import Confidence, Consensus  # noqa: TC001 - pydantic reads the annotations
from spool.files import put
from spool.records import SCHEMA_VERSION, Record, Usage, Utc

if TYPE_CHECKING:
    from pathlib import Path

JSON: Final = "report.json"
MARKDOWN: Final = "report.md"


class AnswerRow(Record):
    """How one keyed question was answered: role → its answer; None abstained."""

    key: str
    text: str
    answers: dict[str, str | None]
    leading: str | None = None


class VetoRow(Record):
    """One thing that the validator took out."""

    role: str
    target: str
    why: str


class RoleRow(Record):
    """Who played a role in one step."""

    step: str
    role: str
    state: Literal["ok", "failed"]
    provider: str | None = None
    model: str | None = None
    family: str | None = None
    reason: str = ""
    usage: Usage = Usage()


class CommandRow(Record):
    """One proposed command, and what became of it."""

    number: int
    role: str
    command: str
    purpose: str
    decision: str
    reasons: tuple[str, ...] = ()
    taken_out: str | None = None
    ran: tuple[str, ...] = ()


class Report(Record):
    """collab/report.json.

    Args:
        state: `failed` when no specialist answered.
        plan_by_rule, integration_by_rule: why the coordinator did not do it; None when it did.
        validator_independent: False when it is of a family that it judged; None when nobody validated.
        validator_note: the same in a sentence; None when it is independent.
        degraded: what is missing, in sentences in the question's language.
        executed: what was run, in sentences.
        side_effects: the validator's checks after it.
        checks_after_passed: whether every check that the executor proposed for afterwards ended with 0; None
            when none was run.
    """

    schema_version: int = SCHEMA_VERSION
    task_id: str
    state: Literal["ok", "failed"]
    question: QuestionRecord
    understanding: str
    plan_by_rule: str | None = None
    integration: Integration | None = None
    integration_by_rule: str | None = None
    answers: tuple[AnswerRow, ...] = ()
    vetoes: tuple[VetoRow, ...] = ()
    checks: dict[str, tuple[Check, ...]]
    validator_independent: bool | None = None
    validator_note: str | None = None
    consensus: Consensus | None = None
    confidence: Confidence | None = None
    quotes_found: int = 0
    quotes: int = 0
    commands: tuple[CommandRow, ...] = ()
    executed: tuple[str, ...] = ()
    side_effects: tuple[Check, ...] = ()
    checks_after_passed: bool | None = None
    evidence: tuple[str, ...] = ()
    evidence_missing: dict[str, str]
    cites: tuple[str, ...] = ()
    degraded: tuple[str, ...] = ()
    roles: tuple[RoleRow, ...] = ()
    usage: Usage = Usage()
    finished_at: Utc


def write(collab: Path, report: Report) -> None:
    """Put both files; the later report of a run replaces the earlier one."""
    report.write(collab / JSON)
    put(collab / MARKDOWN, rendered(report).encode())
