"""What a run's files say of it afterwards: who played which role, how it went, and the scores.

Read leniently: a step that is damaged is named and left out, the others count.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import datetime  # noqa: TC003 - pydantic reads the annotations
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeVar

from pydantic import BeforeValidator, ValidationError

from agent.collab.records import CallRecord, QuestionRecord, StepRecord, Validation
from agent.collab.scores.confidence import Factors  # noqa: TC001 - pydantic reads the annotations
from spool.names import is_task_id
from spool.records import DamagedError, Record, Usage

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from spool.workspace import Workspace

FOLDER: Final = "collab"
STEPS: Final = "steps"
REPORT: Final = "report.json"
CONSENSUS_STEP: Final = "4-consensus"
VALIDATION: Final = "3-validation-"
VALIDATOR: Final = "validator"


Kind = TypeVar("Kind", bound=Record)


class ConsensusShown(Record):
    """The part of a consensus that is read again."""

    percent: float | None = None
    coverage_percent: float | None = None


class ConfidenceShown(Record):
    """The part of a confidence that is read again; raw is 0 to 1."""

    percent: float | None = None
    raw: float | None = None
    calibrated: bool = False
    factors: Factors | None = None


def _nothing_when_null(value: Any) -> Any:
    return {} if value is None else value


class Scores(Record):
    """The scores as report.json, or the step before it, has them; a run that failed has none."""

    consensus: Annotated[ConsensusShown, BeforeValidator(_nothing_when_null)] = ConsensusShown()
    confidence: Annotated[ConfidenceShown, BeforeValidator(_nothing_when_null)] = ConfidenceShown()


@dataclass(frozen=True, slots=True)
class Play:
    """One role's part in one phase.

    Args:
        reason: why it failed.
        duration_s: from its first request to its answer.
        checks_passed, checks_made: the validator's binary checks of it; 0 of 0 when it was not judged.
        independent: the validator was of another model family; None when it was not judged.
    """

    step: str
    phase: int
    role: str
    provider: str | None
    model: str | None
    family: str | None
    ok: bool
    reason: str
    started_at: datetime
    duration_s: float
    calls: tuple[CallRecord, ...]
    usage: Usage
    checks_passed: int = 0
    checks_made: int = 0
    independent: bool | None = None


@dataclass(frozen=True, slots=True)
class Run:
    """One run, finished or not.

    Args:
        damaged: why files of it could not be read.
    """

    task_id: str
    question: QuestionRecord | None
    plays: tuple[Play, ...]
    scores: Scores
    damaged: tuple[str, ...]


def folders(workspace: Workspace) -> Iterator[Path]:
    """Yield the collab/ folder of every run that is kept: those in session, then those that are over."""
    for place in (workspace.sessions, workspace.results):
        for name in sorted(filter(is_task_id, os.listdir(place))):
            folder = place / name / FOLDER
            if folder.is_dir():
                yield folder


def folder_of(workspace: Workspace, task_id: str) -> Path | None:
    """Return the collab/ folder of one run; None when there is none."""
    if not is_task_id(task_id):
        return None
    places = (workspace.sessions, workspace.results, workspace.sessions)  # it may move between two looks
    found = (place / task_id / FOLDER for place in places)
    return next((folder for folder in found if folder.is_dir()), None)


def read(folder: Path) -> Run:
    """Read one run from its collab/ folder."""
    damaged: list[str] = []
    steps = list(_steps(folder / STEPS, damaged))
    verdicts = {
        step.name.removeprefix(VALIDATION): step for step in steps if step.name.startswith(VALIDATION)
    }
    return Run(
        task_id=folder.parent.name,
        question=_read(QuestionRecord, folder / "question.json", damaged),
        plays=tuple(_play(step, verdicts.get(step.role)) for step in steps if step.name != CONSENSUS_STEP),
        scores=_scores(folder, steps, damaged),
        damaged=tuple(damaged),
    )


def _steps(folder: Path, damaged: list[str]) -> Iterator[StepRecord]:
    try:
        names = sorted(name for name in os.listdir(folder) if name.endswith(".json") and name[0] != ".")
    except FileNotFoundError:
        return
    for name in names:
        step = _read(StepRecord, folder / name, damaged)
        if step is not None:
            yield step


def _read(kind: type[Kind], path: Path, damaged: list[str]) -> Kind | None:
    try:
        return kind.read(path)
    except DamagedError as error:
        damaged.append(str(error))
    return None


def _play(step: StepRecord, verdict: StepRecord | None) -> Play:
    judged = verdict if verdict is not None and step.phase == 2 else None  # noqa: PLR2004 - what is validated
    checks = _checks(judged) if judged is not None else ()
    return Play(
        step=step.name,
        phase=step.phase,
        role=step.role,
        provider=step.provider,
        model=step.model,
        family=step.family,
        ok=step.state == "ok",
        reason=step.reason,
        started_at=step.started_at,
        duration_s=max(0.0, (step.finished_at - step.started_at).total_seconds()),
        calls=step.calls,
        usage=step.usage,
        checks_passed=sum(checks),
        checks_made=len(checks),
        independent=judged.family != step.family if judged is not None and checks else None,
    )


def _checks(verdict: StepRecord) -> tuple[bool, ...]:
    if verdict.state != "ok" or verdict.response is None:
        return ()
    try:
        return tuple(check.passed for check in Validation.model_validate(verdict.response).checks)
    except ValidationError:
        return ()  # a newer version's verdict: its checks are not known here


def _scores(folder: Path, steps: list[StepRecord], damaged: list[str]) -> Scores:
    report = _read(Scores, folder / REPORT, damaged)
    if report is not None and report != Scores():
        return report
    step = next((step for step in steps if step.name == CONSENSUS_STEP), None)
    if step is None or step.response is None:
        return Scores()
    try:
        return Scores.model_validate(step.response)
    except ValidationError as error:
        damaged.append(f"{folder / STEPS / CONSENSUS_STEP}.json: {error.errors(include_url=False)[0]['msg']}")
        return Scores()
