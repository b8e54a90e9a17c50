"""What the collector does with what people drop, before any host is spoken to."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from agent.fleet.controls import order
from agent.fleet.hosts import Host
from agent.fleet.layout import ANY, Fleet, Mirror
from agent.fleet.outbox import Parcel
from agent.fleet.sending import Sending
from agent.fleet.shown import Known
from agent.fleet.state import HostState, write_state
from spool.admit import Rules
from spool.control import Control, parse_control
from spool.records import Result, State, utc_now

if TYPE_CHECKING:
    from pathlib import Path

    from spool.workspace import Workspace

RULES = Rules(1 << 20, 0.0, 60.0, frozenset({os.getuid()}))


@dataclass(slots=True)
class World:
    """A collector without a network, and what its hosts were last seen to be."""

    workspace: Workspace
    clock: Any
    hosts: dict[str, Host] = field(default_factory=dict)
    rules: Rules = RULES

    def __post_init__(self) -> None:
        self.fleet = Fleet(self.workspace)
        self.restart()

    fleet: Fleet = field(init=False)
    sending: Sending = field(init=False)

    def restart(self) -> None:
        """Begin anew, as after a kill: nothing is remembered but files."""
        self.sending = Sending(
            self.fleet, lambda: self.hosts, self.rules, monotonic_s=self.clock, now=self.clock.now
        )

    def add(self, name: str, *, slots: int = 2, reachable: bool | None = True, **more: Any) -> Mirror:
        self.hosts[name] = Host(name=name, address="127.0.0.1", **more)
        mirror = self.fleet.mirror(name)
        mirror.make()
        self.reach(name, reachable=reachable)
        self.beat(name, slots=slots)
        return mirror

    def reach(self, name: str, *, reachable: bool | None) -> None:
        state = HostState(host=name, address="there", reachable=reachable, last_seen_at=utc_now())
        write_state(self.fleet.mirror(name), state)

    def beat(self, name: str, **fields: Any) -> None:
        folder = self.fleet.mirror(name).workspace.agent("a1")
        folder.mkdir(parents=True, exist_ok=True)
        said = {"name": "a1", "host": f"box-{name}", "slots": 2, "tools": ["shell", "gemini"], **fields}
        (folder / "agent.json").write_text(json.dumps(said))

    def root(self, name: str) -> Path:
        return self.fleet.mirror(name).root

    def drop(self, to: str, name: str = "build.json", **fields: Any) -> Path:
        path = self.root(to) / "tasks" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"tool": "shell", "command": "true", **fields}))
        return path

    def prepare(self) -> set[str]:
        self.clock.advance(10.0)
        return self.sending.prepare()

    def parcel(self, host: str, task_id: str, box: str = ".outbox") -> Parcel:
        return Parcel(self.root(host) / box / "tasks" / task_id)

    def outbox(self, host: str) -> list[str]:
        return sorted(p.name for p in (self.root(host) / ".outbox" / "tasks").iterdir())

    def given(self, host: str, task_id: str) -> dict[str, Any]:
        """Return what the host will be given."""
        content: dict[str, Any] = json.loads(self.parcel(host, task_id).content())
        return content

    def why(self, host: str, task_id: str) -> str:
        return (self.root(host) / "tasks" / f"{task_id}.why").read_text()

    def refusal(self, host: str, name: str) -> str:
        error = json.loads((self.root(host) / "rejected" / f"{name}.error.json").read_text())
        assert (self.root(host) / "rejected" / name).exists()
        return str(error["what"])

    def result(self, host: str, task_id: str) -> Result:
        result = Result.read(self.root(host) / "results" / task_id / "result.json")
        assert result is not None
        return result

    def collected(self, host: str, task_id: str, state: State = State.SUCCEEDED, **files: str) -> Path:
        """Make a result as it was collected from a host."""
        folder = self.root(host) / "results" / task_id
        folder.mkdir(parents=True)
        for name, text in files.items():
            (folder / name).write_text(text)
        Result(
            task_id=task_id, tool="shell", command="true", state=state, reason="it is over", host=host,
            source_name=f"{task_id}.json", submitted_at=utc_now(), finished_at=utc_now(),
        ).write(folder / "result.json")  # fmt: skip
        return folder

    def mirrored(self, host: str, kind: str, name: str, text: str = "") -> Path:
        """Make a file of the host as rsync copied it, known as ours; return where people see it."""
        mirror = self.fleet.mirror(host)
        folder = {"tasks": "tasks", "configs": "configs"}[kind]
        there = mirror.raw / folder / name
        there.parent.mkdir(parents=True, exist_ok=True)
        there.write_text(text)
        Known(mirror.shown / kind).add([there])
        return mirror.root / folder / name

    def controls(self, host: str) -> list[Control]:
        """Return what waits to be asked of a host."""
        found: list[Control] = []
        for path in sorted((self.root(host) / ".outbox" / "control").glob("*.json")):
            control = parse_control(path.read_bytes(), path.stem)
            assert isinstance(control, Control), control
            found.append(control)
        return found


@pytest.fixture
def world(workspace: Workspace, clock: Any) -> World:
    return World(workspace, clock)


class TestAccepting:
    def test_a_drop_is_taken_and_stays_visible_with_its_reason(self, world: World) -> None:
        """The file becomes tasks/ID.json, and a line beside it says where it is."""
        world.add("h1")
        world.drop("h1", task_id="t1")
        assert world.prepare() == {"h1"}
        assert world.outbox("h1") == ["t1"]
        tasks = world.root("h1") / "tasks"
        assert sorted(p.name for p in tasks.glob("*.*")) == ["t1.json", "t1.why"]
        assert world.why("h1", "t1") == "t1 queued: is on its way to h1\n"

    def test_a_task_without_an_id_is_accepted_once_under_one_id(self, world: World) -> None:
        """The given id survives a restart, and is in the bytes that the host gets."""
        world.add("h1")
        world.drop("h1", "nightly.json")
        world.prepare()
        (task_id,) = world.outbox("h1")
        assert task_id.startswith("nightly-")
        assert world.given("h1", task_id)["task_id"] == task_id
        world.restart()
        world.prepare()
        assert world.outbox("h1") == [task_id]

    def test_input_files_come_along(self, world: World) -> None:
        """NAME.files belongs to NAME.json."""
        world.add("h1")
        (world.root("h1") / "tasks" / "build.files").mkdir()
        (world.root("h1") / "tasks" / "build.files" / "data").write_text("42")
        world.drop("h1", task_id="t1")
        world.prepare()
        assert (world.parcel("h1", "t1").files / "data").read_text() == "42"

    def test_a_file_that_is_being_written_is_left_alone(self, world: World) -> None:
        """A program that has it open for writing will finish it."""
        world.add("h1")
        path = world.drop("h1", task_id="t1")
        with path.open("a"):
            world.prepare()
            assert world.outbox("h1") == []
        world.prepare()
        assert world.outbox("h1") == ["t1"]

    def test_what_is_no_task_is_refused_here(self, world: World) -> None:
        """The refusal lies in the host's own rejected/ folder, and the file is untouched."""
        world.add("h1")
        world.drop("h1", "bad.json", timeout="soon")
        (world.root("h1") / "tasks" / "link.json").symlink_to("/etc/passwd")
        world.prepare()
        assert "timeout" in world.refusal("h1", "bad.json")
        assert "symbolic link" in world.refusal("h1", "link.json")

    def test_the_same_id_twice_is_a_duplicate(self, world: World) -> None:
        """On its way, in session, or over: the id is taken; elsewhere in the fleet it is not."""
        world.add("h1")
        world.add("h2")
        world.drop("h1", task_id="t1")
        world.prepare()
        world.drop("h1", "again.json", task_id="t1")
        world.collected("h1", "t2")
        world.drop("h1", "late.json", task_id="t2")
        world.drop("h2", task_id="t1")
        world.prepare()
        assert "dropped before with the same content" in world.refusal("h1", "again.json")
        assert "t2" in world.refusal("h1", "late.json")
        assert world.outbox("h2") == ["t1"]

    def test_an_id_that_is_anywhere_in_the_fleet_is_no_new_one_for_any(self, world: World) -> None:
        """In any/ an id stands for one task of the whole fleet."""
        world.add("h1")
        world.collected("h1", "t1")
        world.drop(ANY, task_id="t1")
        world.prepare()
        assert "t1" in world.refusal(ANY, "build.json")

    def test_a_task_for_another_host_is_refused(self, world: World) -> None:
        """`host` names one host of the fleet, the folder another."""
        world.add("h1")
        world.add("h2")
        world.drop("h1", host="h2")
        world.prepare()
        assert "asks for the host h2" in world.refusal("h1", "build.json")

    @pytest.mark.parametrize("stage", ["claimed", "validated"])
    def test_a_killed_acceptance_is_taken_up(self, world: World, stage: str) -> None:
        """Whatever of the steps was done, the task is there once, with its files."""
        world.add("h1")
        claim = world.root("h1") / ".outbox" / "tasks" / ".t1"
        (claim / "source").mkdir(parents=True)
        text = json.dumps({"tool": "shell", "command": "true"})
        (claim / "source" / "build.json").write_text(text)
        (world.root("h1") / "tasks" / "build.files").mkdir()
        if stage == "validated":
            (claim / "t1.json").write_text("{}")
        world.restart()
        world.prepare()
        assert world.outbox("h1") == ["t1"]
        assert world.given("h1", "t1")["task_id"] == "t1"
        assert world.parcel("h1", "t1").files.is_dir()

    def test_a_claim_without_its_file_is_nothing(self, world: World) -> None:
        """Killed before the rename: the file lies where it lay, and is accepted."""
        world.add("h1")
        (world.root("h1") / ".outbox" / "tasks" / ".t1" / "source").mkdir(parents=True)
        world.drop("h1", task_id="t1")
        world.restart()
        world.prepare()
        assert world.outbox("h1") == ["t1"]

    def test_a_removed_name_comes_back(self, world: World) -> None:
        """Removing what is shown of a task on its way cancels nothing."""
        world.add("h1")
        world.drop("h1", task_id="t1")
        world.prepare()
        (world.root("h1") / "tasks" / "t1.json").unlink()
        world.prepare()
        assert (world.root("h1") / "tasks" / "t1.json").exists()

    def test_an_agent_cannot_be_started_on_a_mirror(self, world: World) -> None:
        """What lies there would run on the collector."""
        assert not (world.add("h1").root / "VERSION").exists()


class TestHolding:
    def test_a_task_moved_to_held_stays_until_it_is_moved_back(self, world: World) -> None:
        """`mv` holds and releases, as on a host."""
        world.add("h1")
        world.drop("h1", task_id="t1")
        world.prepare()
        tasks = world.root("h1") / "tasks"
        (tasks / "t1.json").rename(tasks / "held" / "t1.json")
        assert world.prepare() == set()
        assert (tasks / "held" / "t1.why").read_text() == "t1 held: on hold\n"
        (tasks / "held" / "t1.json").rename(tasks / "t1.json")
        assert world.prepare() == {"h1"}

    def test_a_file_dropped_into_held_is_held(self, world: World) -> None:
        """It never waited, and is held from the start."""
        world.add("h1")
        world.drop("h1", "held/build.json", task_id="t1")
        assert world.prepare() == set()
        assert (world.root("h1") / "tasks" / "held" / "t1.json").exists()

    def test_the_command_line_holds_and_releases(self, world: World) -> None:
        """A control about a task that its host does not have is done here."""
        mirror = world.add("h1")
        world.drop("h1", task_id="t1")
        world.prepare()
        order(mirror, "hold", task_id="t1")
        assert world.prepare() == set()
        assert (world.root("h1") / "tasks" / "held" / "t1.json").exists()
        order(mirror, "release", task_id="t1")
        assert world.prepare() == {"h1"}
        assert world.controls("h1") == []


class TestEnding:
    @pytest.mark.parametrize("how", ["file", "control"])
    def test_a_cancelled_task_gets_its_result_here(self, world: World, how: str) -> None:
        """No host was ever asked; `show` and `wait` find it like any other."""
        mirror = world.add("h1", reachable=False)
        world.drop("h1", task_id="t1", labels=["x"])
        world.prepare()
        if how == "file":
            (world.root("h1") / "tasks" / "t1.cancel").touch()
        else:
            order(mirror, "cancel", task_id="t1")
        world.prepare()
        result = world.result("h1", "t1")
        assert (result.state, result.attempts, result.labels) == (State.CANCELLED, (), ("x",))
        assert list((world.root("h1") / "tasks").glob("*.*")) == []
        assert world.outbox("h1") == []

    def test_it_runs_again_when_a_person_asks(self, world: World) -> None:
        """`retry` in the result that was made here puts it back on its way."""
        mirror = world.add("h1")
        world.drop("h1", task_id="t1")
        world.prepare()
        order(mirror, "cancel", task_id="t1")
        world.prepare()
        (world.root("h1") / "results" / "t1" / "retry").touch()
        for _ in range(2):
            world.prepare()
        assert world.outbox("h1") == ["t1"]
        assert not (world.root("h1") / "results" / "t1").exists()
        assert not world.parcel("h1", "t1").has("result.json")

    def test_an_expired_task_is_not_sent(self, world: World) -> None:
        """Its time has passed while its host was away."""
        world.add("h1", reachable=False)
        world.drop("h1", task_id="t1", expires_at="2020-01-01T00:00:00Z")
        world.prepare()
        assert world.result("h1", "t1").state is State.EXPIRED

    def test_a_killed_ending_is_finished(self, world: World) -> None:
        """The result was written, the folder not moved yet."""
        world.add("h1")
        world.drop("h1", task_id="t1")
        world.prepare()
        order(world.fleet.mirror("h1"), "cancel", task_id="t1")
        world.prepare()
        (world.root("h1") / "results" / "t1").rename(world.parcel("h1", "t1").folder)
        world.restart()
        world.prepare()
        assert world.result("h1", "t1").state is State.CANCELLED
        assert world.outbox("h1") == []


class TestAny:
    def test_tasks_go_where_they_can_run(self, world: World) -> None:
        """By tool, label, name in the fleet, and the host's own name."""
        world.add("h1")
        world.add("h2", labels=("gpu",))
        world.beat("h2", tools=["crush"])
        world.drop(ANY, "a.json", task_id="a", tool="gemini", command="", parameters={"prompt": "x"})
        world.drop(ANY, "b.json", task_id="b", tool="crush", command="x", labels=["gpu", "nightly"])
        world.drop(ANY, "c.json", task_id="c", tool="crush", command="x", host="box-h2")
        assert world.prepare() == {"h1", "h2"}
        assert (world.outbox("h1"), world.outbox("h2"), world.outbox(ANY)) == (["a"], ["b", "c"], [])
        assert list((world.root(ANY) / "tasks").glob("*.*")) == []

    def test_what_no_host_can_soon_run_stays_and_says_why(self, world: World) -> None:
        """Two slots and two that wait; the others wait here, where another host may turn up."""
        world.add("h1")
        for number in range(6):
            world.drop(ANY, f"t{number}.json", task_id=f"t{number}")
        world.prepare()
        assert (len(world.outbox("h1")), len(world.outbox(ANY))) == (4, 2)
        left = world.outbox(ANY)[0]
        assert world.why(ANY, left) == f"{left} queued: waits for a host: h1 is busy\n"
        world.add("h2")
        world.prepare()
        assert (len(world.outbox("h2")), world.outbox(ANY)) == (2, [])

    def test_a_dark_host_is_not_chosen_and_gives_back_what_it_was_not_given(self, world: World) -> None:
        """What lies in its outbox is provably not there."""
        world.add("h1")
        world.drop(ANY, task_id="t1")
        world.prepare()
        assert world.outbox("h1") == ["t1"]
        world.reach("h1", reachable=False)
        world.prepare()
        assert (world.outbox("h1"), world.outbox(ANY)) == ([], ["t1"])
        assert "h1 is not reachable" in world.why(ANY, "t1")
        world.add("h2")
        world.prepare()
        assert world.outbox("h2") == ["t1"]

    def test_a_paused_host_is_not_chosen(self, world: World) -> None:
        """Nor one without an agent at work."""
        world.add("h1")
        seen = world.mirrored("h1", "configs", "paused")
        os.link(world.fleet.mirror("h1").raw / "configs" / "paused", seen)
        world.add("h2")
        world.beat("h2", state="stopped")
        world.drop(ANY, task_id="t1")
        world.prepare()
        assert "h1 is paused; h2 has no agent at work" in world.why(ANY, "t1")

    def test_a_host_is_asked_for_by_its_name_in_the_fleet(self, world: World) -> None:
        """The host calls itself otherwise, and would wait for ever for a host of that name."""
        world.add("h1")
        world.drop(ANY, task_id="t1", host="h1")
        world.drop(ANY, "b.json", task_id="t2", host="box-h1")
        world.prepare()
        assert "host" not in world.given("h1", "t1")
        assert world.given("h1", "t1")["metadata"] == {"host": "h1"}
        assert world.given("h1", "t2")["host"] == "box-h1"


class TestDependencies:
    def test_a_need_on_another_host_is_waited_for_and_its_files_go_along(self, world: World) -> None:
        """The host gets the files where it would have put them, and no dependency that it does not know."""
        world.add("h1")
        world.add("h2")
        session = world.root("h1") / "sessions" / "a"
        session.mkdir(parents=True)
        world.drop("h2", task_id="b", dependencies=["a"], inputs=["a:out/data", "a:log"])
        assert world.prepare() == set()
        assert world.why("h2", "b") == "b blocked: it depends on a, which is running on h1\n"
        session.rmdir()
        folder = world.collected("h1", "a", log="a log")
        (folder / "out").mkdir()
        (folder / "out" / "data").write_text("42")
        assert world.prepare() == {"h2"}
        given = world.given("h2", "b")
        assert (given["dependencies"], given["inputs"]) == ([], [])
        assert given["metadata"]["released"] == [{"task_id": "a", "host": "h1", "state": "succeeded"}]
        files = world.parcel("h2", "b").files
        assert (files / "a" / "out" / "data").read_text() == "42"
        assert (files / "a" / "log").read_text() == "a log"

    def test_a_need_that_its_own_host_has_is_left_to_it(self, world: World) -> None:
        """On its way there, waiting there, or over there: the host knows best."""
        world.add("h1")
        world.drop("h1", "a.json", task_id="a")
        world.drop("h1", "b.json", task_id="b", dependencies=["a"])
        world.prepare()
        assert world.given("h1", "b")["dependencies"] == ["a"]

    def test_a_need_of_the_collectors_own_workspace(self, world: World) -> None:
        """What was run here can be handed over, too."""
        world.add("h1")
        own = world.workspace.results / "a"
        own.mkdir()
        world.collected("h1", "x")
        (world.root("h1") / "results" / "x" / "result.json").rename(own / "result.json")
        (own / "data").write_text("mine")
        world.drop("h1", task_id="b", inputs=["a:data"])
        world.prepare()
        assert (world.parcel("h1", "b").files / "a" / "data").read_text() == "mine"

    def test_nobody_knows_the_need_yet(self, world: World) -> None:
        """It may be dropped later, anywhere."""
        world.add("h1")
        world.drop("h1", task_id="b", dependencies=["a"])
        world.prepare()
        assert "which nobody in the fleet knows" in world.why("h1", "b")

    def test_a_failed_need_ends_the_task(self, world: World) -> None:
        """With a result in the mirror of the host that it was for."""
        world.add("h1")
        world.add("h2")
        world.collected("h1", "a", State.FAILED)
        world.drop("h2", task_id="b", dependencies=["a"])
        world.prepare()
        result = world.result("h2", "b")
        assert result.state is State.DEPENDENCY_FAILED
        assert result.reason == "it depends on a, which ended on h1 as failed"

    def test_an_input_that_is_not_there_fails_the_task(self, world: World) -> None:
        """As on a host: input not found."""
        world.add("h1")
        world.add("h2")
        world.collected("h1", "a")
        world.drop("h2", task_id="b", inputs=["a:missing"])
        world.prepare()
        assert world.result("h2", "b").reason.startswith("input not found: a:missing")

    def test_a_link_in_a_result_leads_nowhere(self, world: World) -> None:
        """A host must not make the collector hand over its own files."""
        world.add("h1")
        world.add("h2")
        folder = world.collected("h1", "a")
        (folder / "out").symlink_to("/etc")
        world.drop("h2", task_id="b", inputs=["a:out/passwd"])
        world.prepare()
        assert "leaves the result's folder" in world.result("h2", "b").reason

    def test_tasks_that_wait_for_each_other_on_two_hosts_are_refused(self, world: World) -> None:
        """Both, with the cycle in words; a third that waits for them is not part of it."""
        world.add("h1")
        world.add("h2")
        world.drop("h1", task_id="a", dependencies=["b"])
        world.drop("h2", task_id="b", dependencies=["a"])
        world.drop("h2", "c.json", task_id="c", dependencies=["a"])
        world.prepare()
        assert "a → b → a" in world.refusal("h1", "build.json")
        assert "a → b → a" in world.refusal("h2", "build.json")
        assert world.outbox("h2") == ["c"]

    def test_a_task_of_any_follows_what_it_needs(self, world: World) -> None:
        """It waits here until its need is over, and takes the files along wherever it goes."""
        world.add("h1")
        world.drop(ANY, "b.json", task_id="b", inputs=["a:data"])
        world.prepare()
        assert world.outbox(ANY) == ["b"]
        world.collected("h1", "a", data="1")
        world.prepare()
        assert (world.parcel("h1", "b").files / "a" / "data").read_text() == "1"


class TestControls:
    def test_files_in_a_session_become_controls_in_order(self, world: World) -> None:
        """cancel, answers, approvals: each once, and gone from the mirror."""
        world.add("h1")
        session = world.root("h1") / "sessions" / "t1"
        (session / "answer").mkdir(parents=True)
        (session / "approve").mkdir()
        (session / "answer" / "001.txt").write_text("yes")
        (session / "answer" / "002.txt").write_text("no\n")
        (session / "approve" / "3").write_text("ab" * 32 + "\n")
        (session / "cancel").touch()
        for _ in range(2):
            assert world.prepare() == {"h1"}
        asked = [(c.do, c.task_id, c.text, c.number) for c in world.controls("h1")]
        assert asked == [
            ("cancel", "t1", None, None),
            ("answer", "t1", "yes\n", None),
            ("answer", "t1", "no\n", None),
            ("approve", "t1", None, 3),
        ]
        assert list(session.rglob("*.txt")) == []

    def test_what_cannot_be_asked_is_refused_with_its_reason(self, world: World) -> None:
        """An answer that is no text, an approval that is no digest."""
        world.add("h1")
        session = world.root("h1") / "sessions" / "t1"
        (session / "answer").mkdir(parents=True)
        (session / "approve").mkdir()
        (session / "answer" / "001.txt").write_bytes(b"\xff\xfe")
        (session / "approve" / "1").write_text("yes")
        world.prepare()
        assert world.controls("h1") == []
        explained = [
            json.loads(p.read_text())["what"] for p in (world.root("h1") / "rejected").glob("*.json")
        ]
        assert len(explained) == 2
        assert any("not UTF-8" in what for what in explained)

    def test_a_killed_taking_asks_once(self, world: World) -> None:
        """The answer was renamed, its control not written yet, or written already."""
        mirror = world.add("h1")
        ulid = "01BX5ZZKBKACTAV9WEVGEMMVRZ"
        (mirror.outbox_controls / f".{ulid}~answer~t1~").write_text("yes")
        world.restart()
        world.prepare()
        assert [(c.id, c.text) for c in world.controls("h1")] == [(ulid, "yes\n")]
        (mirror.outbox_controls / f".{ulid}~answer~t1~").write_text("yes")
        world.restart()
        world.prepare()
        assert len(world.controls("h1")) == 1

    def test_retry_names_the_result_that_is_meant(self, world: World) -> None:
        """A repeated request can never run a task twice."""
        world.add("h1")
        folder = world.collected("h1", "t1")
        (folder / "retry").write_text("resume\n")
        for _ in range(2):
            world.prepare()
        (control,) = world.controls("h1")
        assert control.do == "resume-conversation"
        assert control.sha256 is not None
        assert not (folder / "retry").exists()

    def test_pauses_are_made_and_removed_by_hand(self, world: World) -> None:
        """A new file pauses; removing the one that the host has asks it to go on, once."""
        mirror = world.add("h1")
        (mirror.workspace.configs / "paused.tool.gemini").touch()
        world.prepare()
        assert [(c.do, c.tool) for c in world.controls("h1")] == [("pause", "gemini")]
        world.mirrored("h1", "configs", "paused")
        for _ in range(2):
            world.prepare()
        assert [(c.do, c.tool) for c in world.controls("h1")] == [("pause", "gemini"), ("unpause", None)]

    def test_a_control_follows_its_task_to_the_host_that_was_chosen(self, world: World) -> None:
        """Asked of `any`, while the task went on its way."""
        world.add("h1")
        world.drop(ANY, task_id="t1")
        world.prepare()
        order(world.fleet.mirror(ANY), "cancel", task_id="t1")
        for _ in range(2):
            world.prepare()
        assert world.result("h1", "t1").state is State.CANCELLED

    def test_a_mirrored_task_that_is_moved_asks_its_host(self, world: World) -> None:
        """`mv` in the mirror is hold and release on the host, asked once."""
        mirror = world.add("h1")
        world.mirrored("h1", "tasks", "t1.json", '{"task_id": "t1", "tool": "shell", "command": "true"}')
        os.link(mirror.raw / "tasks" / "t1.json", mirror.workspace.held / "t1.json")
        for _ in range(2):
            world.prepare()
        assert [(c.do, c.task_id) for c in world.controls("h1")] == [("hold", "t1")]
