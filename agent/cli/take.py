"""Ending a waiting task as an agent would, in an order that survives a kill anywhere.

lock → claim → `cancel` → task.json → status.json → publish → result.json → results/ID. An id is taken by
publishing only, so no other task of this id can be in session meanwhile. Whoever takes over what a killed
command line left finds `cancel`, and goes on the same way.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from agent.cli.place import InputError
from agent.config import host_name
from agent.inspect.agents import COMMAND_LINE_PREFIX
from spool.claim import TASK, Claim, claim, claims_of, give_back, is_over, publish
from spool.files import no_writer_holds, open_regular, put, read_regular, remove
from spool.locks import agent_lock_path, take_agent_lock
from spool.names import WHY_SUFFIX, given_id, stem_of
from spool.records import Result, State, Status, utc_now
from spool.refusal import Refusal
from spool.results import CANCEL, STATUS, finish, places_of_session
from spool.submit import request
from spool.task import AcceptedTask, Task, parse_task
from spool.view import Why
from spool.workspace import AGENT_PREFIX

if TYPE_CHECKING:
    from collections.abc import Iterator

    from spool.view import View
    from spool.workspace import Workspace

REASON: Final = "cancelled before it started"
LOCK_PATIENCE_S: Final = 2.0
"""An agent that looks whether we are dead holds our lock for a moment."""


def cancel_waiting(workspace: Workspace, view: View) -> str | None:
    """Cancel a waiting task and return its id; None when it is no longer what or where it was.

    Raises:
        InputError: its file is being written, or is no task.
        OSError: the workspace is unwritable; what was claimed is finished by any agent.
    """
    try:
        arrived_at = _check(view)
    except FileNotFoundError:
        return None
    task_id = _id_of(view)
    if is_over(workspace, task_id) or next(places_of_session(workspace, task_id), None):
        return None
    with _as_agent(workspace) as name:
        mine = claim(workspace, name, view.path, task_id)
        return _end(workspace, mine, arrived_at) if mine else None


def _check(view: View) -> datetime:
    """Return when the file arrived, if it is a finished task."""
    with open_regular(view.path) as descriptor:
        if no_writer_holds(descriptor) is False:
            raise InputError(f"{view.path} is being written: try again when its writer is done")
        arrived_at = datetime.fromtimestamp(os.fstat(descriptor).st_ctime, UTC)
    if view.task is None:
        raise InputError(f"{view.path} is not a task yet ({view.reason}): remove the file instead")
    return arrived_at


def _id_of(view: View) -> str:
    """Return the id that the file asks for, or that an agent gave it, or a new one."""
    if view.task is not None and view.task.task_id is not None:
        return view.task.task_id
    why = Why.read(view.path.with_name(stem_of(view.name) + WHY_SUFFIX))
    return why.task_id if why else given_id(stem_of(view.name))


@contextmanager
def _as_agent(workspace: Workspace) -> Iterator[str]:
    """Hold a name and its lock; what a failure leaves there is for the agents to take over."""
    name = f"{COMMAND_LINE_PREFIX}{host_name()}"[:80] + f"-{os.getpid()}"
    lock = take_agent_lock(workspace, name, LOCK_PATIENCE_S)
    try:
        yield name
        folder = workspace.agent(name)
        if not claims_of(folder):
            agent_lock_path(workspace, name).unlink(missing_ok=True)
            shutil.rmtree(folder, ignore_errors=True)
    finally:
        lock.release()


def _end(workspace: Workspace, mine: Claim, arrived_at: datetime) -> str | None:
    request(mine.folder / CANCEL)
    source = mine.source
    assert source is not None
    content = read_regular(source)
    parsed = parse_task(content)
    if isinstance(parsed, Refusal) or parsed[0].task_id not in {None, mine.task_id}:
        # edited at the last moment: not what was asked for
        _let_go(workspace, mine)
        return None
    task, warnings = parsed
    fields = {name: getattr(task, name) for name in Task.model_fields}
    fields |= {"task_id": mine.task_id, "source_name": source.name, "submitted_at": arrived_at}
    fields |= {"source_sha256": hashlib.sha256(content).hexdigest(), "warnings": warnings}
    accepted = AcceptedTask.model_construct(**fields)
    put(mine.folder / TASK, accepted.model_dump_json(indent=2).encode() + b"\n")
    _status(accepted, mine.folder.parent.name.removeprefix(AGENT_PREFIX)).write(mine.folder / STATUS)
    session = publish(workspace, mine)
    if session is None:
        _let_go(workspace, mine)
        return None
    finish(workspace, session, _result(accepted))
    return mine.task_id


def _let_go(workspace: Workspace, mine: Claim) -> None:
    """Put the file back, to wait as before."""
    remove(mine.folder / STATUS)
    remove(mine.folder / CANCEL)
    give_back(workspace, mine)


def _status(task: AcceptedTask, name: str) -> Status:
    """Say whose session it is: agents leave it alone while we hold our lock."""
    return Status(
        task_id=task.task_id,
        tool=task.tool,
        command=task.command,
        state=State.QUEUED,
        reason="is being cancelled",
        since=utc_now(),
        attempt=0,
        agent=name,
        host=host_name(),
        submitted_at=task.submitted_at,
        source_name=task.source_name,
    )


def _result(task: AcceptedTask) -> Result:
    return Result(
        task_id=task.task_id,
        tool=task.tool,
        command=task.command,
        state=State.CANCELLED,
        reason=REASON,
        host=host_name(),
        source_name=task.source_name,
        submitted_at=task.submitted_at,
        finished_at=utc_now(),
        warnings=task.warnings,
        labels=task.labels,
    )
