"""What an enrolled host keeps for its collector: marks of the results that were there before it came."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from agent import log
from spool.enrol import enrolment_of, is_complete, is_enrolled, mark, marked, say_complete
from spool.files import remove
from spool.names import is_task_id
from spool.records import DamagedError
from spool.results import digest_of_result, places_of_session

if TYPE_CHECKING:
    from spool.workspace import Workspace


def is_waiting_for_marks(workspace: Workspace) -> bool:
    """Tell whether a collector came, and the results that were there are not marked yet."""
    if not is_enrolled(workspace):
        return False
    try:
        enrolment = enrolment_of(workspace)
    except DamagedError:
        return False  # nothing is pruned, and every new result is marked
    return enrolment is not None and not is_complete(workspace, enrolment)


def mark_all(workspace: Workspace) -> None:
    """Mark the results that were there when the collector came; doing it again goes on.

    Raises:
        OSError: the disk.
        DamagedError: configs/enrolled.json cannot be used.
    """
    enrolment = enrolment_of(workspace)
    if enrolment is None or is_complete(workspace, enrolment):
        return
    present, count = set(marked(workspace)), 0
    for task_id in sorted(os.listdir(workspace.results)):
        if not is_task_id(task_id) or task_id in present:
            continue
        try:
            digest = digest_of_result(workspace.results / task_id)
        except (FileNotFoundError, NotADirectoryError):
            continue  # an answer that a task asked for, or a task that runs again
        mark(workspace, task_id, digest)
        count += 1
    say_complete(workspace, enrolment)
    log.info("results marked for the collector", collector=enrolment.collector, results=count)


def forget_stray_marks(workspace: Workspace) -> None:
    """Remove marks of what is neither in session nor over: a kill left them."""
    for task_id in marked(workspace):
        # a task moves from its session to results/, and back when it is run again
        lies = (workspace.results / task_id).exists() or next(places_of_session(workspace, task_id), None)
        if not lies and not (workspace.results / task_id).exists():
            remove(workspace.uncollected / task_id)


def waiting_for_collector(workspace: Workspace) -> str | None:
    """Say how much cannot be pruned before the collector comes; None when nothing waits for it."""
    if not is_enrolled(workspace) or not (count := len(marked(workspace))):
        return None
    try:
        enrolment = enrolment_of(workspace)
    except DamagedError:
        enrolment = None
    name = enrolment.collector if enrolment else "named in configs/enrolled.json"
    waiting = "1 result waits" if count == 1 else f"{count} results wait"
    return f"{waiting} for the collector {name}"
