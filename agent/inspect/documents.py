"""The JSON documents of `--json`: one object each, fields that stay, times in UTC, sizes in bytes.

A field is never left out: what is not known is null.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from spool.attempt import attempts_of
from spool.files import read_regular
from spool.records import DamagedError, Exit, Started, iso
from spool.results import LEFT_OUT, read_task

if TYPE_CHECKING:
    from pathlib import Path

    from spool.attempt import Attempt
    from spool.task import AcceptedTask
    from spool.view import RejectedFile, View
    from spool.workspace import Workspace

SCHEMA_VERSION: Final = 1
MAX_LEFT_OUT_BYTES: Final = 1 << 20


def document(workspace: Workspace, **fields: Any) -> dict[str, Any]:
    """Return the frame of every document."""
    return {"schema_version": SCHEMA_VERSION, "workspace": str(workspace.root), **fields}


def of_view(view: View) -> dict[str, Any]:
    """Return one task of a list."""
    result, status = view.result, view.status
    finished_at = result.finished_at if result else None
    started_at = (result or status).started_at if (result or status) else None  # type: ignore[union-attr]
    return {
        "task_id": view.task_id,
        "state": str(view.state),
        "reason": view.reason,
        "place": view.place,
        "path": str(view.path),
        "tool": view.tool,
        "command": view.command,
        "source_name": view.name,
        "changed_at": iso(view.changed_at) if view.changed_at else None,
        "started_at": iso(started_at) if started_at else None,
        "finished_at": iso(finished_at) if finished_at else None,
        "duration_s": result.duration_s if result else None,
        "labels": list(labels_of(view)),
        "question": status.question if status else None,
        "next_attempt_at": iso(status.next_attempt_at) if status and status.next_attempt_at else None,
    }


def labels_of(view: View) -> tuple[str, ...]:
    """Return a task's labels, from wherever they stand."""
    if view.task is not None:
        return view.task.labels
    if view.result is not None:
        return view.result.labels
    accepted = _accepted(view) if view.place == "sessions" else None
    return accepted.labels if accepted else ()


def _accepted(view: View) -> AcceptedTask | None:
    try:
        return read_task(view.path)
    except (DamagedError, OSError):
        return None  # the view's reason says so; the rest is shown all the same


def of_rejected(file: RejectedFile) -> dict[str, Any]:
    """Return one refused file of a list."""
    return {"name": file.name, "path": str(file.path), "explanation": str(file.explanation)}


def of_task(workspace: Workspace, view: View) -> dict[str, Any]:
    """Return all that is known of one task."""
    task = view.task or (_accepted(view) if view.place in {"sessions", "results"} else None)
    record = view.result or view.status
    log = (view.result.output.log if view.result else view.status.log if view.status else None) or None
    return document(
        workspace,
        **of_view(view),
        attach=view.status.attach if view.status else None,
        log=str(workspace.root / log) if log else None,
        task=task.model_dump(mode="json", exclude_defaults=True) if task else None,
        status=view.status.model_dump(mode="json") if view.status else None,
        result=view.result.model_dump(mode="json") if view.result else None,
        attempts=[_of_attempt(attempt) for attempt in attempts_of(view.path)] if record else [],
        left_out=_left_out(view.path) if view.result else [],
    )


def _left_out(folder: Path) -> list[str]:
    """Return the links and special files of a result that stayed on its host."""
    try:
        return read_regular(folder / LEFT_OUT, MAX_LEFT_OUT_BYTES).decode().splitlines()
    except FileNotFoundError:
        return []


def _of_attempt(attempt: Attempt) -> dict[str, Any]:
    try:
        started, ended = Started.read(attempt.started), Exit.read(attempt.exit)
        damage = None
    except DamagedError as error:
        started, ended, damage = None, None, str(error)
    return {
        "number": attempt.number,
        "phase": str(attempt.phase()),
        "folder": str(attempt.folder),
        "stdout": str(attempt.stdout) if attempt.stdout.exists() else None,
        "stderr": str(attempt.stderr) if attempt.stderr.exists() else None,
        "started": started.model_dump(mode="json") if started else None,
        "exit": ended.model_dump(mode="json") if ended else None,
        "damage": damage,
    }
