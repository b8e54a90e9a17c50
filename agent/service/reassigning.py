"""Giving a task that was sent to one host to another."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agent import audit
from agent.fleet.gone import why_gone
from agent.fleet.hosts import load
from agent.fleet.layout import ANY, Fleet
from agent.fleet.outbox import Parcel
from agent.fleet.reasons import unreachable
from agent.fleet.reassign import Move, ask, problem
from agent.service.actions import Said
from agent.service.errors import ServiceError
from spool.names import is_task_id

if TYPE_CHECKING:
    from agent.service.places import Desk


def reassign(desk: Desk, task_id: str, *, to: str = ANY, force: bool = False, by: str | None = None) -> Said:
    """Ask for it, and say what will be.

    A host that answers is asked to give the task back, and it moves only when it has not started. Of a host
    that does not answer nobody knows, nor of a task that is gone from its host: then only an idempotent task
    moves, or any with force.

    Raises:
        ServiceError: it was not sent from here, there is no such host, or it may not move.
    """
    check_host(desk, to)
    fleet = Fleet(desk.workspace)
    parcel = _find(fleet, task_id)
    mirror = fleet.mirror(parcel.host)
    dark = unreachable(mirror) or why_gone(mirror, task_id) if parcel.is_sent else None
    what = problem(parcel, to, dark, force=force)
    if what is not None:
        raise ServiceError("conflict", what)
    if by is not None:
        about: dict[str, Any] = {"to": to, "force": force, "host": parcel.host}
        audit.append(desk.workspace, "reassign", who=by, task_id=task_id, **about)
    try:
        ask(parcel, Move(to=to, force=force))
    except FileNotFoundError:
        raise ServiceError("conflict", f"{task_id} was moved at this moment: look again") from None
    warning = None
    if not desk.collector_works():
        warning = "no collector works here now: `aispool collector` starts one"
    if not parcel.is_sent:
        said = f"goes to {to}; {parcel.host} does not have it"
    elif dark is None:
        said = f"{parcel.host} is asked to give it back, then it goes to {to}"
    else:
        said = f"goes to {to}; {parcel.host} is told to cancel it should it be there"
    return Said(task_id, parcel.host, said, warning)


def check_host(desk: Desk, to: str) -> None:
    """Return when tasks can be given to this host.

    Raises:
        ServiceError: there is none of this name.
    """
    if to != ANY and to not in load(desk.workspace):
        raise ServiceError("not_found", f"there is no host {to}: `aispool fleet list` names them", field="to")


def _find(fleet: Fleet, task_id: str) -> Parcel:
    if is_task_id(task_id):
        for mirror in (fleet.mirror(ANY), *fleet.mirrors()):
            for box in (mirror.outbox, mirror.sent):
                if (box.tasks / task_id).is_dir():
                    return Parcel(box.tasks / task_id)
    raise ServiceError(
        "not_found",
        f"{task_id} was not sent from here, or is over: `aispool show --all {task_id}` says where it is",
    )
