"""How runs turned out: collab/labels/person/ID.json and collab/labels/check/ID.json.

A person says good or bad; a check after the run says it by an exit code. Each has a folder of its own, so
that neither overwrites the other, and a person's word counts. A label holds all that is learned from, and so
outlives the run's result.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Final, Literal

from pydantic import Field

from agent.collab.scores.calibration import Calibrator, Outcome
from agent.collab.scores.confidence import ASKS
from spool.files import make_folder, remove
from spool.names import is_task_id
from spool.records import SCHEMA_VERSION, DamagedError, Record, Utc

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from agent.collab.runs import Run
    from spool.workspace import Workspace

By = Literal["person", "check"]
SOURCES: Final[tuple[By, ...]] = ("person", "check")
"""Who may say it; the first counts more."""


Share = Annotated[float, Field(ge=0, le=1)]


class LabelledRole(Record):
    """Who played a role in phase 2 or planned, and what the validator thought of it."""

    role: str
    provider: str
    model: str | None = None
    family: str | None = None
    checks_passed: int = 0
    checks_made: int = 0
    independent: bool | None = None


class Label(Record):
    """One outcome.

    Args:
        raw, root, safety: the run's Confidence before calibration is `safety` times `root`, each 0 to 1.
        shown_percent: the Confidence that was shown; `calibrated` tells what it was.
    """

    schema_version: int = SCHEMA_VERSION
    task_id: str
    good: bool
    by: By
    who: str
    why: str = ""
    labelled_at: Utc
    asked_at: Utc | None = None
    type: str | None = None
    domain: str | None = None
    raw: Share | None = None
    root: Share | None = None
    safety: Share | None = None
    shown_percent: float | None = None
    calibrated: bool = False
    consensus_percent: float | None = None
    roles: tuple[LabelledRole, ...] = ()


def make(run: Run, *, good: bool, by: By, who: str, why: str, now: datetime) -> Label:
    """Return the label of a run with all that is known of it."""
    question, factors = run.question, run.scores.confidence.factors
    return Label(
        task_id=run.task_id,
        good=good,
        by=by,
        who=who,
        why=why,
        labelled_at=now,
        asked_at=question.asked_at if question else None,
        type=question.type if question else None,
        domain=question.domain if question else None,
        raw=run.scores.confidence.raw,
        root=factors.root() if factors else None,
        safety=factors.safety if factors else None,
        shown_percent=run.scores.confidence.percent,
        calibrated=run.scores.confidence.calibrated,
        consensus_percent=run.scores.consensus.percent,
        roles=tuple(
            LabelledRole(
                role=play.role,
                provider=play.provider,
                model=play.model,
                family=play.family,
                checks_passed=play.checks_passed,
                checks_made=play.checks_made,
                independent=play.independent,
            )
            for play in run.plays
            if play.ok and play.provider is not None
        ),
    )


def folder(workspace: Workspace, by: By) -> Path:
    """Return where labels of one source lie."""
    return workspace.root / "collab" / "labels" / by


def write(workspace: Workspace, label: Label) -> None:
    """Keep a label; a later one of the same source replaces it."""
    make_folder(folder(workspace, label.by))
    label.write(folder(workspace, label.by) / f"{label.task_id}.json")


def take_back(workspace: Workspace, task_id: str) -> bool:
    """Remove what a person said of a run; tell whether there was anything."""
    path = folder(workspace, "person") / f"{task_id}.json"
    existed = is_task_id(task_id) and path.exists()
    if existed:
        remove(path)
    return existed


def read_one(workspace: Workspace, task_id: str) -> Label | None:
    """Return the label that counts for one run."""
    for by in SOURCES:
        label = Label.read(folder(workspace, by) / f"{task_id}.json")
        if label is not None:
            return label
    return None


@dataclass(frozen=True, slots=True)
class Labels:
    """The label that counts for each run, by time; and why others could not be read."""

    known: tuple[Label, ...]
    damaged: tuple[str, ...]

    def outcomes(self) -> list[Outcome]:
        """Return what calibration is made from: runs that had a Confidence, and whose gate was not shut."""
        return [
            Outcome(label.root, label.safety == ASKS, label.good)
            for label in self.known
            if label.root is not None and label.safety
        ]


def read_all(workspace: Workspace) -> Labels:
    """Read every label; a damaged one is left out and named."""
    found: dict[str, Label] = {}
    damaged: list[str] = []
    for by in SOURCES:
        for path in _files(folder(workspace, by)):
            try:
                label = Label.read(path)
            except (DamagedError, OSError) as error:
                damaged.append(str(error))
                continue
            if label is not None:
                found.setdefault(label.task_id, label)
    known = sorted(found.values(), key=lambda label: (label.labelled_at, label.task_id))
    return Labels(tuple(known), tuple(damaged))


def _files(place: Path) -> list[Path]:
    try:
        names = os.listdir(place)
    except FileNotFoundError:
        return []
    return [place / n for n in sorted(names) if n.endswith(".json") and is_task_id(n.removesuffix(".json"))]


def calibrator(workspace: Workspace) -> Calibrator:
    """Return the calibrator of all labelled outcomes so far; the labels are its only state."""
    return Calibrator.fit(read_all(workspace).outcomes())
