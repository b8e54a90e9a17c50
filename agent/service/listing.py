"""A task as a document: a row of a list, and all that is known of one."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from agent.inspect.documents import of_task, of_view
from agent.service.files import files_of
from agent.service.standing import standing
from spool.claim import TASK
from spool.files import read_regular
from spool.names import is_task_id

if TYPE_CHECKING:
    from pathlib import Path

    from agent.service.places import Desk, Place
    from spool.view import View

_TASK_BYTES: Final = 64 << 20


def row(place: Place, view: View) -> dict[str, Any]:
    """Return one task of a list: the fields of `aispool ls --json`, with `group` and `standing`.

    `host` is null for our own workspace. Fields: task_id, state, reason, place, path, tool, command,
    source_name, changed_at, started_at, finished_at (UTC, ISO 8601), duration_s, labels, question,
    next_attempt_at, host, group, standing (one line for people).
    """
    return {
        **of_view(view),
        "host": place.host,
        "group": group_of(view),
        "standing": standing(view),
    }


def group_of(view: View) -> str | None:
    """Return a task's group, from wherever it stands."""
    if view.task is not None:
        return view.task.group
    return None if view.place in {"tasks", "held"} else group_in(view.path)


def group_in(folder: Path) -> str | None:
    """Return the group that a task's validated copy names; it is in no status and no result."""
    try:
        content = read_regular(folder / TASK, _TASK_BYTES)
        group = json.loads(content).get("group") if b'"group"' in content else None
    except (OSError, ValueError, AttributeError, RecursionError):
        return None
    return group if isinstance(group, str) and is_task_id(group) else None


def task(desk: Desk, task_id: str, host: str | None = None) -> dict[str, Any]:
    """Return all that is known of one task: `aispool show --json` with `host`, `group`, `standing`, `files`.

    `files` is what `agent.service.files.files` returns.

    Raises:
        ServiceError: nobody knows the id.
    """
    found = desk.find(task_id, host)
    return {
        **of_task(found.place.workspace, found.view),
        "host": found.place.host,
        "group": group_of(found.view),
        "standing": standing(found.view),
        "files": files_of(found),
    }
