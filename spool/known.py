"""What is known of an id beyond the drop folder: its session, its result, its tombstone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from spool.claim import TASK, Claim
from spool.records import DamagedError
from spool.refusal import Refusal
from spool.results import places_of_session, read_result, read_task, read_tombstone

if TYPE_CHECKING:
    from pathlib import Path

    from spool.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Place:
    """Where an id lies; `sha256` of its dropped file, None where it cannot be read."""

    path: Path
    sha256: str | None


def place_of(workspace: Workspace, task_id: str) -> Place | None:
    """Return where an id lies outside the drop folder; None when it was never used.

    Results are looked at last: a task moves from sessions/ to results/, never the other way unseen.
    """
    for folder in (*places_of_session(workspace, task_id), workspace.results / task_id):
        if _is_empty_claim(workspace, folder):
            continue
        if folder.is_dir():
            return Place(folder, _sha256_of(folder))
        if folder.exists():
            return Place(folder, None)
    try:
        tombstone = read_tombstone(workspace, task_id)
    except DamagedError:
        return Place(workspace.tombstones / task_id, None)
    return Place(workspace.tombstones / task_id, tombstone.source_sha256) if tombstone else None


def _is_empty_claim(workspace: Workspace, folder: Path) -> bool:
    """Tell whether a claim is just being made, or given back: its file lies in the drop folder."""
    if folder.parent in {workspace.sessions, workspace.results}:
        return False
    return Claim(folder.name, folder).source is None and not (folder / TASK).exists()


def _sha256_of(folder: Path) -> str | None:
    try:
        task = read_task(folder)
    except (DamagedError, OSError):
        return None
    return task.source_sha256 if task else None


def state_on_disk(workspace: Workspace, task_id: str) -> str | None:
    """Return how an id ended, as its result or its tombstone says; None when it has neither."""
    try:
        result = read_result(workspace, task_id)
        if result is not None:
            return result.state.value
        tombstone = read_tombstone(workspace, task_id)
    except (DamagedError, OSError):
        return None
    return tombstone.state.value if tombstone else None


def repeated(task_id: str, first: str, *, same: bool) -> Refusal:
    """Refuse an id that was used before."""
    what = "was dropped before with the same content" if same else "is taken by a task with other content"
    return Refusal(
        f"the id {task_id} {what}, see {first}",
        "leave out `task_id` for a task that is dropped again and again, or choose another id",
        field="task_id",
        task_id=task_id,
        duplicate_of=first,
    )
