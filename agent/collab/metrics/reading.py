"""Every run that is kept, each read once and again only when its files changed."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from pydantic import TypeAdapter, ValidationError

from agent.collab import runs
from agent.collab.derived import Derived, transaction
from agent.collab.runs import Run
from spool.files import make_folder

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator
    from pathlib import Path

    from spool.workspace import Workspace

NAME: Final = ".metrics.sqlite"
_TABLES: Final = {"runs": "CREATE TABLE runs (id TEXT PRIMARY KEY, stamp TEXT NOT NULL, run BLOB NOT NULL)"}
_RUN: Final = TypeAdapter(Run)


def read_runs(workspace: Workspace) -> list[Run]:
    """Return all runs that are kept, by id."""
    place = workspace.root / "collab"
    with suppress(OSError):
        make_folder(place)  # where it cannot be, the runs are read each time

    def read(database: sqlite3.Connection) -> dict[str, Run]:
        # a run that moves from sessions/ to results/ meanwhile is seen twice: the later look counts
        return {run.task_id: run for run in _up_to_date(database, workspace)}

    found = Derived(place / NAME, 1, _TABLES).use(read)
    return [found[task_id] for task_id in sorted(found)]


def _up_to_date(database: sqlite3.Connection, workspace: Workspace) -> Iterator[Run]:
    known = {task_id: (stamp, run) for task_id, stamp, run in database.execute("SELECT * FROM runs")}
    with transaction(database):
        for folder in runs.folders(workspace):
            task_id, stamp = folder.parent.name, _stamp(folder)
            kept = known.pop(task_id, None)
            run = _decoded(kept[1]) if kept is not None and kept[0] == stamp else None
            if run is None:
                run = runs.read(folder)
                row = (task_id, stamp, _RUN.dump_json(run))
                database.execute("INSERT OR REPLACE INTO runs VALUES (?, ?, ?)", row)
            yield run
        database.executemany("DELETE FROM runs WHERE id = ?", [(task_id,) for task_id in known])


def _decoded(content: bytes) -> Run | None:
    try:
        return _RUN.validate_json(content)
    except ValidationError:
        return None  # another version wrote it


def _stamp(folder: Path) -> str:
    """Return what changes when a run's files do: steps are added to a folder, the rest is replaced."""
    parts = []
    for name in (runs.STEPS, runs.REPORT, "question.json"):
        try:
            status = os.lstat(folder / name)
        except FileNotFoundError:
            parts.append("-")
        else:
            parts.append(f"{status.st_mtime_ns} {status.st_ino} {status.st_size}")
    return ", ".join(parts)
