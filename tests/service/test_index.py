"""The index says what a fresh look says, whatever happened to the files, and to itself."""

from __future__ import annotations

import shutil
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from service_tasks import Maker

from agent.service.errors import ServiceError
from agent.service.index import Index, Query
from agent.service.listing import row
from agent.service.places import Desk
from agent.service.scanning import Change
from spool import view
from spool.files import make_folder
from spool.records import State
from spool.view import Why
from spool.workspace import create

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.fleet.layout import Mirror
    from spool.workspace import Workspace

IDS = st.sampled_from(["a", "b", "c"])


def rows(index: Index, **query: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    cursor = None
    while True:
        page = index.query(Query(**{"limit": 3, **query, "cursor": cursor}))
        found.extend(page.rows)
        cursor = page.next
        if cursor is None:
            assert page.total == len(found)
            return found


def ids(index: Index, **query: Any) -> list[str]:
    return [one["task_id"] for one in rows(index, **query)]


def fresh(desk: Desk) -> list[dict[str, Any]]:
    """List everything without an index: what came furthest stands for a task."""
    found = []
    for place in desk.places():
        views = [
            *view.waiting(place.workspace),
            *view.in_session(place.workspace),
            *view.finished(place.workspace, None),
        ]
        rank = {"held": 0, "tasks": 1, "sessions": 2, "results": 3}
        best: dict[str, int] = {}
        for one in views:
            best[one.task_id] = max(best.get(one.task_id, 0), rank[one.place])
        found += [row(place, one) for one in views if rank[one.place] == best[one.task_id]]
    return sorted(found, key=lambda one: (one["host"] or "", one["task_id"], one["path"]))


def same(index: Index, desk: Desk) -> None:
    seen = sorted(rows(index), key=lambda one: (one["host"] or "", one["task_id"], one["path"]))
    assert seen == fresh(desk)
    by_state: dict[str, int] = {}
    for one in seen:
        by_state[one["state"]] = by_state.get(one["state"], 0) + 1
    assert index.counts() == by_state


class Moves(RuleBasedStateMachine):
    """Tasks come, move as agents and people move them, and go; the index is deleted now and then."""

    @initialize()
    def begin(self) -> None:
        self.folder = Path(tempfile.mkdtemp())
        self.workspace = create(self.folder / "ai-workspace")
        self.make = Maker(self.workspace)
        self.desk = Desk(self.workspace.root)
        self.indexes = [Index(self.desk), Index(self.desk)]
        self.looked_through: set[Index] = set()
        self.looks = 0

    def teardown(self) -> None:
        for index in self.indexes:
            index.close()
        shutil.rmtree(self.folder)

    def where(self, task_id: str) -> str | None:
        for place in ("results", "sessions"):
            if (self.workspace.root / place / task_id).is_dir():
                return place
        if (self.workspace.agent("x") / task_id).is_dir():
            return "claimed"
        for folder in (self.workspace.tasks, self.workspace.held):
            if (folder / f"{task_id}.json").exists():
                return folder.name
        return None

    @rule(
        task_id=IDS,
        place=st.sampled_from(["tasks", "held", "sessions", "results"]),
        label=st.sampled_from(["x", "y"]),
    )
    def come(self, task_id: str, place: str, label: str) -> None:
        match place:
            case _ if self.where(task_id) is not None:
                return
            case "sessions":
                self.make.session(task_id)
            case "results":
                self.make.result(task_id, labels=(label,))
            case _:
                self.make.waiting(task_id, held=place == "held", labels=[label], group="g")

    @rule(task_id=IDS, text=st.sampled_from(["{", '{"tool":"shell","command":"longer than before"}']))
    def write_into(self, task_id: str, text: str) -> None:
        if self.where(task_id) == "tasks":
            (self.workspace.tasks / f"{task_id}.json").write_text(text)

    @rule(task_id=IDS, state=st.sampled_from([State.QUEUED, State.BLOCKED]))
    def explain(self, task_id: str, state: State) -> None:
        if self.where(task_id) == "tasks":
            (self.workspace.tasks / f"{task_id}.why").write_text(Why(task_id, state, "it waits").line())

    @rule(task_id=IDS)
    def hold_or_release(self, task_id: str) -> None:
        tasks, held = self.workspace.tasks / f"{task_id}.json", self.workspace.held / f"{task_id}.json"
        match self.where(task_id):
            case "tasks":
                tasks.rename(held)
            case "held":
                held.rename(tasks)

    @rule(task_id=IDS)
    def claim(self, task_id: str) -> None:
        if self.where(task_id) == "tasks":
            source = self.workspace.agent("x") / task_id / "source"
            make_folder(source)
            path = self.workspace.tasks / f"{task_id}.json"
            path.rename(source / path.name)

    @rule(task_id=IDS, state=st.sampled_from([State.RUNNING, State.WAITING_INPUT, State.DEFERRED]))
    def run(self, task_id: str, state: State) -> None:
        match self.where(task_id):
            case "claimed":
                (self.workspace.agent("x") / task_id).rename(self.workspace.sessions / task_id)
                self.make.session(task_id, state, question="well?")
            case "sessions":
                self.make.status(task_id, state, reason=f"it is {state}")

    @rule(task_id=IDS, state=st.sampled_from([State.SUCCEEDED, State.FAILED]), seconds=st.integers(0, 9))
    def finish(self, task_id: str, state: State, seconds: int) -> None:
        if self.where(task_id) == "sessions":
            self.make.result(task_id, state, minutes=seconds)
            shutil.rmtree(self.workspace.sessions / task_id)

    @rule(task_id=IDS)
    def run_again(self, task_id: str) -> None:
        if self.where(task_id) == "results":
            make_folder(self.workspace.agent("x"))
            (self.workspace.results / task_id).rename(self.workspace.agent("x") / task_id)

    @rule(task_id=IDS, state=st.sampled_from([State.SUCCEEDED, State.FAILED]))
    def run_again_unseen(self, task_id: str, state: State) -> None:
        if self.where(task_id) == "results":
            shutil.rmtree(self.workspace.results / task_id)
            self.make.result(task_id, state, minutes=30)
            self.looked_through.clear()

    @rule(task_id=IDS)
    def remove(self, task_id: str) -> None:
        match self.where(task_id):
            case "tasks":
                (self.workspace.tasks / f"{task_id}.json").unlink()
            case "results":
                shutil.rmtree(self.workspace.results / task_id)

    @rule()
    def empty_result(self) -> None:
        make_folder(self.workspace.results / "nothing")

    @rule()
    def mirror_comes_or_goes(self) -> None:
        there = self.workspace.root / "fleet" / "far"
        if there.exists():
            shutil.rmtree(there)
            return
        for name in (".mirror", "tasks/held", "sessions", "results", "rejected", "logs", "configs"):
            make_folder(there / name)
        Maker(type(self.workspace)(there)).result("a", State.FAILED)

    @rule(which=st.sampled_from(["*", "tasks.sqlite", "tasks.sqlite-wal", "tasks.sqlite-shm"]))
    def delete_index(self, which: str) -> None:
        for path in (self.workspace.root / ".cache").glob(which):
            path.unlink()

    @rule()
    def damage_index(self) -> None:
        for path in (self.workspace.root / ".cache").glob("tasks.sqlite*"):
            if not path.name.endswith(".lock"):
                path.unlink()
        file = self.workspace.root / ".cache" / "tasks.sqlite"
        if file.parent.exists():
            file.write_bytes(b"this is no database, and long enough to be looked at" * 99)

    @rule()
    def restart(self) -> None:
        self.indexes.pop(0).close()
        self.indexes.append(Index(self.desk))

    @rule(task_id=IDS)
    def drop_again(self, task_id: str) -> None:
        if self.where(task_id) in {"sessions", "results"}:
            self.make.waiting(task_id)

    @invariant()
    def equals_a_fresh_look(self) -> None:
        self.looks += 1
        index = self.indexes[self.looks // 2 % 2]  # each sees what the other wrote
        # each by itself: one whose file was damaged may go on with a file of its own
        index.refresh(thorough=index not in self.looked_through)
        self.looked_through.add(index)
        same(index, self.desk)


TestMoves = Moves.TestCase
TestMoves.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)


def test_pages_are_one_list(desk: Desk, make: Maker) -> None:
    """Every sort order, both ways, goes through all pages without a gap or a repetition."""
    for number in range(10):
        make.result(f"r{number}", State.FAILED if number % 3 else State.SUCCEEDED, minutes=number % 4)
    make.waiting("w")
    make.session("s")
    index = Index(desk)
    index.refresh()
    for sort in ("changed_at", "task_id", "state", "tool", "host", "duration_s", "started_at", "finished_at"):
        up = ids(index, sort=sort, descending=False)
        assert len(set(up)) == len(up) == 12
        assert ids(index, sort=sort) == up[::-1]
    assert ids(index, sort="task_id", descending=False) == sorted(up)
    assert ids(index)[-4:] == ["s", "r8", "r4", "r0"]
    index.close()


def test_a_query_takes_what_it_names(desk: Desk, make: Maker, mirror: Callable[[str], Mirror]) -> None:
    """Hosts, states, tools, labels, groups, times and words all have to fit."""
    make.result("one", State.FAILED, labels=("night",), tool="gemini", reason="No quota left")
    make.result("two", minutes=10, group="web", labels=("day", "night"))
    Maker(mirror("far").workspace).result("three", minutes=20)
    index = Index(desk)
    index.refresh()
    when = rows(index, text="two")[0]["changed_at"]
    assert when == "2026-11-20T12:10:00.000Z"
    from spool.task import parse_time  # noqa: PLC0415

    moment = parse_time(when)
    assert ids(index, hosts=("here",)) == ["two", "one"]
    assert ids(index, hosts=("far",)) == ["three"]
    assert ids(index, hosts=("far", "here"), states=("failed",)) == ["one"]
    assert ids(index, tools=("gemini",)) == ["one"]
    assert ids(index, labels=("night",)) == ["two", "one"]
    assert ids(index, labels=("day", "other")) == ["two"]
    assert ids(index, groups=("web",)) == ["two"]
    assert ids(index, text="QUOTA one") == ["one"]
    assert ids(index, text="quota two") == []
    assert ids(index, text="100%_") == []
    assert ids(index, since=moment) == ["three", "two"]
    assert ids(index, until=moment) == ["two", "one"]
    assert index.counts(["here"]) == {"failed": 1, "succeeded": 1}
    assert index.names("tool") == ["gemini", "shell"]
    assert index.names("label") == ["day", "night"]
    assert index.names("group") == ["web"]
    assert index.names("host") == ["here", "far"]
    index.close()


@pytest.mark.parametrize(
    "query",
    [
        {"sort": "words"},
        {"sort": "1; DROP TABLE task"},
        {"limit": 0},
        {"limit": 100_000},
        {"cursor": "x"},
        {"cursor": "W10"},
        {"cursor": "bnVsbA"},
        {"cursor": "ñ"},
        {"sort": "duration_s", "cursor": "WyJhIiwgImEiLCAxXQ"},
    ],
)
def test_a_query_that_is_none_is_refused(desk: Desk, query: dict[str, Any]) -> None:
    """A cursor of another list, a column that is none: an error that says so."""
    index = Index(desk)
    index.refresh()
    with pytest.raises(ServiceError) as caught:
        index.query(Query(**query))
    assert caught.value.kind == "invalid"
    index.close()


def test_a_hostile_mirror_hides_nothing_else(
    desk: Desk, make: Maker, mirror: Callable[[str], Mirror]
) -> None:
    """Links, strange names, broken records: what is sound is listed all the same."""
    far = mirror("far").workspace
    Maker(far).result("fine")
    secret = desk.root / "configs" / "env" / "x.env"
    secret.write_text("KEY=secret-value")
    (far.results / "linked").symlink_to(desk.root / "configs")
    (far.results / "a b").mkdir()
    make_folder(far.results / "broken")
    (far.results / "broken" / "result.json").write_text('{"task_id": 1}')
    make_folder(far.results / "pointing")
    (far.results / "pointing" / "result.json").symlink_to(secret)
    make_folder(far.sessions / "gone")
    (far.sessions / "gone" / "status.json").write_bytes(b"\xff\x00")
    (far.tasks / "x.json").symlink_to(secret)
    make.result("own")
    index = Index(desk)
    for _ in range(2):
        index.refresh()
        assert {"fine", "own"} <= set(ids(index))
    assert "linked" not in ids(index)
    assert "secret-value" not in str(rows(index))
    index.close()


def test_a_revision_tells_of_each_change(desk: Desk, make: Maker) -> None:
    """It grows with what is seen, and only then; also when the file is made anew."""
    index = Index(desk)
    assert index.refresh() is True
    first = index.revision
    make.waiting("a")
    assert index.refresh() is True
    assert index.revision > first
    second = index.revision
    shutil.rmtree(desk.root / ".cache")
    index.refresh()
    assert index.revision > second
    assert ids(index) == ["a"]
    index.close()


def test_an_idle_workspace_is_not_read(desk: Desk, make: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
    """What did not change is neither opened nor listed again."""
    import time  # noqa: PLC0415

    from agent.service import scanning  # noqa: PLC0415

    make.result("r")
    index = Index(desk)
    index.refresh()
    # as if all of this had been long ago
    later_ns = time.time_ns() + 10_000_000_000
    monkeypatch.setattr(scanning.time, "time_ns", lambda: later_ns)
    index.refresh()

    def never(*_: object) -> None:
        raise AssertionError("it was read again")

    monkeypatch.setattr(scanning.views, "result", never)
    monkeypatch.setattr(scanning.views, "waiting_file", never)
    seen = index.revision
    assert index.refresh() is False
    assert index.revision == seen
    index.close()


def test_an_index_without_a_place_is_kept_elsewhere(desk: Desk, make: Maker) -> None:
    """A workspace that takes no new folder is listed all the same."""
    make.result("r")
    (desk.root / ".cache").write_text("in the way")
    index = Index(desk)
    index.refresh()
    assert ids(index) == ["r"]
    index.close()


def test_a_full_disk_hides_nothing(desk: Desk, make: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
    """What does not fit into the workspace's disk is listed from elsewhere."""
    import sqlite3  # noqa: PLC0415

    from agent.service import store  # noqa: PLC0415

    make.result("r")
    index, put_row = Index(desk), store.put_row

    def full(database: sqlite3.Connection, *row: Any) -> None:
        ((_, _, file),) = database.execute("PRAGMA database_list").fetchall()
        if Path(file).is_relative_to(desk.root):
            raise sqlite3.OperationalError("database or disk is full")
        put_row(database, *row)

    monkeypatch.setattr(store, "put_row", full)
    index.refresh()
    assert ids(index) == ["r"]
    index.close()


def test_a_process_that_was_stopped_stops_nobody(
    desk: Desk, make: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It keeps the lock and does nothing: others go on without it after a while."""
    import fcntl  # noqa: PLC0415

    from agent.service import index as module  # noqa: PLC0415

    make.result("old")
    index = Index(desk)
    index.refresh()
    make.result("new", minutes=1)
    with (desk.root / ".cache" / "tasks.sqlite.refresh").open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert index.refresh() is False
        assert ids(index) == ["old"]
        monkeypatch.setattr(module, "_STUCK_S", -1.0)
        index.refresh()
        assert ids(index) == ["new", "old"]
    index.close()


def test_who_reads_does_not_wait_for_who_writes(desk: Desk, make: Maker) -> None:
    """A page is there while another process is in the middle of a change."""
    make.result("r")
    writer = Index(desk)
    writer.refresh()
    database = writer._connections["writer"][0]
    database.execute("BEGIN IMMEDIATE")
    reader = Index(desk)
    assert ids(reader) == ["r"]
    database.execute("ROLLBACK")
    writer.close()
    reader.close()


def test_an_interrupted_look_goes_on(desk: Desk, make: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever stops a server does not wait for the end of a long past; the next one reads the rest."""
    from agent.service import index as module  # noqa: PLC0415

    for number in range(20):
        make.result(f"r{number:02}", minutes=number)
    monkeypatch.setattr(module, "_BATCH_S", 0.0)
    index = Index(desk)
    put = index._put

    def stop_soon(*given: Any) -> bool:
        if isinstance(given[3], Change):
            index.interrupt()
        return put(*given)

    monkeypatch.setattr(index, "_put", stop_soon)
    index.refresh()
    page = index.query(Query())
    assert (0 < page.total < 20, page.complete) == (True, False)
    monkeypatch.setattr(index, "_put", put)
    index.refresh()
    same(index, desk)
    assert index.query(Query()).complete
    index.close()


def test_several_use_one_index_at_once(workspace: Workspace, make: Maker) -> None:
    """Threads with an index of their own refresh and read while tasks come; all see all in the end."""
    desk = Desk(workspace.root)
    indexes = [Index(desk) for _ in range(3)]
    failures: list[BaseException] = []
    done = threading.Event()

    def look(index: Index) -> None:
        try:
            while not done.is_set():
                index.refresh()
                index.query(Query())
                index.counts()
        except BaseException as error:  # noqa: BLE001 - told below
            failures.append(error)

    threads = [threading.Thread(target=look, args=(index,)) for index in indexes]
    for thread in threads:
        thread.start()
    for number in range(40):
        make.result(f"r{number}")
        make.waiting(f"w{number}")
    done.set()
    for thread in threads:
        thread.join()
    assert failures == []
    for index in indexes:
        index.refresh()
        same(index, desk)
        index.close()
