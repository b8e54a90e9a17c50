"""What a collector delivers: each exactly once, whoever is killed when, and whatever lies there."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest

from agent.config import AgentConfig
from agent.host.board import Board
from agent.host.inbox import Inbox
from agent.host.intake import Intake
from agent.host.outbox import Outbox
from agent.host.schedule import WaitingIndex
from agent.host.site import Site
from agent.tools.registry import Registry
from spool.answers import numbered_answers
from spool.claim import TASK
from spool.control import Control
from spool.enrol import enrolment_of, mark, marked
from spool.exclusive import move_new
from spool.files import make_folder, put
from spool.names import new_ulid
from spool.records import Result, State, utc_now
from spool.results import RESULT, digest_of_result, prune
from spool.task import AcceptedTask

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from conftest import Clock, Killer

    from spool.workspace import Workspace


class Host:
    """An agent's hands without its loop: nothing is launched."""

    def __init__(self, workspace: Workspace, clock: Clock, name: str = "A") -> None:
        config = AgentConfig(allowed_paths=("/",), reserve_bytes=0)
        self.site = Site(workspace, name, config, Registry.load(workspace), clock.now, monotonic_s=clock)
        for folder in (self.site.bell, self.site.outbox):
            make_folder(folder)
        self.index = WaitingIndex()
        self.intake = Intake(self.site, self.index)
        self.board = Board(self.site, self.intake, self.index, Outbox(self.site))
        self.inbox = Inbox(self.intake, self.board)
        self.board.scan()

    def look(self) -> None:
        """Do what a scan does."""
        self.intake.scan()
        self.board.scan()
        self.inbox.take_all()


@pytest.fixture
def host(workspace: Workspace, clock: Clock) -> Host:
    return Host(workspace, clock)


def encoded(task_id: str, **fields: Any) -> bytes:
    return json.dumps({"task_id": task_id, "tool": "shell", "command": "true", **fields}).encode()


def push(workspace: Workspace, task_id: str, content: bytes | None = None, files: str = "") -> Path:
    """Deliver as rsync -t does: files first, each under a dot name that is renamed, the same time always."""
    if files:
        folder = workspace.inbox_tasks / f"{task_id}.files"
        folder.mkdir(exist_ok=True)
        (folder / "input.txt").write_text(files)
    hidden = workspace.inbox_tasks / f".{task_id}.json.Xy12ab"
    hidden.write_bytes(encoded(task_id) if content is None else content)
    os.utime(hidden, ns=(1, 1_790_000_000_123_456_789))
    hidden.rename(workspace.inbox_tasks / f"{task_id}.json")
    return workspace.inbox_tasks / f"{task_id}.json"


def ask(workspace: Workspace, do: str, ulid: str | None = None, **fields: Any) -> str:
    """Deliver a control."""
    control = Control.model_validate(
        {"id": ulid or new_ulid(), "do": do, "issued_at": "2026-11-20T12:00:00Z"} | fields
    )
    put(workspace.inbox_control / f"{control.id}.json", control.encoded())
    return control.id


def finished(workspace: Workspace, task_id: str, **more: Any) -> Path:
    """Make a result."""
    folder = workspace.results / task_id
    folder.mkdir()
    fields: dict[str, Any] = {"task_id": task_id, "tool": "shell", "command": "true"}
    at = utc_now()
    task = AcceptedTask(**fields, source_name=f"{task_id}.json", source_sha256="0" * 64, submitted_at=at)
    put(folder / TASK, task.model_dump_json().encode())
    fields |= {"state": State.SUCCEEDED, "reason": "exit code 0", "host": "h"}
    fields |= {"source_name": f"{task_id}.json", "submitted_at": at, "finished_at": at}
    Result(**{**fields, **more}).write(folder / RESULT)
    return folder


def in_session(workspace: Workspace, task_id: str) -> Path:
    """Make a session of another agent."""
    folder = workspace.sessions / task_id
    folder.mkdir()
    fields: dict[str, Any] = {"task_id": task_id, "tool": "shell", "command": "true"}
    task = AcceptedTask(**fields, source_name="x.json", source_sha256="0" * 64, submitted_at=utc_now())
    put(folder / TASK, task.model_dump_json().encode())
    return folder


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if not path.name.startswith(".") and path.name != "held"}


# ----------------------------------------------------------------------------------------------- tasks


def test_a_delivered_task_waits_with_its_files(host: Host, workspace: Workspace) -> None:
    """In the drop folder, under its id, accepted at once."""
    push(workspace, "build", files="input")
    host.look()
    assert names(workspace.inbox_tasks) == set()
    assert (workspace.tasks / "build.files" / "input.txt").read_text() == "input"
    assert "build" in host.intake


def test_a_repeated_delivery_goes_silently(host: Host, workspace: Workspace) -> None:
    """While it waits, when a person removed it, and after it was refused: nothing comes of it."""
    push(workspace, "build", files="input")
    host.look()
    push(workspace, "build", files="input")
    host.look()
    (workspace.tasks / "build.json").unlink()
    push(workspace, "build")
    host.look()
    assert names(workspace.tasks) == {"build.files"}
    push(workspace, "bad", encoded("bad", tool="no-such-tool"))
    host.look()
    push(workspace, "bad", encoded("bad", tool="no-such-tool"))
    host.look()
    assert names(workspace.rejected) == {"bad.json", "bad.json.error.json"}
    assert names(workspace.inbox_tasks) == set()


def test_an_id_that_is_taken_by_others_is_refused(host: Host, workspace: Workspace) -> None:
    """Whatever took it: a waiting task, a result, a tombstone. The bytes are kept beside the reason."""
    (workspace.tasks / "other.json").write_bytes(encoded("waits"))
    finished(workspace, "over")
    result = Result.read(finished(workspace, "pruned") / RESULT)
    assert result is not None
    prune(workspace, result, "0" * 64)
    for task_id in ("waits", "over", "pruned"):
        push(workspace, task_id, encoded(task_id, command="false"))
    host.look()
    for task_id in ("waits", "over", "pruned"):
        refusal = json.loads((workspace.rejected / f"{task_id}.json.error.json").read_bytes())
        assert "is taken by a task with other content" in refusal["what"]
        assert (workspace.rejected / f"{task_id}.json").read_bytes() == encoded(task_id, command="false")
    assert names(workspace.tasks) == {"other.json"}


def test_what_was_refused_may_be_dropped_again(host: Host, workspace: Workspace, clock: Clock) -> None:
    """A person mended the host: the same bytes, with another time, are another delivery."""
    content = encoded("build", tool="mended", command="", parameters={"prompt": "x"})
    push(workspace, "build", content)
    host.look()
    assert "build.json" in names(workspace.rejected)
    (workspace.configs / "tools.toml").write_text('[tools.mended]\nargv = ["/bin/true", "$prompt"]\n')
    again = Host(workspace, clock)
    path = push(workspace, "build", content)
    os.utime(path, ns=(1, 1_790_000_001_000_000_000))
    again.look()
    assert "build" in again.intake


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("other.json", encoded("build"), "its name is other.json"),
        ("no id.json", encoded("build"), "its name is no id.json"),
        ("none.json", b'{"tool": "shell", "command": "x"}', "its task_id None"),
        ("field.json", encoded("field", timeout="soon"), "timeout"),
    ],
)
def test_what_is_no_delivery_is_refused(
    host: Host, workspace: Workspace, name: str, content: bytes, words: str
) -> None:
    """A file that a person put there by mistake says what is wrong with it."""
    (workspace.inbox_tasks / name).write_bytes(content)
    host.look()
    assert words in (workspace.rejected / f"{name}.error.json").read_text()
    assert (workspace.rejected / name).read_bytes() == content


def test_hostile_things_in_the_inbox(host: Host, workspace: Workspace, clock: Clock, tmp_path: Path) -> None:
    """Links, folders, FIFOs and giants go to rejected/ as they are; nothing is followed, nobody waits."""
    secret = tmp_path / "secret.json"
    secret.write_bytes(encoded("link"))
    (workspace.inbox_tasks / "link.json").symlink_to(secret)
    (workspace.inbox_tasks / "folder.json").mkdir()
    (workspace.inbox_tasks / "folder.json" / "x").touch()
    os.mkfifo(workspace.inbox_tasks / "fifo.json")
    (workspace.inbox_control / f"{new_ulid()}.json").symlink_to(secret)
    with (workspace.inbox_tasks / "giant.json").open("wb") as giant:
        giant.truncate(1 << 40)
    push(workspace, "good")
    files = workspace.inbox_tasks / "good.files"
    files.symlink_to("/etc")
    host.look()
    clock.advance(10)
    host.look()
    assert secret.read_bytes() == encoded("link")
    assert names(workspace.inbox_tasks) == set()
    assert names(workspace.inbox_control) == set()
    assert (workspace.rejected / "folder.json" / "x").exists()
    assert {"link.json", "fifo.json", "giant.json", "good.json"} <= names(workspace.rejected)
    assert names(workspace.tasks) == set()


def test_another_users_files_are_refused(
    host: Host, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the users of `allowed_users` may give tasks."""
    push(workspace, "build")
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    host.look()
    assert "may not give tasks here" in (workspace.rejected / "build.json.error.json").read_text()


def test_a_file_that_is_being_written_waits(host: Host, workspace: Workspace) -> None:
    """Somebody copies it there by hand, slowly."""
    path = workspace.inbox_tasks / "slow.json"
    with path.open("wb") as writer:
        writer.write(encoded("slow")[:10])
        writer.flush()
        host.look()
        assert path.exists()
        assert host.inbox.undecided
        writer.write(encoded("slow")[10:])
    host.look()
    assert "slow" in host.intake
    assert not host.inbox.undecided


def test_a_file_of_its_name_without_its_id_is_in_its_way(host: Host, workspace: Workspace) -> None:
    """No name is overwritten: it waits until that task has started."""
    (workspace.tasks / "build.json").write_bytes(b'{"tool": "shell", "command": "x"}')
    push(workspace, "build")
    host.look()
    assert host.inbox.undecided
    (workspace.tasks / "build.json").unlink()
    host.look()
    host.look()
    assert "build" in host.intake


def test_the_files_that_came_first_stay(host: Host, workspace: Workspace) -> None:
    """A second push of the files, cut off, never mixes with those that were complete."""
    folder = workspace.tasks / "build.files"
    folder.mkdir()
    (folder / "input.txt").write_text("whole")
    push(workspace, "build", files="wh")
    host.look()
    assert (folder / "input.txt").read_text() == "whole"
    assert not (workspace.inbox_tasks / "build.files").exists()


def test_a_flood_is_taken_a_part_at_a_time(
    host: Host, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that tasks start in between."""
    monkeypatch.setattr("agent.host.inbox.MOST_AT_ONCE", 3)
    for number in range(7):
        push(workspace, f"t{number}")
    turns = 0
    host.inbox.hint(workspace.inbox_tasks / "t0.json")
    while host.inbox.has_more:
        host.inbox.take_hinted()
        turns += 1
    assert turns == 3
    assert len(host.intake.waiting()) == 7


def test_the_inbox_folder_comes_back(host: Host, workspace: Workspace) -> None:
    """Somebody removed it; the next look makes it again."""
    for folder in reversed(workspace.inbox_folders()):
        folder.rmdir()
    host.look()
    push(workspace, "build")
    host.look()
    assert "build" in host.intake


def test_two_agents_take_each_task_once(workspace: Workspace, clock: Clock) -> None:
    """Whoever renames first has it; the other finds nothing, or a task that is known."""
    hosts = [Host(workspace, clock, name) for name in ("A", "B")]
    for number in range(6):
        push(workspace, f"t{number}", files="input")
        for host in hosts if number % 2 else reversed(hosts):
            host.look()
    assert {name for name in names(workspace.tasks) if name.endswith(".json")} == {
        f"t{number}.json" for number in range(6)
    }
    assert names(workspace.rejected) == set()


# ----------------------------------------------------------------------------------------------- controls


def test_hold_and_release(host: Host, workspace: Workspace) -> None:
    """The waiting file moves, and the scheduler knows at once."""
    push(workspace, "build", files="input")
    host.look()
    ask(workspace, "hold", task_id="build")
    host.look()
    assert names(workspace.held) == {"build.json", "build.files"}
    assert host.intake.waiting()[0].waiting.held
    ask(workspace, "release", task_id="build")
    host.look()
    assert names(workspace.held) == set()
    assert not host.intake.waiting()[0].waiting.held


@pytest.mark.parametrize(("do", "words"), [("cancel", "cancelled before"), ("withdraw", "withdrawn before")])
def test_a_waiting_task_is_ended(host: Host, workspace: Workspace, do: str, words: str) -> None:
    """Its result says that nothing was started; that is what a collector needs to send it elsewhere."""
    push(workspace, "build")
    ask(workspace, do, task_id="build")
    host.look()
    result = Result.read(workspace.results / "build" / RESULT)
    assert result is not None
    assert result.state is State.CANCELLED
    assert (result.attempts, result.started_at) == ((), None)
    assert words in result.reason
    push(workspace, "build")
    host.look()
    assert "build" not in host.intake


def test_what_came_of_a_control_can_be_read(host: Host, workspace: Workspace) -> None:
    """In one line under its ULID, for the collector and for people."""
    push(workspace, "build")
    done = ask(workspace, "hold", task_id="build")
    in_vain = ask(workspace, "answer", task_id="build", text="yes")
    host.look()
    assert (workspace.delivered / "control" / done).read_text() == "done\n"
    assert "not done: build has not started" in (workspace.delivered / "control" / in_vain).read_text()


def test_a_session_is_asked_to_end_and_never_withdrawn(host: Host, workspace: Workspace) -> None:
    """A task that another agent has may have started: withdrawing leaves it alone."""
    folder = in_session(workspace, "runs")
    ask(workspace, "withdraw", task_id="runs")
    host.look()
    assert not (folder / "cancel").exists()
    ask(workspace, "cancel", task_id="runs")
    host.look()
    assert (folder / "cancel").exists()


def test_an_answer_is_given_once(host: Host, workspace: Workspace) -> None:
    """Delivered again, also when nobody noted that it was done; a second answer is another one."""
    folder = in_session(workspace, "asks")
    ulid = ask(workspace, "answer", task_id="asks", text="yes")
    host.look()
    ask(workspace, "answer", ulid, task_id="asks", text="yes")
    host.look()
    (workspace.delivered / "control" / ulid).unlink()
    ask(workspace, "answer", ulid, task_id="asks", text="yes")
    host.look()
    ask(workspace, "answer", task_id="asks", text="no")
    host.look()
    assert [path.read_text() for _, path in numbered_answers(folder)] == ["yes\n", "no\n"]


def test_an_approval(host: Host, workspace: Workspace) -> None:
    """It holds exactly the digest that was approved."""
    folder = in_session(workspace, "asks")
    ask(workspace, "approve", task_id="asks", number=2, sha256="a" * 64)
    host.look()
    assert (folder / "approve" / "2").read_text() == "a" * 64 + "\n"


def test_a_retry_is_about_one_result(host: Host, workspace: Workspace) -> None:
    """A later result is not run again: the retry was done, or was not meant for it."""
    folder = finished(workspace, "over")
    ask(workspace, "retry", task_id="over", sha256="0" * 64)
    host.look()
    assert not (folder / "retry").exists()
    ask(workspace, "retry", task_id="over", sha256=digest_of_result(folder))
    host.look()
    assert (folder / "retry").read_bytes() == b""
    talked = finished(workspace, "talked", tool_session_id="abc")
    ask(workspace, "resume-conversation", task_id="talked")
    host.look()
    assert (talked / "retry").read_bytes() == b"resume\n"
    ask(workspace, "cancel", task_id="talked")
    host.look()
    assert not (talked / "retry").exists()


def test_pauses(host: Host, workspace: Workspace) -> None:
    """As the files in configs/ do."""
    ask(workspace, "pause")
    ask(workspace, "pause", tool="shell")
    ask(workspace, "pause", group="night")
    host.look()
    markers = {name for name in names(workspace.configs) if name.startswith("paused")}
    assert markers == {"paused", "paused.tool.shell", "paused.group.night"}
    ask(workspace, "unpause", tool="shell")
    host.look()
    assert not (workspace.configs / "paused.tool.shell").exists()


def test_an_acknowledgement_is_about_one_result(host: Host, workspace: Workspace) -> None:
    """The mark of a later result of the same id stays."""
    for task_id in ("one", "two"):
        mark(workspace, task_id, "1" * 64)
    ask(workspace, "ack", collected={"one": "1" * 64, "two": "2" * 64, "three": "3" * 64})
    host.look()
    assert marked(workspace) == ["two"]


def test_enrolling_by_a_control(host: Host, workspace: Workspace) -> None:
    """Twice is once; another collector changes nothing."""
    ulid = new_ulid()
    for name in ("desk", "desk", "thief"):
        ask(workspace, "enrol", collector=name, workspace_id=ulid)
        host.look()
    enrolment = enrolment_of(workspace)
    assert enrolment is not None
    assert (enrolment.collector, enrolment.workspace_id) == ("desk", ulid)


def test_a_control_waits_for_its_task(host: Host, workspace: Workspace) -> None:
    """Both came at once, and the task is not finished being judged."""
    with (workspace.inbox_tasks / "build.json").open("wb") as writer:
        writer.write(encoded("build"))
        writer.flush()
        ask(workspace, "hold", task_id="build")
        host.look()
        assert len(names(workspace.inbox_control)) == 1
    host.look()
    assert names(workspace.held) == {"build.json"}


def test_a_control_about_nobody_is_over(host: Host, workspace: Workspace) -> None:
    """It is logged and forgotten, not kept for ever."""
    ask(workspace, "cancel", task_id="nobody")
    host.look()
    assert names(workspace.inbox_control) == set()
    assert names(workspace.rejected) == set()


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"do": "explode"}, "do"),
        ({"do": "cancel"}, "cancel needs task_id"),
        ({"do": "cancel", "task_id": "x", "text": "y"}, "cancel has no text"),
        ({"do": "cancel", "task_id": "../x"}, "task_id"),
        ({"do": "pause", "tool": "a", "group": "b"}, "not both"),
        ({"do": "pause", "tol": "a"}, "did you mean 'tool'?"),
        ({"do": "ack", "collected": {"x": "y"}}, "collected"),
        ({"do": "answer", "task_id": "x", "text": "\ud800"}, "surrogate"),
    ],
)
def test_a_malformed_control_is_refused(
    host: Host, workspace: Workspace, fields: dict[str, Any], words: str
) -> None:
    """It says what is wrong, and nothing is done."""
    ulid = new_ulid()
    raw = json.dumps({"id": ulid, "issued_at": "2026-11-20T12:00:00Z"} | fields)
    (workspace.inbox_control / f"{ulid}.json").write_text(raw)
    host.look()
    explanation = json.loads((workspace.rejected / f"{ulid}.json.error.json").read_bytes())
    assert words in explanation["what"] + explanation["remedy"]


def test_a_control_under_another_name_is_refused(host: Host, workspace: Workspace) -> None:
    """Its name is what is remembered of it."""
    ulid = ask(workspace, "pause")
    move_new(workspace.inbox_control / f"{ulid}.json", workspace.inbox_control / "pause.json")
    host.look()
    assert "its id is" in (workspace.rejected / "pause.json.error.json").read_text()
    assert not (workspace.configs / "paused").exists()


# ----------------------------------------------------------------------------------------------- kills


@pytest.mark.parametrize("files", ["", "input"])
def test_killed_at_any_step_a_task_is_delivered_once(
    workspace: Workspace, clock: Clock, killer: Killer, files: str
) -> None:
    """Another agent process goes on where the first one died, and a repeated push changes nothing."""
    numbers = iter(range(1000))
    task_id = ""

    def prepare() -> Callable[[], None]:
        nonlocal task_id
        task_id = f"t{next(numbers)}"
        push(workspace, task_id, files=files)
        host = Host(workspace, clock)
        return host.inbox.take_all

    for _calls in killer.deaths(prepare):
        push(workspace, task_id, files=files)
        again = Host(workspace, clock)
        again.look()
        again.look()
        assert task_id in again.intake
        assert [path.name for path in workspace.tasks.glob(f"{task_id}*.json")] == [f"{task_id}.json"]
        assert (workspace.tasks / f"{task_id}.files" / "input.txt").exists() == bool(files)
        assert names(workspace.rejected) == set()
        assert names(workspace.inbox_tasks) == set()


@pytest.mark.parametrize(
    ("do", "fields", "place"),
    [
        ("cancel", {}, "tasks"),
        ("withdraw", {}, "tasks"),
        ("hold", {}, "tasks"),
        ("cancel", {}, "sessions"),
        ("answer", {"text": "yes"}, "sessions"),
        ("approve", {"number": 1, "sha256": "a" * 64}, "sessions"),
        ("retry", {}, "results"),
    ],
)
def test_killed_at_any_step_a_control_is_done_once(
    workspace: Workspace, clock: Clock, killer: Killer, do: str, fields: dict[str, Any], place: str
) -> None:
    """The same end as without a kill, and as after two deliveries."""
    numbers = iter(range(1000))
    task_id, ulid = "", ""

    def prepare() -> Callable[[], None]:
        nonlocal task_id, ulid
        task_id = f"t{next(numbers)}"
        if place == "tasks":
            push(workspace, task_id)
        elif place == "sessions":
            in_session(workspace, task_id)
        else:
            finished(workspace, task_id)
        host = Host(workspace, clock)
        host.look()
        ulid = ask(workspace, do, task_id=task_id, **fields)
        return host.inbox.take_all

    for _calls in killer.deaths(prepare):
        ask(workspace, do, ulid, task_id=task_id, **fields)
        again = Host(workspace, clock)
        again.look()
        again.look()
        assert names(workspace.inbox_control) == set()
        assert names(workspace.rejected) == set()
        if place == "tasks":
            result = Result.read(workspace.results / task_id / RESULT)
            ended = result is not None and result.state is State.CANCELLED and result.attempts == ()
            assert ended == (do != "hold")
            assert (workspace.held / f"{task_id}.json").exists() == (do == "hold")
            assert not (workspace.tasks / f"{task_id}.json").exists()
        elif do == "answer":
            answers = numbered_answers(workspace.sessions / task_id)
            assert [path.read_text() for _, path in answers] == ["yes\n"]
        elif do == "retry":
            assert (workspace.results / task_id / "retry").exists()
        else:
            wanted = "approve/1" if do == "approve" else "cancel"
            assert (workspace.sessions / task_id / wanted).exists()
