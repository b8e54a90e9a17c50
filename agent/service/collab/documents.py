"""A run as it lies on disk: its report, and everything of it as one document."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from agent.collab import runs
from agent.inspect.documents import document

if TYPE_CHECKING:
    from pathlib import Path

    from spool.workspace import Workspace

REPORT: Final = "report.md"


def report_text(workspace: Workspace, task_id: str) -> str | None:
    """Return report.md; None while there is none."""
    folder = runs.folder_of(workspace, task_id)
    try:
        return (folder / REPORT).read_text(errors="replace") if folder else None
    except FileNotFoundError:
        return None


def document_of(workspace: Workspace, task_id: str) -> dict[str, Any]:
    """Return everything of a run as one document: `aispool collab show --json`.

    Fields: task_id, folder, question, report, commands, progress (each as the file has it, null while
    there is none), steps (by name).
    """
    folder = runs.folder_of(workspace, task_id)
    return document(
        workspace,
        task_id=task_id,
        folder=str(folder) if folder else None,
        question=_json(folder, "question.json"),
        report=_json(folder, "report.json"),
        commands=_json(folder, "commands.json"),
        progress=_json(folder, "progress.json"),
        steps=[json.loads(path.read_text()) for path in _steps(folder)],
    )


def _json(folder: Path | None, name: str) -> Any:
    try:
        return json.loads((folder / name).read_text()) if folder else None
    except FileNotFoundError:
        return None


def _steps(folder: Path | None) -> list[Path]:
    return sorted((folder / runs.STEPS).glob("[!.]*.json")) if folder else []
