"""Dropping a task: checked as the agent will check it, given an id, and once for each idempotency key."""

from __future__ import annotations

import hashlib
import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from agent import audit
from agent.inspect.agents import any_alive
from agent.service import keys
from agent.service.checks import Checks
from agent.service.drafts import Draft, draft, is_used, refused, used_before
from agent.service.errors import ServiceError
from agent.service.keys import Key
from agent.service.said import Checked, Submitted
from spool.known import place_of
from spool.names import MAX_NAME_BYTES, TASK_SUFFIX, error_name, stem_of
from spool.records import DamagedError
from spool.refusal import Refusal
from spool.results import read_task
from spool.submit import drop, drop_once
from spool.task import parse_task

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from agent.service.places import Desk, Place
    from spool.workspace import Workspace

MOST_ATTACHED_BYTES: Final = 256 << 20
NO_AGENT: Final = "no agent works here now: `aispool agent` starts one"


def submit(
    desk: Desk,
    content: bytes,
    *,
    name: str | None = None,
    host: str | None = None,
    attachments: Mapping[str, bytes] | None = None,
    key: str | None = None,
    by: str | None = None,
) -> Submitted:
    """Drop a task; when this returns it is on disk for good.

    Args:
        desk: where.
        content: of a task file.
        name: of the file that it becomes, with or without `.json`; a number is added when it is taken.
        host: None and `here` are our own workspace; a name, or `any`.
        attachments: plain name → bytes, of files that go with the task.
        key: idempotency key: repeated with the same bytes and host it returns the first task.
        by: who asks, for the audit log; without, nothing is noted there.

    Raises:
        ServiceError: it cannot be accepted, its id is taken, or the key stood for something else.
        OSError: nothing was dropped, or the same call again goes on.
    """
    attachments = dict(attachments or {})
    place = desk.place(host)
    most_bytes = desk.config.max_task_bytes
    _check_sizes(content, attachments, most_bytes)
    if key is None:
        one = _checked(desk, place, _draft(place, content, stem_of(name or "")), attachments)
        _note(desk, place, one, by)
        path = drop(place.workspace, one.content, one.stem, attachments)
        return _done(place, one, path)
    keyed = Key.of(key, by)
    one, what = _draft(place, content, "", keyed), keys.asked(content, attachments, place.host)
    with keyed.alone(desk.workspace) as noted:
        is_new = keys.is_new(noted, what)
        # before it is checked: what was accepted once is found, whatever became of its inputs and its tool
        before = _dropped_before(desk, place, one, is_new=is_new)
        if before is not None:
            return before
        one = _checked(desk, place, one, attachments)
        keys.note(noted, what)
        _note(desk, place, one, by)
        path = drop_once(place.workspace, one.content, one.stem, attachments)
    return _done(place, one, path)


def check(desk: Desk, content: bytes) -> Checked:
    """Return what a task is, as far as that can be said without dropping it.

    Raises:
        ServiceError: it would not be accepted here.
    """
    checks = Checks(desk.workspace)
    _check_sizes(content, {}, checks.config.max_task_bytes)
    parsed = parse_task(content)
    if isinstance(parsed, Refusal):
        raise refused(parsed)
    task, warnings = parsed
    problem = checks.check(task, None)
    if problem is not None:
        raise refused(problem)
    if task.task_id is not None and is_used(desk.workspace, task.task_id):
        raise ServiceError("conflict", used_before(task.task_id), field="task_id")
    return Checked(task.task_id, task.tool, (*warnings, *checks.notes))


def _draft(place: Place, content: bytes, stem: str, key: Key | None = None) -> Draft:
    """Return a task with its id and the name of its file, which are the key's alone when there is one."""
    parsed = parse_task(content)
    if isinstance(parsed, Refusal):
        raise refused(parsed)
    task, _ = parsed
    given = f"{task.tool[:60]}-{key.ulid}" if key else None
    stem = stem or task.task_id or task.tool
    if key is not None:
        stem = f"{task.task_id}.{key.ulid}" if task.task_id else given or ""
    found = draft(place.workspace, None, ("the task", stem, content), given=given)
    if isinstance(found, Refusal):
        raise refused(found)
    return found


def _checked(desk: Desk, place: Place, one: Draft, attachments: Mapping[str, bytes]) -> Draft:
    """Return it with what the rules of our own workspace say of it; a host has its own."""
    if is_used(place.workspace, one.task_id):
        raise ServiceError("conflict", used_before(one.task_id), field="task_id")
    if place.is_mirror:
        return one
    checks = Checks(desk.workspace)
    text = (one.source, one.stem, one.content)
    found = draft(place.workspace, checks, text, attached=bool(attachments))
    if isinstance(found, Refusal):
        raise refused(found)
    return replace(found, warnings=(*one.warnings, *checks.notes))


def _check_sizes(content: bytes, attachments: Mapping[str, bytes], most_bytes: int) -> None:
    if len(content) > most_bytes:
        raise ServiceError(
            "too_large",
            f"the task is larger than {most_bytes} bytes: give large input as a file that goes with it, "
            "or raise max_task_bytes in configs/agent.toml",
        )
    for name in attachments:
        fits = 0 < len(name.encode(errors="replace")) <= MAX_NAME_BYTES
        if not fits or not name.isprintable() or "/" in name or name in {".", ".."}:
            raise ServiceError(
                "invalid", f"{name[:100]!r} cannot be a file's name: give a plain one", field="attachments"
            )
    if sum(map(len, attachments.values())) > MOST_ATTACHED_BYTES:
        raise ServiceError(
            "too_large",
            f"the files are larger than {MOST_ATTACHED_BYTES} bytes together: copy them to the host, and "
            "name their paths in the task",
        )


def _dropped_before(desk: Desk, place: Place, one: Draft, *, is_new: bool) -> Submitted | None:
    """Return the task that this key made before, wherever it is now; None when it made none.

    Args:
        desk: where to look.
        place: for which it is.
        one: the task, with the id and the name that the key gave it.
        is_new: nobody noted the key; the note may have been deleted.
    """
    workspace, name = place.workspace, one.stem + TASK_SUFFIX
    for _ in range(2):  # it may move between two looks
        for folder in (workspace.tasks, workspace.held, workspace.tasks):
            if os.path.lexists(folder / name):
                return _replayed(place, one, folder / name)
        path = _on_a_host(desk, one, is_new=is_new) if place.is_mirror else _gone_on(workspace, one)
        if path is not None:
            return _replayed(place, one, path)
    explanation = workspace.rejected / error_name(name)
    if os.path.lexists(explanation):
        what = f"{one.task_id} was dropped before and rejected: {explanation} says why"
        raise ServiceError("conflict", what)
    return None


def _gone_on(workspace: Workspace, one: Draft) -> Path | None:
    """Return where our task is that waits no more; a task with an id of its own may be another one's."""
    found = place_of(workspace, one.task_id)
    if found is None:
        return None
    is_ours = one.stem == one.task_id or found.sha256 == hashlib.sha256(one.content).hexdigest()
    return found.path if is_ours or _source_name(found.path) == one.stem + TASK_SUFFIX else None


def _source_name(folder: Path) -> str | None:
    try:
        task = read_task(folder)
    except (DamagedError, OSError):
        return None
    return task.source_name if task else None


def _on_a_host(desk: Desk, one: Draft, *, is_new: bool) -> Path | None:
    """Return the mirror that knows our task; the collector may have moved it to any."""
    from agent.fleet.accept import known_on  # noqa: PLC0415 - our own workspace needs none of it

    if is_new and one.stem != one.task_id:
        return None  # an id of its own, and a key that nobody used: it would be another one's
    hosts = (other.mirror for other in desk.places() if other.is_mirror)
    return next((mirror.root for mirror in hosts if known_on(mirror, one.task_id, "") is not None), None)


def _replayed(place: Place, one: Draft, path: Path) -> Submitted:
    name = one.stem + TASK_SUFFIX
    return Submitted(one.task_id, name, place.host, one.warnings, replayed=True, path=str(path))


def _note(desk: Desk, place: Place, one: Draft, by: str | None) -> None:
    """Note in the audit log who asks, before it is done: nothing is dropped that nobody answers for.

    Raises:
        OSError: it cannot be written.
    """
    if by is not None:
        about: dict[str, Any] = {
            "tool": one.task.tool,
            "host": place.host,
            "sha256": hashlib.sha256(one.content).hexdigest(),
        }
        audit.append(desk.workspace, "submit", who=by, task_id=one.task_id, **about)


def _done(place: Place, one: Draft, path: Path) -> Submitted:
    idle = place.warning if place.is_mirror else None if any_alive(place.workspace) else NO_AGENT
    warnings = (*one.warnings, idle) if idle else one.warnings
    return Submitted(one.task_id, path.name, place.host, warnings, path=str(path))
