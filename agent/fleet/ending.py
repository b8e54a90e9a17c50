"""Tasks that end here: cancelled, expired or failed before any host was given them, or given up for lost.

Their result is made here, in the form in which hosts make theirs: the folder of the task on its way gets a
result.json and is renamed to results/ID of the mirror. `retry` puts it back on its way. Killed anywhere, the
folder says by its files which of the two goes on.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from agent import log
from agent.config import host_name
from agent.fleet.outbox import HELD, MOVE, NOTE, READY, Parcel, transfer
from spool.claim import TASK
from spool.exclusive import move_new
from spool.files import put, read_regular, remove
from spool.names import WHY_SUFFIX
from spool.records import Result, State, utc_now
from spool.results import RESULT, RETRY
from spool.task import AcceptedTask, Task

if TYPE_CHECKING:
    from agent.fleet.layout import Mirror


def end(mirror: Mirror, parcel: Parcel, state: State, reason: str) -> bool:
    """Give a task its result here; False when it was moved at this moment.

    Args:
        mirror: in whose outbox it lies.
        parcel: it; a host that may have it is asked instead.
        state: how it ends.
        reason: one sentence.
    """
    task, note = parcel.accepted(), parcel.note()
    if task is None or note is None:
        return False
    result = Result(
        task_id=parcel.task_id,
        tool=task.tool,
        command=task.command,
        state=state,
        reason=reason,
        host=host_name(),
        source_name=note.source_name,
        submitted_at=note.accepted_at,
        finished_at=utc_now(),
        labels=task.labels,
    )
    try:
        put(parcel.folder / TASK, _accepted(task, parcel, note.source_name, note.accepted_at))
        result.write(parcel.folder / RESULT)
    except FileNotFoundError:
        return False
    log.info("task over", task_id=parcel.task_id, state=state, reason=reason)
    return finish_ending(mirror, parcel)


def _accepted(task: Task, parcel: Parcel, source_name: str, accepted_at: object) -> bytes:
    fields = {name: getattr(task, name) for name in Task.model_fields}
    fields |= {"task_id": parcel.task_id, "source_name": source_name, "submitted_at": accepted_at}
    fields |= {"source_sha256": hashlib.sha256(read_regular(parcel.task)).hexdigest(), "warnings": ()}
    return AcceptedTask.model_construct(**fields).model_dump_json(indent=2).encode() + b"\n"


def finish_ending(mirror: Mirror, parcel: Parcel) -> bool:
    """Move a task that has its result to results/, and out of sight among those that wait."""
    try:
        move_new(parcel.folder, mirror.workspace.results / parcel.task_id)
    except (FileNotFoundError, FileExistsError):
        return False
    hide(mirror, parcel)
    return True


def hide(mirror: Mirror, parcel: Parcel) -> None:
    """Remove what people saw of a task on its way."""
    for folder in (mirror.workspace.tasks, mirror.workspace.held):
        (folder / parcel.task.name).unlink(missing_ok=True)
        (folder / f"{parcel.task_id}{WHY_SUFFIX}").unlink(missing_ok=True)


def ended_here(mirror: Mirror, task_id: str) -> bool:
    """Tell whether a result was made here, so that its host knows nothing of it."""
    return (mirror.workspace.results / task_id / NOTE).exists()


def reopen(mirror: Mirror, task_id: str) -> Parcel | None:
    """Put a task that ended here back on its way, because a person asked for it."""
    parcel = transfer(Parcel(mirror.workspace.results / task_id), mirror.outbox.tasks)
    if parcel is not None:
        finish_reopening(parcel)
        log.info("task goes on its way again", task_id=task_id)
    return parcel


def finish_reopening(parcel: Parcel) -> None:
    """Remove what makes it a task that is over; the request goes last."""
    note = parcel.note()
    if note is not None and (note.pushed_at or note.seen_at):
        # a host that was given it before takes it for the same delivery, unless it is a new file
        put(parcel.task, read_regular(parcel.task))
        note.model_copy(update={"pushed_at": None, "seen_at": None}).write(parcel.folder / NOTE)
    for name in (RESULT, TASK, READY, HELD, MOVE, RETRY):
        remove(parcel.folder / name)


def mend(mirror: Mirror, parcel: Parcel) -> bool:
    """Go on with an ending or a reopening that was cut off; True when the task is on its way."""
    if not parcel.has(RESULT):
        if parcel.has(RETRY):
            finish_reopening(parcel)
        return True
    if parcel.has(RETRY):
        finish_reopening(parcel)
        return True
    finish_ending(mirror, parcel)
    return False
