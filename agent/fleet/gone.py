"""Tasks that a host had and shows no more: they do not wait, do not run, and have no result.

Somebody removed them there, or its disk forgot them. What became of them nobody knows, so nothing happens by
itself: they are shown as gone, and a person gives them to another host or ends them here.

    fleet/HOST/.gone/ID     in how many looks in a row it was missing, and whether it is gone by that
    fleet/HOST/.forget/ID   a person asked that it ends here, as lost

A task that moves while rsync lists is listed nowhere, so one that is missing once is not gone. One that turns
up again is as if nothing had been.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from agent import log
from agent.fleet.ending import end
from agent.fleet.outbox import Parcel, parcels
from agent.fleet.publish import throw_away
from agent.fleet.reasons import local_time
from agent.fleet.settled import Shown
from agent.fleet.shown import names_in
from agent.fleet.whereabouts import moved
from spool.exclusive import move_new
from spool.files import make_folder, put, remove
from spool.names import is_task_id
from spool.records import DamagedError, Record, Result, State, Status, Utc, utc_now
from spool.results import RESULT, STATUS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from agent.fleet.layout import Mirror

GONE: Final = ".gone"
FORGET: Final = ".forget"
LOOKS_SEEN: Final = 2
LOOKS_GIVEN: Final = 6
"""Of a task that was given, and never seen; it was given again twice meanwhile."""


class Absence(Record):
    """A task that was not shown in the last looks.

    Args:
        since: the first of them.
        looks: how many; not counted on when it is gone.
    """

    since: Utc
    looks: int
    is_gone: bool = False


def look(mirror: Mirror) -> tuple[str, ...]:
    """Count what its host does not show, after a look at it that is believed; return what is gone.

    Raises:
        OSError: our own disk.
    """
    shown = Shown(mirror)
    missing = {task_id: needed for task_id, needed in _expected(mirror) if not shown.knows(task_id)}
    for name in names_in(mirror.root / GONE):
        if name not in missing:
            (mirror.root / GONE / name).unlink(missing_ok=True)
    found = tuple(sorted(task_id for task_id, needed in missing.items() if _count(mirror, task_id, needed)))
    for task_id in found:
        if os.path.lexists(moved(mirror, task_id)):
            throw_away(mirror, mirror.workspace.sessions / task_id)  # it is another host's now
    return found


def _expected(mirror: Mirror) -> Iterator[tuple[str, int]]:
    """Yield what the host has or had, and how often it must be missing to be gone."""
    sessions = {name for name in names_in(mirror.workspace.sessions) if is_task_id(name)}
    for parcel in parcels(mirror.sent.tasks):
        note = parcel.note()
        if note is not None and parcel.task_id not in sessions and (note.seen_at or note.pushed_at):
            yield parcel.task_id, LOOKS_SEEN if note.seen_at else LOOKS_GIVEN
    for task_id in sessions:
        yield task_id, LOOKS_SEEN


def _count(mirror: Mirror, task_id: str, needed: int) -> bool:
    before = absence(mirror, task_id) or Absence(since=utc_now(), looks=0)
    if before.is_gone:
        return True
    now = before.model_copy(update={"looks": before.looks + 1, "is_gone": before.looks + 1 >= needed})
    make_folder(mirror.root / GONE)
    now.write(mirror.root / GONE / task_id, durable=False)
    if now.is_gone:
        log.warning("task is gone from its host", task_id=task_id, host=mirror.name)
        _mark_session(mirror, task_id)
    return now.is_gone


def _mark_session(mirror: Mirror, task_id: str) -> None:
    """Let people see it where the session is shown; when the host shows it again, its own words come back."""
    folder = mirror.workspace.sessions / task_id
    with suppress(DamagedError):
        status = Status.read(folder / STATUS)
        if status is not None:
            said = f"{words(mirror, task_id)}; it was {status.state} when last seen"
            status.model_copy(update={"reason": said, "attach": None}).write(folder / STATUS)


def absence(mirror: Mirror, task_id: str) -> Absence | None:
    """Return what is noted of a task that its host does not show; None when it does, as far as we know."""
    try:
        return Absence.read(mirror.root / GONE / task_id)
    except DamagedError:
        return None  # a power cut: it is counted anew


def gone(mirror: Mirror) -> list[str]:
    """Return the ids of what is gone from a host."""
    return [name for name in names_in(mirror.root / GONE) if is_task_id(name) and is_gone(mirror, name)]


def is_gone(mirror: Mirror, task_id: str) -> bool:
    """Tell whether a task is gone from its host."""
    found = absence(mirror, task_id)
    return found is not None and found.is_gone


def why_gone(mirror: Mirror, task_id: str) -> str | None:
    """Say that a task is gone, as the end of a sentence that its host's name begins; None when it is not."""
    found = absence(mirror, task_id)
    if found is None or not found.is_gone:
        return None
    return f"has not shown it since {local_time(found.since)}"


def words(mirror: Mirror, task_id: str) -> str:
    """Say that a task is gone, and what a person can do."""
    return (
        f"gone from {mirror.name}, which {why_gone(mirror, task_id)}: nobody knows what became of it; "
        f"`aispool fleet forget {task_id}` ends it here, "
        f"`aispool fleet reassign {task_id}` gives it to another host"
    )


# ------------------------------------------------------------------------------------------- forgetting


def ask_to_forget(mirror: Mirror, task_id: str) -> None:
    """Ask that a task ends here, as lost; the collector does it."""
    make_folder(mirror.root / FORGET)
    put(mirror.root / FORGET / task_id, b"")


def may_forget(mirror: Mirror, task_id: str, unreachable: str | None) -> bool:
    """Tell whether nobody knows what became of a task: it is gone, or was given to a host that is dark."""
    dark = unreachable is not None and Parcel(mirror.sent.tasks / task_id).folder.is_dir()
    return dark or is_gone(mirror, task_id)


def forget(mirror: Mirror, unreachable: str | None) -> Iterator[str]:
    """End what people asked for; yield the ids of what ended. Doing it again after a kill goes on.

    Args:
        mirror: a host's.
        unreachable: why the host is not reached, when it is not.

    Raises:
        OSError: the disk; calling again goes on.
    """
    for task_id in filter(is_task_id, names_in(mirror.root / FORGET)):
        if not may_forget(mirror, task_id, unreachable):
            log.warning("task is not forgotten", task_id=task_id, host=mirror.name, what="its host shows it")
        elif _end(mirror, task_id, unreachable):
            yield task_id
        remove(mirror.root / FORGET / task_id)


def _end(mirror: Mirror, task_id: str, unreachable: str | None) -> bool:
    why = why_gone(mirror, task_id) or unreachable
    reason = f"nobody knows what became of it: {mirror.name} {why}; a person ended it here"
    parcel, session = Parcel(mirror.sent.tasks / task_id), mirror.workspace.sessions / task_id
    ended = False
    if parcel.folder.is_dir():
        ended = end(mirror, parcel, State.LOST, reason)
        throw_away(mirror, session)
    elif session.is_dir():
        ended = _end_session(mirror, session, reason)
    (mirror.root / GONE / task_id).unlink(missing_ok=True)
    return ended


def _end_session(mirror: Mirror, session: Path, reason: str) -> bool:
    """Make a result of a session that its host was given by somebody else."""
    try:
        status = Status.read(session / STATUS)
    except DamagedError:
        status = None
    if status is None:
        return False
    Result(
        task_id=status.task_id,
        tool=status.tool,
        command=status.command,
        state=State.LOST,
        reason=reason,
        host=status.host,
        source_name=status.source_name,
        submitted_at=status.submitted_at,
        started_at=status.started_at,
        finished_at=utc_now(),
    ).write(session / RESULT)
    try:
        move_new(session, mirror.workspace.results / session.name)
    except FileExistsError:
        throw_away(mirror, session)  # an earlier run of it has its result here
        return False
    (mirror.workspace.results / session.name / STATUS).unlink(missing_ok=True)
    log.info("task over", task_id=session.name, state=State.LOST, reason=reason)
    return True
