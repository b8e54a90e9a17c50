"""What people ask of tasks becomes the file that they would write by hand; who asked is noted."""

from __future__ import annotations

import hashlib
import json
import os
from typing import TYPE_CHECKING, Any

import pytest
from service_tasks import Maker

from agent import audit
from agent.fleet import controls
from agent.service import actions, listing
from agent.service.errors import ServiceError
from spool.records import State

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.fleet.layout import Mirror
    from agent.service.places import Desk


def refused(kind: str, action: Callable[..., Any], *given: Any, **how: Any) -> ServiceError:
    with pytest.raises(ServiceError) as caught:
        action(*given, **how)
    assert caught.value.kind == kind
    return caught.value


def noted(desk: Desk) -> list[tuple[str, str, str | None]]:
    return [(entry.event, entry.who, entry.task_id) for entry in audit.entries(desk.workspace)]


def asked(mirror: Mirror) -> list[dict[str, Any]]:
    return [control.model_dump(exclude_none=True) for control in controls.Controls(mirror).unsent()]


def test_a_running_task_is_asked_to_stop(desk: Desk, make: Maker) -> None:
    """By the file `cancel` in its session; asked twice, it is there once."""
    folder = make.session("t")
    assert actions.cancel(desk, "t", by="ada").said == "asked to stop"
    actions.cancel(desk, "t")
    assert (folder / "cancel").is_file()
    assert noted(desk) == [("cancel", "ada", "t")]


def test_a_waiting_task_is_cancelled_here(desk: Desk, make: Maker) -> None:
    """No agent is needed, and none can start it in between."""
    make.waiting("t")
    assert actions.cancel(desk, "t").said == "cancelled before it started"
    assert listing.task(desk, "t")["state"] == "cancelled"
    assert actions.cancel(desk, "t").changed is False


def test_what_is_over_is_not_cancelled_but_its_retry_is(desk: Desk, make: Maker) -> None:
    """A wanted retry is taken back."""
    folder = make.result("t")
    refused("conflict", actions.cancel, desk, "t")
    assert actions.retry(desk, "t", by="ada").said == "will run again"
    assert (folder / "retry").is_file()
    assert actions.cancel(desk, "t").said == "will not run again"
    assert not (folder / "retry").exists()


def test_a_task_is_held_and_released(desk: Desk, make: Maker) -> None:
    """A rename each; the second time nothing changes."""
    path = make.waiting("t")
    assert (actions.hold(desk, "t").said, actions.hold(desk, "t").changed) == ("on hold", False)
    assert (desk.workspace.held / path.name).is_file()
    assert (actions.release(desk, "t", by="ada").said, path.is_file()) == ("released", True)
    make.session("r")
    refused("conflict", actions.hold, desk, "r")
    refused("not_found", actions.release, desk, "nobody")
    assert noted(desk) == [("release", "ada", "t")]


def test_a_retry_needs_a_result(desk: Desk, make: Maker) -> None:
    """What runs cannot run again, and a conversation must have been one."""
    make.session("s")
    refused("conflict", actions.retry, desk, "s")
    make.result("t")
    refused("conflict", actions.retry, desk, "t", resume=True)
    make.result("u", tool_session_id="abc")
    actions.retry(desk, "u", resume=True)
    assert (desk.workspace.results / "u" / "retry").read_text().strip() == "resume"


def test_an_answer_is_the_next_file(desk: Desk, make: Maker) -> None:
    """Its text is nowhere in the audit log, since it may be a password."""
    folder = make.session("t", State.WAITING_INPUT, question="password?")
    said = actions.answer(desk, "t", "hunter2", by="ada")
    assert (said.said, said.warning) == ("answered with 001.txt", None)
    assert (folder / "answer" / "001.txt").read_bytes() == b"hunter2\n"
    make.status("t", State.RUNNING)
    assert "asks nothing now" in (actions.answer(desk, "t", "more").warning or "")
    assert "hunter2" not in (desk.workspace.logs / "audit.jsonl").read_text()
    refused("conflict", actions.answer, desk, "t", b"\xff")
    refused("conflict", actions.answer, desk, "t", "x" * (2 << 20))
    make.waiting("w")
    refused("conflict", actions.answer, desk, "w", "early")


def test_a_waiting_task_is_changed(desk: Desk, make: Maker) -> None:
    """From the bytes that the person saw, to a task that would be accepted; else nothing changes."""
    path = make.waiting("t")
    before = path.read_bytes()
    digest = hashlib.sha256(before).hexdigest()
    changed = json.dumps({"task_id": "t", "tool": "shell", "command": "false"}).encode()
    refused("conflict", actions.edit, desk, "t", "0" * 64, changed)
    refused("invalid", actions.edit, desk, "t", digest, b"{")
    refused("invalid", actions.edit, desk, "t", digest, changed.replace(b'"t"', b'"other"'))
    assert path.read_bytes() == before
    assert actions.edit(desk, "t", digest, before).changed is False
    assert actions.edit(desk, "t", digest, changed, by="ada").said == "changed"
    assert path.read_bytes() == changed
    refused("conflict", actions.edit, desk, "t", digest, before)
    assert os.listdir(desk.workspace.held) == []
    make.session("s")
    refused("conflict", actions.edit, desk, "s", digest, changed)
    assert noted(desk) == [("edit", "ada", "t")]


def test_what_cannot_be_noted_later_is_noted_first(desk: Desk, make: Maker) -> None:
    """While the audit log cannot be written, no task is edited and no tool answered."""
    path = make.waiting("t")
    before = path.read_bytes()
    digest = hashlib.sha256(before).hexdigest()
    changed = json.dumps({"task_id": "t", "tool": "shell", "command": "false"}).encode()
    folder = make.session("s", State.WAITING_INPUT, question="password?")
    log = desk.workspace.logs / "audit.jsonl"
    log.mkdir(parents=True)
    with pytest.raises((OSError, audit.AuditError)):
        actions.edit(desk, "t", digest, changed, by="ada")
    with pytest.raises((OSError, audit.AuditError)):
        actions.answer(desk, "s", "hunter2", by="ada")
    assert path.read_bytes() == before
    assert not (folder / "answer" / "001.txt").exists()
    log.rmdir()
    actions.edit(desk, "t", digest, changed, by="ada")
    actions.answer(desk, "s", "hunter2", by="ada")
    assert noted(desk) == [("edit", "ada", "t"), ("answer", "ada", "s")]
    edited = next(iter(audit.entries(desk.workspace)))
    assert edited.details["sha256"] == hashlib.sha256(changed).hexdigest()


def test_claiming_is_paused_and_goes_on(desk: Desk) -> None:
    """In all, of a tool, of a group: a file each."""
    assert actions.pause(desk, by="ada").task_id == "everything"
    assert actions.pause(desk, tool="shell").said == "paused"
    assert actions.pause(desk, tool="shell").changed is False
    refused("invalid", actions.pause, desk, tool="shel")
    refused("invalid", actions.pause, desk, group="../x")
    refused("invalid", actions.pause, desk, tool="shell", group="x")
    assert actions.unpause(desk).warning == "still paused: tool shell"
    assert actions.unpause(desk).changed is False
    assert noted(desk) == [("pause", "ada", None)]


def test_a_host_is_asked(desk: Desk, mirror: Callable[[str], Mirror]) -> None:
    """Each request becomes one file on its way to the host, and says that nobody takes it there now."""
    far = mirror("far")
    there = Maker(far.workspace)
    there.waiting("w")
    there.session("s", State.WAITING_INPUT)
    result = there.result("r")
    digest = hashlib.sha256((result / "result.json").read_bytes()).hexdigest()
    said = actions.cancel(desk, "s", by="ada")
    assert (said.host, said.said) == ("far", "asked of far")
    assert "no collector works here" in (said.warning or "")
    actions.hold(desk, "w")
    actions.answer(desk, "s", "yes", host="far")
    actions.retry(desk, "r")
    actions.pause(desk, tool="only_there", host="far")
    wanted = [
        {"do": "cancel", "task_id": "s"},
        {"do": "hold", "task_id": "w"},
        {"do": "answer", "task_id": "s", "text": "yes\n"},
        {"do": "retry", "task_id": "r", "sha256": digest},
        {"do": "pause", "tool": "only_there"},
    ]
    found = asked(far)
    assert [{name: one[name] for name in want} for one, want in zip(found, wanted, strict=True)] == wanted
    refused("conflict", actions.cancel, desk, "r")
    refused("conflict", actions.hold, desk, "s")
    refused("conflict", actions.edit, desk, "w", "0" * 64, b"{}")
    refused("not_found", actions.cancel, desk, "s", host="nowhere")
    refused("not_found", actions.cancel, desk, "s", host="../..")
    refused("not_found", actions.cancel, desk, "s", host="here")
    assert noted(desk) == [("cancel", "ada", "s")]


def test_our_own_workspace_comes_first(desk: Desk, make: Maker, mirror: Callable[[str], Mirror]) -> None:
    """The same id here and there is ours, unless the host is named."""
    Maker(mirror("far").workspace).session("t")
    folder = make.session("t")
    assert actions.cancel(desk, "t").host is None
    assert (folder / "cancel").exists()
    assert actions.cancel(desk, "t", host="far").host == "far"
