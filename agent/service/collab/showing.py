"""Runs as people look at them: a list of all, and all that is known of one."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent.collab import runs as kept
from agent.service.collab import casting, scoring
from agent.service.collab.approving import rated
from agent.service.collab.documents import document_of
from agent.service.collab.labelling import shown as label_of
from agent.service.errors import ServiceError
from agent.service.index import Query

if TYPE_CHECKING:
    from agent.service.index import Index
    from agent.service.places import Desk


def runs(
    desk: Desk, index: Index, *, limit: int = 20, cursor: str | None = None, text: str = ""
) -> dict[str, Any]:
    """Return collaborative runs, the latest first.

    Args:
        desk: whose.
        index: the list of all tasks.
        limit: so many at most.
        cursor: `next` of the page before; None for the first.
        text: to look for, as the index does.

    Returns:
        rows: task_id, host, state, reason, changed_at, question (null, or as question.json has it), doing,
        consensus_percent, coverage_percent, confidence_percent, calibrated, label; next (null at the end);
        total.

    Raises:
        ServiceError: the cursor is not one.
    """
    page = index.query(Query(tools=("collab",), text=text, sort="changed_at", cursor=cursor, limit=limit))
    return {"rows": [_summary(desk, row) for row in page.rows], "next": page.next, "total": page.total}


def run(desk: Desk, task_id: str, host: str | None = None) -> dict[str, Any]:
    """Return all that is known of a run, whether it has begun, goes on, or is over.

    Fields: those of `agent.service.collab.documents.document_of`, and host, state, reason, asked (the status'
    question to a person), cards (`casting.cards`), matrix and scores (`scoring`), rated (`approving.rated`),
    trouble (why the commands cannot be shown, or null), label.

    Raises:
        ServiceError: nobody knows the id, or it is no collaborative run.
    """
    found = desk.find(task_id, host)
    if found.view.tool not in {"collab", None, ""}:
        raise ServiceError("invalid", f"{task_id} is no collaborative run, but a task of {found.view.tool}")
    workspace = found.place.workspace
    document = document_of(workspace, task_id)
    if document["folder"] and not Path(document["folder"]).is_dir():
        # it went to its result while it was read: half of it would be missing
        found = desk.find(task_id, host)
        document = document_of(workspace, task_id)
    steps = scoring.steps_of(document)
    commands: list[dict[str, Any]] = []
    trouble = None
    try:
        commands = rated(desk, task_id, host) if document["folder"] else []
    except ServiceError as error:
        trouble = error.message
    return {
        **document,
        "host": found.place.host,
        "state": str(found.view.state),
        "reason": found.view.reason,
        "asked": found.view.status.question if found.view.status else None,
        "cards": casting.cards(workspace, document, steps),
        "matrix": scoring.matrix(document, steps),
        "scores": scoring.scores(document, steps),
        "rated": commands,
        "trouble": trouble,
        "label": label_of(workspace, task_id),
    }


def stamp(desk: Desk, task_id: str, host: str | None = None) -> tuple[object, ...]:
    """Return what differs as soon as a run's files do; cheap enough to look at every second.

    Raises:
        ServiceError: nobody knows the id.
    """
    view = desk.find(task_id, host).view
    return (str(view.state), view.place, view.reason, *_stamp_of(view.path / kept.FOLDER))


def _stamp_of(collab: Path) -> tuple[tuple[int, int, int] | None, ...]:
    return tuple(
        _looked_at(collab / name)
        for name in (".", "steps", "commands", "progress.json", "report.json", "../approve")
    )


def _looked_at(path: Path) -> tuple[int, int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_ino, status.st_size


@lru_cache(maxsize=512)
def _read(collab: Path, _stamp: object) -> kept.Run:
    """Read a run, and again only when its files changed."""
    return kept.read(collab)


def _summary(desk: Desk, row: dict[str, Any]) -> dict[str, Any]:
    workspace = desk.place(row["host"]).workspace
    folder = kept.folder_of(workspace, row["task_id"]) if row["task_id"] else None
    found = _read(folder, _stamp_of(folder)) if folder else None
    consensus = found.scores.consensus if found else None
    confidence = found.scores.confidence if found else None
    question = found.question.model_dump(mode="json") if found and found.question else None
    return {
        **{name: row[name] for name in ("task_id", "host", "state", "reason", "changed_at")},
        "question": question,
        "doing": _doing(folder),
        "consensus_percent": consensus.percent if consensus else None,
        "coverage_percent": consensus.coverage_percent if consensus else None,
        "confidence_percent": confidence.percent if confidence else None,
        "calibrated": confidence.calibrated if confidence else None,
        "label": label_of(workspace, row["task_id"]) if row["task_id"] else None,
    }


def _doing(folder: Path | None) -> str | None:
    try:
        progress = json.loads((folder / "progress.json").read_text()) if folder else {}
    except (OSError, ValueError):
        return None  # it is only information
    said = progress.get("doing") if isinstance(progress, dict) else None
    return said if isinstance(said, str) else None
