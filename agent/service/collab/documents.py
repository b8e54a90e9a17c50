"""A run as it lies on disk: its report, and everything of it as one document."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from agent.collab import runs
from agent.inspect.documents import document
from agent.service.errors import ServiceError

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

    Raises:
        ServiceError: a file is no JSON.
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
        steps=[step for name in _step_names(folder) if (step := _json(folder, name)) is not None],
    )


def _json(folder: Path | None, name: str) -> Any:
    try:
        return json.loads((folder / name).read_text()) if folder else None
    except (FileNotFoundError, NotADirectoryError):
        return None
    except ValueError as error:
        raise ServiceError("conflict", f"{folder}/{name} is damaged ({error}): somebody changed it") from None


def _step_names(folder: Path | None) -> list[str]:
    """Return the files of the steps; one may be put aside before it is read."""
    paths = (folder / runs.STEPS).glob("[!.]*.json") if folder else ()
    return sorted(f"{runs.STEPS}/{path.name}" for path in paths)
