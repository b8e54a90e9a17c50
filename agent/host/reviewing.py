"""`"review": true`: a task that is over is followed by exactly one task that reviews its result.

    sessions/.agent-NAME/.reviews/ID   written before the result, removed after tasks/ID.review.json is there

So no kill loses a review, and the id, always the same for one task, makes a second one impossible.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from agent import log
from spool.files import make_folder, put, put_new, remove
from spool.known import place_of
from spool.names import TASK_SUFFIX, child_id, is_task_id
from spool.records import Result, State
from spool.results import RESULT, places_of_session, read_task
from spool.submit import encode

if TYPE_CHECKING:
    from pathlib import Path

    from agent.host.site import Site
    from spool.task import AcceptedTask

NOTES: Final = ".reviews"
REVIEWED: Final = frozenset({State.SUCCEEDED, State.FAILED, State.TIMED_OUT})
"""What a task came to that has something to be reviewed."""


def intend_review(site: Site, task: AcceptedTask, result: Result) -> bool:
    """Note that a result, which is about to be published, is to be reviewed; False when it is not.

    Raises:
        OSError: the disk; the result is not published yet, and all of it is tried again.
    """
    if not task.review or result.state not in REVIEWED or not result.attempts:
        return False
    make_folder(site.folder / NOTES)
    put(site.folder / NOTES / task.task_id, b"")
    return True


def ask_for_reviews(site: Site, agent: Path) -> None:
    """Drop a task for each noted result that is published; again is harmless.

    Args:
        site: ours.
        agent: the folder of the agent that noted them: our own, or a dead one's.

    Raises:
        OSError: the disk; the notes stay.
    """
    try:
        names = sorted(name for name in os.listdir(agent / NOTES) if is_task_id(name))
    except FileNotFoundError:
        return
    for task_id in names:
        folder = site.workspace.results / task_id
        if (folder / RESULT).exists():
            _drop(site, folder)
        elif next(places_of_session(site.workspace, task_id), None):
            continue  # its result is not published yet
        remove(agent / NOTES / task_id)


def _drop(site: Site, folder: Path) -> None:
    task_id = child_id(folder.name, "review")
    name = task_id + TASK_SUFFIX
    ws = site.workspace
    if place_of(ws, task_id) is not None or (ws.held / name).exists() or (ws.rejected / name).exists():
        return
    reviewed = read_task(folder)
    fields = {
        "task_id": task_id,
        "tool": "collab",
        "command": "review",
        "parameters": {"of": folder.name},
        "labels": list(reviewed.labels) if reviewed else [],
        "submitted_by": f"review of {folder.name}",
    }
    try:
        put_new(ws.tasks / name, encode(fields))
    except FileExistsError:
        return
    log.info("review asked for", task_id=folder.name, review=task_id)
