"""Submitting: checked as the agent checks, and once for each idempotency key, whatever dies in between."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import threading
from typing import TYPE_CHECKING, Any

import pytest

from agent import audit
from agent.service import actions
from agent.service.errors import ServiceError
from spool.files import make_folder
from spool.names import is_task_id
from spool.results import prune, read_result

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from conftest import Killer
    from service_tasks import Maker

    from agent.fleet.layout import Mirror
    from agent.service.places import Desk

TASK = b'{"tool": "shell", "command": "true"}'
OTHER = b'{"tool": "shell", "command": "false"}'
NAMED = b'{"task_id": "mine", "tool": "shell", "command": "true"}'


def tasks(desk: Desk) -> list[str]:
    return sorted(name for name in os.listdir(desk.workspace.tasks) if name.endswith(".json"))


def refused(kind: str, desk: Desk, content: bytes, **how: Any) -> ServiceError:
    before = sorted(os.listdir(desk.workspace.tasks))
    with pytest.raises(ServiceError) as caught:
        actions.submit(desk, content, **how)
    assert caught.value.kind == kind
    assert sorted(os.listdir(desk.workspace.tasks)) == before
    return caught.value


def test_a_task_is_dropped(desk: Desk) -> None:
    """It gets an id, its files lie beside it, and the audit log says who asked."""
    done = actions.submit(desk, TASK, name="nightly.json", attachments={"in.txt": b"data"}, by="token:ada")
    assert is_task_id(done.task_id)
    assert done.task_id.startswith("nightly-")
    assert (done.name, done.host, done.replayed) == ("nightly.json", None, False)
    assert json.loads((desk.workspace.tasks / done.name).read_text())["task_id"] == done.task_id
    assert (desk.workspace.tasks / "nightly.files" / "in.txt").read_bytes() == b"data"
    assert any("no agent works here" in warning for warning in done.warnings)
    (entry,) = audit.entries(desk.workspace)
    assert (entry.event, entry.who, entry.task_id) == ("submit", "token:ada", done.task_id)


def test_the_command_line_leaves_no_trace_in_the_audit_log(desk: Desk) -> None:
    """Without a name, the file's owner tells who it was."""
    actions.submit(desk, TASK)
    assert list(audit.entries(desk.workspace)) == []


@pytest.mark.parametrize("key", [None, "k1"])
def test_nothing_is_dropped_that_the_audit_log_does_not_know(desk: Desk, key: str | None) -> None:
    """Asked again once the log can be written: one task, and one entry that says who."""
    log = desk.workspace.logs / "audit.jsonl"
    make_folder(log)
    with pytest.raises((OSError, audit.AuditError)):
        actions.submit(desk, TASK, key=key, by="token:ada")
    assert tasks(desk) == []
    log.rmdir()
    done = actions.submit(desk, TASK, key=key, by="token:ada")
    assert len(tasks(desk)) == 1
    assert [(entry.event, entry.task_id) for entry in audit.entries(desk.workspace)] == [
        ("submit", done.task_id)
    ]


def test_a_name_cannot_lead_out(desk: Desk) -> None:
    """Whatever the name, the file lies in the drop folder."""
    for name in ("../../evil.json", "/etc/evil", ".hidden", "a\nb", "x" * 500):
        done = actions.submit(desk, TASK, name=name)
        assert (desk.workspace.tasks / done.name).is_file()
        assert is_task_id(done.task_id)


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "../x", "a\0b", "x" * 300, "a\nb"])
def test_an_attachment_has_a_plain_name(desk: Desk, name: str) -> None:
    """Nothing else is written anywhere."""
    refused("invalid", desk, TASK, attachments={name: b"x"})


def test_what_the_agent_would_refuse_is_refused(desk: Desk) -> None:
    """It says what, where and what to do, also as fields."""
    error = refused("invalid", desk, b'{"tool": "shell",\n "command": }')
    assert (error.fields["line"], error.fields["remedy"] != "") == (2, True)
    assert "no_such_tool" in refused("invalid", desk, b'{"tool": "no_such_tool", "command": "x"}').message
    assert refused("invalid", desk, b'{"tool": 5, "command": "x"}').fields["field"] == "tool"
    refused("too_large", desk, b'{"tool": "shell", "command": "' + b"x" * (5 << 20) + b'"}')
    refused("not_found", desk, TASK, host="nowhere")


def test_an_id_is_used_once(desk: Desk, make: Maker) -> None:
    """One that runs or ran is taken."""
    make.session("mine")
    refused("conflict", desk, NAMED)
    make.result("old")
    refused("conflict", desk, NAMED.replace(b"mine", b"old"))


def test_checking_drops_nothing(desk: Desk, make: Maker) -> None:
    """It says what is odd about a task, or why it would be refused."""
    found = actions.check(desk, b'{"tool": "shell", "command": "true", "priorty": "high"}')
    assert (found.task_id, found.tool) == (None, "shell")
    assert "priority" in found.warnings[0]
    assert actions.check(desk, NAMED).task_id == "mine"
    make.result("mine")
    with pytest.raises(ServiceError):
        actions.check(desk, NAMED)
    assert tasks(desk) == []


@pytest.mark.parametrize("content", [TASK, NAMED])
def test_a_key_makes_one_task(desk: Desk, content: bytes) -> None:
    """The same key and bytes find the first; other bytes, files, hosts are refused; other keys are new."""
    first = actions.submit(desk, content, key="k1", attachments={"a": b"1"})
    again = actions.submit(desk, content, key="k1", attachments={"a": b"1"}, name="other")
    assert (again.task_id, again.name, again.replayed) == (first.task_id, first.name, True)
    assert len(tasks(desk)) == 1
    assert refused("conflict", desk, OTHER, key="k1").fields["field"] == "key"
    refused("conflict", desk, content, key="k1")
    refused("conflict", desk, content, key="k1", attachments={"a": b"2"})
    refused("conflict", desk, content, key="k1", attachments={"a": b"1"}, host="any")
    assert not actions.submit(desk, OTHER, key="k2").replayed
    assert not actions.submit(desk, OTHER, key="k2", by="somebody else").replayed
    assert len(tasks(desk)) == 3


@pytest.mark.parametrize("key", ["", " ", "x" * 256, "a\nb"])
def test_a_key_is_plain(desk: Desk, key: str) -> None:
    """What could be no key is refused."""
    refused("invalid", desk, TASK, key=key)


@pytest.mark.parametrize("content", [TASK, NAMED])
@pytest.mark.parametrize("forgotten", [False, True])
def test_a_key_finds_its_task_wherever_it_is(
    desk: Desk,
    make: Maker,
    content: bytes,
    forgotten: bool,  # noqa: FBT001
) -> None:
    """Held, claimed, in session, over, pruned; also when the notes of keys were deleted."""
    workspace = desk.workspace
    first = actions.submit(desk, content, key="k")
    path = workspace.tasks / first.name

    def again() -> None:
        if forgotten:
            shutil.rmtree(workspace.root / ".cache")
        found = actions.submit(desk, content, key="k")
        assert (found.task_id, found.replayed) == (first.task_id, True)
        assert tasks(desk) == []

    path.rename(workspace.held / path.name)
    again()
    claim = workspace.agent("x") / first.task_id
    make_folder(claim / "source")
    dropped = (workspace.held / path.name).read_bytes()
    (workspace.held / path.name).rename(claim / "source" / path.name)
    _accepted(claim, first.task_id, path.name, dropped)
    again()
    claim.rename(workspace.sessions / first.task_id)
    again()
    make.result(first.task_id)
    shutil.copy(workspace.sessions / first.task_id / "task.json", workspace.results / first.task_id)
    shutil.rmtree(workspace.sessions / first.task_id)
    again()
    result = read_result(workspace, first.task_id)
    assert result is not None
    prune(workspace, result, hashlib.sha256(dropped).hexdigest())
    again()


def _accepted(folder: Path, task_id: str, name: str, dropped: bytes) -> None:
    from spool.records import utc_now  # noqa: PLC0415
    from spool.task import AcceptedTask  # noqa: PLC0415

    task = AcceptedTask(
        task_id=task_id, tool="shell", command="true", source_name=name, submitted_at=utc_now(),
        source_sha256=hashlib.sha256(dropped).hexdigest(),
    )  # fmt: skip
    (folder / "task.json").write_text(task.model_dump_json())


def test_a_key_does_not_take_over_anothers_id(desk: Desk, make: Maker) -> None:
    """A task that has the id already, and did not come from this key, is a conflict as without a key."""
    make.session("mine")
    refused("conflict", desk, NAMED, key="k")
    refused("conflict", desk, NAMED, key="k")


def test_a_key_of_a_rejected_task_says_so(desk: Desk) -> None:
    """The same bytes would be rejected again."""
    first = actions.submit(desk, TASK, key="k")
    path = desk.workspace.tasks / first.name
    path.rename(desk.workspace.rejected / path.name)
    (desk.workspace.rejected / f"{path.name}.error.json").write_text("{}")
    assert "rejected" in refused("conflict", desk, TASK, key="k").message


def test_a_task_is_found_when_the_rules_changed_since(desk: Desk) -> None:
    """A repetition asks what became of the first one, not whether it would be accepted today."""
    (desk.root / "in.txt").write_text("x")
    content = b'{"tool": "shell", "command": "true", "priority": "high"}'
    first = actions.submit(desk, content, key="k")
    (desk.workspace.configs / "tools.toml").write_text("[tools.shell]\nenabled = false\n")
    assert actions.submit(desk, content, key="k").task_id == first.task_id


@pytest.mark.parametrize("content", [TASK, NAMED])
def test_killed_anywhere_a_repetition_makes_one_whole_task(
    desk: Desk, killer: Killer, content: bytes
) -> None:
    """A kill at each system call, then the same request: one task with its files, and never a second."""
    files = {"a": b"1", "b": b"2" * 100}
    number = 0
    deaths = 0

    def prepare() -> Callable[[], object]:
        nonlocal number
        number += 1
        for name in os.listdir(desk.workspace.tasks):
            path = desk.workspace.tasks / name
            if path.is_dir() and path.name != "held":
                shutil.rmtree(path)
            elif path.is_file():
                path.unlink()
        return lambda: actions.submit(desk, content, key=f"k{number}", attachments=files, by="ada")

    for _ in killer.deaths(prepare):
        deaths += 1
        done = actions.submit(desk, content, key=f"k{number}", attachments=files, by="ada")
        assert tasks(desk) == [done.name]
        folder = desk.workspace.tasks / done.name.replace(".json", ".files")
        assert {path.name: path.read_bytes() for path in folder.iterdir()} == files
        again = actions.submit(desk, content, key=f"k{number}", attachments=files, by="ada")
        assert (again.task_id, again.replayed) == (done.task_id, True)
        assert tasks(desk) == [done.name]
    assert deaths > 10


def test_the_same_request_from_many_at_once_makes_one_task(desk: Desk) -> None:
    """A client that does not wait for its answer, eight times at the same moment."""
    begin = threading.Barrier(8)
    answers: list[Any] = []

    def ask() -> None:
        begin.wait()
        answers.append(actions.submit(desk, TASK, key="k", attachments={"a": b"1"}))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({answer.task_id for answer in answers}) == 1
    assert sorted(answer.replayed for answer in answers) == [False] + [True] * 7
    assert len(tasks(desk)) == 1


def test_a_host_gets_it_through_its_mirror(desk: Desk, mirror: Callable[[str], Mirror], make: Maker) -> None:
    """Its tools are the host's affair; a repetition finds it in the mirror, wherever that shows it."""
    del make
    far = mirror("far")
    first = actions.submit(desk, b'{"tool": "only_there", "command": "x"}', host="far", key="k")
    assert first.host == "far"
    path = far.workspace.tasks / first.name
    assert path.is_file()
    assert any("no collector" in warning for warning in first.warnings)
    path.unlink()
    make_folder(far.sent.tasks / first.task_id)
    again = actions.submit(desk, b'{"tool": "only_there", "command": "x"}', host="far", key="k")
    assert (again.task_id, again.replayed, path.exists()) == (first.task_id, True, False)


def test_old_keys_are_forgotten(desk: Desk) -> None:
    """After a month; what is younger stays."""
    from agent.service import keys  # noqa: PLC0415

    actions.submit(desk, TASK, key="old")
    folder = desk.root / ".cache" / "keys"
    (old,) = (path for path in folder.iterdir() if not path.name.startswith("."))
    actions.submit(desk, TASK, key="new")
    now_s = old.stat().st_mtime + keys.KEPT_S
    os.utime(old, (now_s - keys.KEPT_S - 9, now_s - keys.KEPT_S - 9))
    keys.sweep(folder, now_s)
    assert not old.exists()
    assert len([path for path in folder.iterdir() if not path.name.startswith(".")]) == 1
    assert len(tasks(desk)) == 2
