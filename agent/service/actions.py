"""What people ask of tasks. Every action is the same file that a person would write by hand.

`host` is where: None looks everywhere, `here` is our own workspace. `by` is who asks: what a person asks
through a server is noted in the audit log (logs/audit.jsonl) under that name; without it (the command line)
the files' owner tells. All raise `ServiceError`; `OSError` when the disk does not take it, and the same call
again then goes on; `ConfigError` when hosts.toml cannot be used.
"""

from __future__ import annotations

import getpass
from typing import TYPE_CHECKING, Any, Final

from agent import audit
from agent.config import load_or_defaults
from agent.service import editing, pausing
from agent.service.checks import instead
from agent.service.errors import ServiceError
from agent.service.said import Checked, Said, Submitted
from agent.service.submitting import check, submit
from spool.answers import answer_bytes, give_answer, session_of
from spool.files import remove
from spool.requests import RequestError, ask_to_cancel, ask_to_retry, move_waiting
from spool.results import RETRY, digest_of_result
from spool.submit import ring

if TYPE_CHECKING:
    from agent.service.places import Desk, Place
    from spool.view import View

__all__ = [
    "Checked",
    "Said",
    "Submitted",
    "answer",
    "approve",
    "cancel",
    "check",
    "decline",
    "edit",
    "hold",
    "pause",
    "release",
    "retry",
    "submit",
    "unpause",
]

TRIES: Final = 5
"""A task moves while we look: tasks → claim → session → results; then we look again."""


def cancel(desk: Desk, task_id: str, *, host: str | None = None, by: str | None = None) -> Said:
    """End a task wherever it lies: a waiting one here and now, a running one by a file in its session.

    A waiting one is claimed as an agent would do, under a name and a lock of ours, so that no agent starts
    it in between. Killed anywhere, what lies there says that it is to be cancelled.
    """
    said: Said | None = None
    for _ in range(TRIES):
        found = desk.find(task_id, host)
        place, view = found.place, found.view
        if place.is_mirror:
            if view.place == "results":
                raise ServiceError("conflict", f"{task_id} is over already: {view.state}")
            said = _asked(place, view, "cancel")
        elif view.place in {"tasks", "held"}:
            said = _cancel_waiting(place, view)
        elif view.place == "results":
            said = _cancel_retry(view)
        elif ask_to_cancel(place.workspace, view.path):
            said = Said(view.task_id, None, "asked to stop")
        if said is not None:
            return _noted(desk, said, "cancel", by)
    raise ServiceError(
        "conflict", f"{task_id} kept moving: look with `aispool show {task_id}`, and try again"
    )


def _cancel_waiting(place: Place, view: View) -> Said | None:
    from agent.service.ending import cancel_waiting  # noqa: PLC0415 - half of an agent

    config, mistake = load_or_defaults(place.workspace)
    warning = instead(mistake, "max_task_bytes is the default one") if mistake else None
    task_id = cancel_waiting(place.workspace, view, config)
    if task_id is None:
        return None
    was = f" (was {view.name})" if task_id != view.task_id else ""
    return Said(task_id, None, f"cancelled before it started{was}", warning)


def _cancel_retry(view: View) -> Said:
    wanted_again = view.path / RETRY
    if wanted_again.exists():
        remove(wanted_again)
        return Said(view.task_id, None, "will not run again")
    if view.state == "cancelled":
        return Said(view.task_id, None, "was cancelled already", changed=False)
    raise ServiceError("conflict", f"{view.task_id} is over already: {view.state}")


def hold(desk: Desk, task_id: str, *, host: str | None = None, by: str | None = None) -> Said:
    """Put a waiting task on hold: no agent starts it until it is released."""
    return _noted(desk, _move(desk, task_id, host, to_hold=True), "hold", by)


def release(desk: Desk, task_id: str, *, host: str | None = None, by: str | None = None) -> Said:
    """Release a task that is on hold."""
    return _noted(desk, _move(desk, task_id, host, to_hold=False), "release", by)


def _move(desk: Desk, task_id: str, host: str | None, *, to_hold: bool) -> Said:
    found = desk.find(task_id, host)
    place, view = found.place, found.view
    if place.is_mirror:
        if view.place not in {"tasks", "held"}:
            raise ServiceError(
                "conflict", f"{task_id} does not wait any more: it is {view.state} ({view.reason})"
            )
        return _asked(place, view, "hold" if to_hold else "release")
    try:
        done = move_waiting(place.workspace, view, to_hold=to_hold)
    except RequestError as error:
        raise ServiceError("conflict", str(error)) from None
    word = "on hold" if to_hold else "released"
    return Said(view.task_id, None, word if done else f"was {word} already", changed=done)


def retry(
    desk: Desk, task_id: str, *, host: str | None = None, resume: bool = False, by: str | None = None
) -> Said:
    """Run a finished task again; its earlier attempts are kept.

    Args:
        desk: where to look.
        task_id: of the task.
        host: where.
        resume: go on with the tool's conversation instead of beginning anew.
        by: who asks.
    """
    found = desk.find(task_id, host)
    place, view = found.place, found.view
    if place.is_mirror:
        said = _asked_to_retry(place, view, resume=resume)
    else:
        try:
            ask_to_retry(place.workspace, view, resume=resume)
        except RequestError as error:
            raise ServiceError("conflict", str(error)) from None
        said = Said(view.task_id, None, "will run again")
    return _noted(desk, said, "retry", by, resume=resume)


def _asked_to_retry(place: Place, view: View, *, resume: bool) -> Said:
    task_id = view.task_id
    if view.place != "results" or not view.path.is_dir():
        raise ServiceError(
            "conflict", f"{task_id} has no result here that could be run again: it is {view.state}"
        )
    if resume and (view.result is None or view.result.tool_session_id is None):
        raise ServiceError(
            "conflict", f"{task_id} has no conversation to go on with: retry it without --resume"
        )
    # the result that is meant is named, so that no repetition of this request runs the task twice
    do = "resume-conversation" if resume else "retry"
    return _asked(place, view, do, sha256=digest_of_result(view.path))


def answer(
    desk: Desk, task_id: str, text: str | bytes, *, host: str | None = None, by: str | None = None
) -> Said:
    """Answer a tool that waits for a person, by one more file in its session."""
    found = desk.find(task_id, host)
    place, view = found.place, found.view
    try:
        content = answer_bytes(text if isinstance(text, bytes) else text.encode(errors="surrogateescape"))
        session = session_of(place.workspace, view)
        if by is not None:  # before: to answer twice is not to answer once. Its text may be a secret
            about: dict[str, Any] = {"host": place.host, "size_bytes": len(content)}
            audit.append(desk.workspace, "answer", who=by, task_id=view.task_id, **about)
        if place.is_mirror:
            said = _asked(place, view, "answer", text=content.decode())
        else:
            path = give_answer(session, content)
            said = Said(view.task_id, None, f"answered with {path.name}", path=str(path))
    except RequestError as error:
        raise ServiceError("conflict", str(error)) from None
    ring(place.workspace, view.task_id)
    if view.state != "waiting_input":
        early = f"{view.task_id} is {view.state} and asks nothing now: what it asks next gets this answer"
        said = _warned(said, early)
    return said


def approve(
    desk: Desk, task_id: str, number: int, sha256: str, *, host: str | None = None, by: str | None = None
) -> Said:
    """Approve exactly the bytes of a proposed command of a collaborative run."""
    return _speak(desk, task_id, number, sha256, host, by, approved=True)


def decline(
    desk: Desk,
    task_id: str,
    number: int,
    sha256: str | None = None,
    *,
    host: str | None = None,
    by: str | None = None,
) -> Said:
    """Decline a proposed command; without a digest, whatever its bytes are."""
    if sha256 is None:
        from agent.service.collab import rated  # noqa: PLC0415 - as below

        proposed = {one["number"]: one["sha256"] for one in rated(desk, task_id, host)}
        if number not in proposed:
            raise ServiceError("not_found", f"{task_id} proposed no command {number}")
        sha256 = proposed[number]
    return _speak(desk, task_id, number, sha256, host, by, approved=False)


def _speak(
    desk: Desk, task_id: str, number: int, sha256: str, host: str | None, by: str | None, *, approved: bool
) -> Said:
    from agent.service.collab import say  # noqa: PLC0415 - the pipeline is much to import

    place = desk.find(task_id, host).place
    said = say(desk, task_id, number, sha256, approved=approved, by=by or getpass.getuser(), host=host)
    return Said(task_id, place.host, said.removeprefix(f"{task_id}: "), place.warning)


def edit(
    desk: Desk,
    task_id: str,
    before_sha256: str,
    content: bytes,
    *,
    host: str | None = None,
    by: str | None = None,
) -> Said:
    """Change a task while it waits; it is checked before it is put back.

    Args:
        desk: where to look.
        task_id: of the task.
        before_sha256: of the bytes that the change was made of; when they are others now, it is a conflict.
        content: the changed task file.
        host: a task on another host cannot be edited: cancel it, and submit a new one.
        by: who asks.
    """
    place = desk.find(task_id, host).place
    if place.is_mirror:
        raise ServiceError(
            "conflict", f"{task_id} is on its way to {place.host} or there: cancel it, and submit a new task"
        )
    return editing.edit(desk, task_id, before_sha256, content, by=by)


def pause(
    desk: Desk,
    *,
    tool: str | None = None,
    group: str | None = None,
    host: str | None = None,
    by: str | None = None,
) -> Said:
    """Stop claiming: in all, of one tool, or of one group. What runs goes on."""
    return _noted(desk, pausing.pause(desk.place(host), tool=tool, group=group), "pause", by)


def unpause(
    desk: Desk,
    *,
    tool: str | None = None,
    group: str | None = None,
    host: str | None = None,
    by: str | None = None,
) -> Said:
    """Claim again after a pause; `warning` says what is still paused."""
    return _noted(desk, pausing.unpause(desk.place(host), tool=tool, group=group), "unpause", by)


def _asked(place: Place, view: View, do: str, **fields: Any) -> Said:
    said = place.ask(do, task_id=view.task_id, **fields)
    return Said(view.task_id, place.host, said, place.warning)


def _warned(said: Said, warning: str) -> Said:
    warnings = "\n".join(filter(None, (said.warning, warning)))
    return Said(said.task_id, said.host, said.said, warnings, said.changed, said.path)


def _noted(desk: Desk, said: Said, event: str, by: str | None, **details: Any) -> Said:
    """Note in the audit log who asked for what may be asked again: then it is noted, though done already."""
    if by is not None:
        is_pause = event in {"pause", "unpause"}
        details |= {"host": said.host, "said": said.said} | ({"what": said.task_id} if is_pause else {})
        task_id = None if is_pause else said.task_id
        audit.append(desk.workspace, event, who=by, task_id=task_id, **details)
    return said
