"""Controls about tasks that their host does not have: they are done here, and go nowhere."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from agent import log
from agent.fleet.ending import end, ended_here, reopen
from agent.fleet.outbox import HELD, Parcel
from spool.exclusive import move_new
from spool.files import put_new
from spool.names import TASK_SUFFIX
from spool.records import State

if TYPE_CHECKING:
    from collections.abc import Iterable

    from agent.fleet.desk import Desk
    from spool.control import Control

OF_PEOPLE = frozenset(
    {"cancel", "withdraw", "hold", "release", "retry", "resume-conversation", "answer", "approve"}
)


def apply(desk: Desk, others: Iterable[Desk]) -> bool:
    """Do what can be done here of what was asked of one host; True when that was anything.

    Args:
        desk: its.
        others: where a task may be that is no longer, or not yet, at this one.
    """
    asked = desk.controls.unsent()
    for control in asked:
        if control.do not in OF_PEOPLE or control.task_id is None:
            continue
        parcel = Parcel(desk.mirror.outbox.tasks / control.task_id)
        if parcel.folder.is_dir():
            _do(desk, parcel, control)
        elif ended_here(desk.mirror, control.task_id):
            _do_to_ended(desk, control)
        elif not desk.has(control.task_id):
            _forward(desk, others, control)
    return len(desk.controls.unsent()) < len(asked)


def _do(desk: Desk, parcel: Parcel, control: Control) -> None:
    done = True
    match control.do:
        case "cancel" | "withdraw":
            done = end(desk.mirror, parcel, State.CANCELLED, "cancelled before it was given to a host")
        case "hold" | "release":
            _hold(desk, parcel, to_hold=control.do == "hold")
        case _:
            log.warning(
                "control cannot be done", do=control.do, task_id=parcel.task_id, what="not started yet"
            )
    if done:
        desk.controls.drop(control)


def _hold(desk: Desk, parcel: Parcel, *, to_hold: bool) -> None:
    tasks, held = desk.mirror.workspace.tasks, desk.mirror.workspace.held
    before, after = (tasks, held) if to_hold else (held, tasks)
    with suppress(FileNotFoundError):
        if to_hold:
            parcel.mark(HELD)
        else:
            parcel.unmark(HELD)
    with suppress(FileNotFoundError, FileExistsError):
        move_new(before / parcel.task.name, after / parcel.task.name)


def _do_to_ended(desk: Desk, control: Control) -> None:
    task_id = control.task_id or ""
    if control.do in {"retry", "resume-conversation"}:
        for earlier in desk.controls.unsent():
            if earlier.do == "cancel" and earlier.task_id == task_id:
                desk.controls.drop(earlier)
        if desk.controls.asks("cancel", task_id=task_id):
            what = "its host has not said yet what became of it"
            log.warning("control cannot be done", do=control.do, task_id=task_id, what=what)
        else:
            reopen(desk.mirror, task_id)
    else:
        log.warning("control cannot be done", do=control.do, task_id=task_id, what="it is over already")
    desk.controls.drop(control)


def _forward(desk: Desk, others: Iterable[Desk], control: Control) -> None:
    """Send a control after its task, which went elsewhere; under the same id, so that it is done once."""
    target = next((other for other in others if other.has(control.task_id or "")), None)
    if target is None:
        if not desk.is_a_host:
            log.warning("control cannot be done", do=control.do, task_id=control.task_id, what="no such task")
            desk.controls.drop(control)
        return
    with suppress(FileExistsError):
        put_new(target.mirror.outbox_controls / f"{control.id}{TASK_SUFFIX}", control.encoded())
    desk.controls.drop(control)
