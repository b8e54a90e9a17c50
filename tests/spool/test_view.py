from __future__ import annotations

import os
import threading
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spool.claim import claim, publish
from spool.records import Result, State, Status
from spool.refusal import Refusal
from spool.reject import reject
from spool.results import finish, prune
from spool.view import View, Why, find, finished, in_session, rejected, waiting

if TYPE_CHECKING:
    from pathlib import Path

    from spool.workspace import Workspace

NOW = datetime(2026, 11, 20, tzinfo=UTC)
DAMAGE = [b"", b"{", b"\xff\0", b"[]", b"{}"]


def result(task_id: str) -> Result:
    return Result(
        task_id=task_id, tool="shell", command="x", state=State.FAILED, reason="exit 1", host="h",
        source_name="x.json", submitted_at=NOW, finished_at=NOW,
    )  # fmt: skip


def drop(workspace: Workspace, name: str = "x", task_id: str = "t1") -> Path:
    path = workspace.tasks / f"{name}.json"
    path.write_text(f'{{"task_id": "{task_id}", "tool": "shell", "command": "x"}}')
    return path


def found(workspace: Workspace, task_id: str = "t1") -> View:
    view = find(workspace, task_id)
    assert view is not None
    return view


def test_a_task_is_found_wherever_it_is(workspace: Workspace) -> None:
    """From the drop folder to its tombstone, each place has its state."""
    workspace.agent("a").mkdir()
    assert find(workspace, "t1") is None
    path = drop(workspace)
    assert (found(workspace).state, found(workspace).place) == (State.QUEUED, "tasks")
    (workspace.tasks / "x.why").write_text(Why("t1", State.BLOCKED, "needs t0").line())
    assert (found(workspace).state, found(workspace).reason) == (State.BLOCKED, "needs t0")
    path.rename(workspace.held / "x.json")
    assert (found(workspace).state, found(workspace).place) == (State.HELD, "held")
    (workspace.held / "x.json").rename(path)
    mine = claim(workspace, "a", path, "t1")
    assert mine is not None
    assert "claimed by a" in found(workspace).reason
    session = publish(workspace, mine)
    assert session is not None
    Status(
        task_id="t1", tool="shell", command="x", state=State.RUNNING, reason="r", since=NOW, attempt=1,
        agent="a", host="h", submitted_at=NOW, source_name="x.json",
    ).write(session / "status.json")  # fmt: skip
    assert (found(workspace).state, found(workspace).place) == (State.RUNNING, "sessions")
    finish(workspace, session, result("t1"))
    assert (found(workspace).state, found(workspace).place) == (State.FAILED, "results")
    prune(workspace, result("t1"), "sha")
    assert found(workspace).reason == "its result was pruned"
    assert find(workspace, "../t1") is None


def test_a_moving_task_is_always_found(workspace: Workspace) -> None:
    """While it goes from tasks to results and back, a reader never hears that nobody knows it."""
    workspace.agent("a").mkdir()
    path = drop(workspace)
    stop, missed = threading.Event(), []

    def read() -> None:
        while not stop.is_set():
            if find(workspace, "t1") is None:
                missed.append(1)

    reader = threading.Thread(target=read)
    reader.start()
    for _ in range(100):
        mine = claim(workspace, "a", path, "t1")
        assert mine is not None
        (mine.folder / "task.json").write_text("{}")
        session = publish(workspace, mine)
        assert session is not None
        target = finish(workspace, session, result("t1"))
        (target / "source" / "x.json").rename(path)
        target.rename(workspace.root / "done")
        for folder, _, names in os.walk(workspace.root / "done", topdown=False):
            for name in names:
                os.unlink(os.path.join(folder, name))  # noqa: PTH108, PTH118
            os.rmdir(folder)  # noqa: PTH106
    stop.set()
    reader.join()
    assert not missed


IDS = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", fullmatch=True)


@given(IDS, st.sampled_from(list(State)), st.text(min_size=1))
def test_a_reason_fits_on_one_line(
    tmp_path_factory: pytest.TempPathFactory, task_id: str, state: State, reason: str
) -> None:
    """What is written is read again, with its spaces made plain."""
    path = tmp_path_factory.mktemp("why") / "x.why"
    line = Why(task_id, state, reason).line()
    path.write_text(line, encoding="utf-8", newline="")
    assert line.count("\n") == 1
    read = Why.read(path)
    if reason.strip():
        assert read is not None
        assert (read.task_id, read.state) == (task_id, state)
        assert read.reason == " ".join(reason.split())


@pytest.mark.parametrize(
    "content", [b"", b"\xff", b"no colon", b"a/b queued: x", b"t1 dancing: x", b"x" * 100_000]
)
def test_a_damaged_reason_is_none(tmp_path: Path, content: bytes) -> None:
    """A person may write anything there."""
    (tmp_path / "x.why").write_bytes(content)
    assert Why.read(tmp_path / "x.why") is None
    assert Why.read(tmp_path / "none.why") is None


@pytest.mark.parametrize("content", DAMAGE)
def test_damaged_records_do_not_hide_the_others(workspace: Workspace, content: bytes) -> None:
    """A list shows what it can, and says of the rest what is damaged."""
    for place, name in (
        (workspace.sessions / "s1", "status.json"),
        (workspace.sessions / "s2", "task.json"),
        (workspace.results / "r1", "result.json"),
    ):
        place.mkdir()
        (place / name).write_bytes(content)
    (workspace.tombstones / "r2").write_bytes(content)
    (workspace.sessions / "s3" / "status.json").mkdir(parents=True)
    (workspace.tasks / "bad.json").write_bytes(content)
    (workspace.tasks / "folder.json").mkdir()
    os.mkfifo(workspace.tasks / "fifo.json")
    drop(workspace)
    assert [view.task_id for view in in_session(workspace)] == ["s1", "s2", "s3"]
    assert {view.name for view in waiting(workspace)} == {"bad.json", "folder.json", "fifo.json", "x.json"}
    assert [view.task_id for view in finished(workspace, None)] == ["r1"]
    for task_id in ("s1", "s2", "s3", "r1", "r2"):
        assert "damaged" in found(workspace, task_id).reason


def test_the_latest_results_are_listed(workspace: Workspace) -> None:
    """The newest few, oldest first; output files are no results."""
    for number in range(5):
        folder = workspace.sessions / f"t{number}"
        folder.mkdir()
        target = finish(workspace, folder, result(f"t{number}"))
        os.utime(target, (number, number))
    (workspace.results / "answer.md").write_text("an output")
    assert [view.task_id for view in finished(workspace, 2)] == ["t3", "t4"]
    assert len(finished(workspace, None)) == 5


def test_refused_files_are_listed_by_their_names(workspace: Workspace) -> None:
    """A name too long for its explanation is found all the same, also when its file was removed."""
    names = ["x.json", "y" * 250 + ".json"]
    for name in names:
        (workspace.tasks / name).write_text("{")
        assert reject(workspace, workspace.tasks / name, Refusal("wrong", "mend it"), "me")
    assert [entry.name for entry in rejected(workspace)] == names
    assert all(entry.path.exists() for entry in rejected(workspace))
    (workspace.rejected / "x.json").unlink()
    (workspace.rejected / "z.json.error.json").write_text("not ours")
    assert [entry.name for entry in rejected(workspace)] == [*names, "z.json"]
