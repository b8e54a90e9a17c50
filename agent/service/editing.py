"""Changing a task while it waits.

To put it back, the task is first moved where no agent takes it (rename, so that a claimed task is never
revived), compared with what the change was made of, replaced, and moved back. Killed in between, it is on
hold and whole.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from agent import audit
from agent.service.checks import Checks
from agent.service.drafts import refused
from agent.service.errors import ServiceError
from agent.service.said import Said
from spool.exclusive import move_new
from spool.files import put, read_regular
from spool.names import FILES_SUFFIX, stem_of
from spool.refusal import Refusal
from spool.task import parse_task

if TYPE_CHECKING:
    from agent.service.places import Desk
    from spool.view import View
    from spool.workspace import Workspace


def waiting_content(desk: Desk, task_id: str) -> tuple[View, bytes]:
    """Return a waiting task of our own workspace and its bytes.

    Raises:
        ServiceError: nobody knows it, or it does not wait.
        OSError: it cannot be read.
    """
    view = desk.own.find(task_id)
    if view.place not in {"tasks", "held"}:
        raise ServiceError(
            "conflict", f"{task_id} does not wait any more: it is {view.state} ({view.reason})"
        )
    return view, read_regular(view.path, desk.config.max_task_bytes)


def put_back(
    workspace: Workspace, checks: Checks, view: View, before: bytes, after: bytes, *, by: str | None = None
) -> Said:
    """Replace a waiting task.

    Args:
        workspace: our own.
        checks: its rules.
        view: the task as it waits.
        before: what the change was made of.
        after: the changed task.
        by: who asks; noted in the audit log with the new digest before the change, since a repetition finds
            a changed task and could not note it any more.

    Raises:
        ServiceError: it would not be accepted, was claimed, or was changed by another meanwhile.
        OSError: the disk; the task is on hold then, or as it was.
    """
    warnings = _check(checks, view, after)
    parked = _parked(workspace, view)
    try:
        move_new(view.path, parked)
    except FileNotFoundError:
        raise ServiceError("conflict", f"{view.task_id} was claimed or removed meanwhile") from None
    except FileExistsError:
        raise ServiceError("conflict", f"{parked} is in the way: release or rename it") from None
    try:
        if read_regular(parked) != before:
            raise ServiceError("conflict", f"{view.name} was changed by another meanwhile: edit it again")
        if by is not None:
            digest = hashlib.sha256(after).hexdigest()
            audit.append(workspace, "edit", who=by, task_id=view.task_id, sha256=digest)
        put(parked, after)
    finally:
        _unpark(parked, view)
    return Said(view.task_id, None, "changed", "\n".join(warnings) or None)


def edit(desk: Desk, task_id: str, before_sha256: str, content: bytes, *, by: str | None = None) -> Said:
    """Replace a waiting task of our own workspace.

    Args:
        desk: whose.
        task_id: of the task.
        before_sha256: of the bytes that the change was made of.
        content: the changed task.
        by: as `put_back`.

    Raises:
        ServiceError: it does not wait, has other bytes, or would not be accepted.
        OSError: as `put_back`.
    """
    view, before = waiting_content(desk, task_id)
    if hashlib.sha256(before).hexdigest() != before_sha256:
        raise ServiceError("conflict", f"{view.name} was changed by another meanwhile: edit it again")
    checks = Checks(desk.workspace)
    if len(content) > checks.config.max_task_bytes:
        raise ServiceError("too_large", f"the task is larger than {checks.config.max_task_bytes} bytes")
    if content == before:
        return Said(view.task_id, None, "unchanged", changed=False)
    return put_back(desk.workspace, checks, view, before, content, by=by)


def _check(checks: Checks, view: View, content: bytes) -> tuple[str, ...]:
    """Refuse what the agent would refuse, and another id than before; return warnings."""
    parsed = parse_task(content)
    if isinstance(parsed, Refusal):
        raise refused(parsed)
    task, warnings = parsed
    if view.task is not None and task.task_id != view.task.task_id:
        raise ServiceError(
            "invalid", "task_id was changed: submit a new task, and cancel this one", field="task_id"
        )
    files = view.path.with_name(stem_of(view.name) + FILES_SUFFIX)
    problem = checks.check(task, files if files.is_dir() else None)
    if problem is not None:
        raise refused(problem)
    return warnings


def _parked(workspace: Workspace, view: View) -> Path:
    held = workspace.held
    return held / view.name if view.place == "tasks" else held / f"{Path(view.name).stem}~edit.json"


def _unpark(parked: Path, view: View) -> None:
    try:
        move_new(parked, view.path)
    except FileExistsError:
        raise ServiceError(
            "conflict", f"another {view.name} was dropped meanwhile: this one is on hold as {parked}"
        ) from None
