"""Giving a task to another host: what has provably not started, and more only when that was asked for.

    it lies in an outbox    its host does not have it: it moves by one rename
    its host answers        the host is asked to withdraw it; its result, cancelled without an attempt, is the
                            proof that it never started, and then it moves
    its host is dark        nobody knows: it moves only when it is idempotent or that was forced, and the host
                            is asked to cancel it when it is back

A request is the mark `move` on the task on its way. Each step is repeated after a kill with the same end. A
host that had a task takes it for a repetition under the same id, so it is never chosen again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent import log
from agent.fleet.controls import order
from agent.fleet.ending import hide
from agent.fleet.layout import ANY
from agent.fleet.outbox import MOVE, NOTE, READY, Parcel, transfer
from agent.fleet.whereabouts import moved
from spool.files import make_folder, put
from spool.records import Record, Result, State
from spool.results import read_result

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agent.fleet.desk import Desk


class Move(Record):
    """The mark `move`.

    Args:
        to: a host's name, or `any`.
        force: also when it may have started.
        control: by which its host was asked to give it back.
    """

    to: str
    force: bool = False
    control: str | None = None


def ask(parcel: Parcel, move: Move) -> None:
    """Ask for a task to be given to another host.

    Raises:
        FileNotFoundError: it was moved at this moment.
    """
    parcel.mark(MOVE, move.encoded())


def wanted(parcel: Parcel) -> Move | None:
    """Return what was asked for; None when nothing was."""
    return Move.read(parcel.folder / MOVE)


def go_on(desk: Desk, parcel: Parcel, desks: Mapping[str, Desk], unreachable: str | None) -> None:
    """Bring one reassignment forward as far as it goes now.

    Args:
        desk: where the task lies.
        parcel: the task.
        desks: all, by name.
        unreachable: why its host is not reached, when it is not.
    """
    move = wanted(parcel)
    if move is None:
        return
    target = desks.get(move.to)
    if target is None or (target is desk and not parcel.is_sent):
        parcel.unmark(MOVE)
    elif not parcel.is_sent:
        _hand_over(desk, parcel, target)
    elif unreachable is not None:
        task = parcel.accepted()
        if task is not None and (task.idempotent or move.force):
            if not desk.controls.asks("cancel", task_id=parcel.task_id):
                order(desk.mirror, "cancel", task_id=parcel.task_id)
            _hand_over(desk, parcel, target)
    elif move.control is None:
        do = "cancel" if move.force else "withdraw"
        control = order(desk.mirror, do, task_id=parcel.task_id)
        ask(parcel, move.model_copy(update={"control": control.id}))


def settle(desk: Desk, parcel: Parcel, desks: Mapping[str, Desk], outcomes: Mapping[str, str]) -> None:
    """Look at what came of a request to give a task back.

    Args:
        desk: where the task lies.
        parcel: the task.
        desks: all, by name.
        outcomes: what the host said of controls that it has done.
    """
    move = wanted(parcel)
    if move is None:
        return
    result = read_result(desk.mirror.workspace, parcel.task_id)
    if result is not None:
        target = desks.get(move.to)
        if target is not None and (
            _never_started(result) or (move.force and result.state is State.CANCELLED)
        ):
            _hand_over(desk, parcel, target)
        else:
            _give_up(parcel, f"it ended on {desk.mirror.name} as {result.state}")
    elif (outcome := outcomes.get(move.control or "", "done")) != "done":
        _give_up(parcel, outcome)


def _never_started(result: Result) -> bool:
    return result.state is State.CANCELLED and not result.attempts and result.started_at is None


def _give_up(parcel: Parcel, why: str) -> None:
    log.warning("task stays where it is", task_id=parcel.task_id, host=parcel.host, why=why)
    parcel.unmark(MOVE)


def _hand_over(desk: Desk, parcel: Parcel, target: Desk) -> None:
    """Move a task into another outbox, where everything about it is judged anew."""
    note = parcel.note()
    if note is None:
        return
    before = parcel.host
    not_on = {*note.not_on, before} if parcel.is_sent else set(note.not_on)
    if parcel.is_sent:
        mark = moved(desk.mirror, parcel.task_id)
        make_folder(mark.parent)
        put(mark, f"{target.mirror.name}\n".encode())
    changed = {"dropped_for": target.mirror.name, "not_on": tuple(sorted(not_on))}
    note.model_copy(update={**changed, "pushed_at": None, "seen_at": None}).write(parcel.folder / NOTE)
    parcel.unmark(READY)
    hide(desk.mirror, parcel)
    there = transfer(parcel, target.mirror.outbox.tasks)
    if there is not None:
        there.unmark(MOVE)
        log.info("task goes to another host", task_id=there.task_id, before=before, host=target.mirror.name)


def problem(parcel: Parcel, to: str, unreachable: str | None, *, force: bool) -> str | None:
    """Say why a task cannot be given to another host now; None when it can be tried.

    Args:
        parcel: the task.
        to: a host's name, or `any`.
        unreachable: why its host is not reached, when it is not.
        force: also when it may have started.
    """
    note, task = parcel.note(), parcel.accepted()
    if note is None or task is None:
        return f"{parcel.task_id} was moved at this moment: look again"
    if to == parcel.host and (parcel.is_sent or to == ANY):
        return f"{parcel.task_id} is with {to} already"
    if to in note.not_on:
        return f"{to} had {parcel.task_id} before, and would take it for a repetition: choose another host"
    if task.host not in {None, to} and to != ANY:
        return f"{parcel.task_id} asks for the host {task.host}: submit it anew without `host`"
    if parcel.is_sent and unreachable is not None and not (task.idempotent or force):
        return (
            f"{parcel.host} {unreachable}, and nobody knows whether {parcel.task_id} has started there; it "
            "is not `idempotent`, so only --force gives it to another host, and it may then run twice"
        )
    return None
