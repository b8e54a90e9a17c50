from __future__ import annotations

import os
import shutil
import threading
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from spool.claim import Claim, publish, reclaim_result
from spool.files import make_folder
from spool.records import DamagedError, Result, State
from spool.results import (
    CANCEL,
    RESULT,
    RETRY,
    STATUS,
    finish,
    finish_pruning,
    output_problem,
    place_output,
    places_of_session,
    prune,
    read_result,
    read_task,
    read_tombstone,
    reopen,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from spool.workspace import Workspace

NOW = datetime(2026, 11, 20, tzinfo=UTC)
RECORD = Result(
    task_id="t1", tool="shell", command="x", state=State.SUCCEEDED, reason="exit 0", host="h",
    source_name="t1.json", submitted_at=NOW, finished_at=NOW,
)  # fmt: skip


def session(workspace: Workspace, task_id: str = "t1") -> Path:
    folder = workspace.sessions / task_id
    (folder / "attempts" / "001").mkdir(parents=True)
    (folder / "attempts" / "001" / "started").write_text("{}")
    (folder / "status.json").write_text("{}")
    return folder


def clear(workspace: Workspace) -> None:
    for folder in (workspace.sessions, workspace.results):
        shutil.rmtree(folder)
    for folder in (*workspace.folders(), workspace.agent("a")):
        make_folder(folder)


def test_a_result_is_whole_or_absent(workspace: Workspace, killer: Any) -> None:
    """Whenever it is killed, results/ has nothing or everything, and finishing again ends it (I5, I6)."""

    def prepare() -> Callable[[], Any]:
        clear(workspace)
        folder = session(workspace)
        return lambda: finish(workspace, folder, RECORD)

    for _ in killer.deaths(prepare):
        if (workspace.results / "t1").exists():
            assert not (workspace.sessions / "t1").exists()
        else:
            assert read_result(workspace, "t1") is None
            finish(workspace, workspace.sessions / "t1", RECORD)
        assert read_result(workspace, "t1") == RECORD


def test_a_finished_task_is_not_put_over_another(workspace: Workspace) -> None:
    """Two results of one id are never mixed; the second stays in its session."""
    finish(workspace, session(workspace), RECORD)
    folder = session(workspace)
    with pytest.raises(OSError, match="not empty"):
        finish(workspace, folder, RECORD)
    assert folder.exists()


def test_pruning_is_never_forgetting(workspace: Workspace, killer: Any) -> None:
    """Whenever it is killed, a result or a tombstone is there; again, and only the tombstone is."""

    def prepare() -> Callable[[], Any]:
        clear(workspace)
        finish(workspace, session(workspace), RECORD)
        return lambda: prune(workspace, RECORD, "sha")

    for _ in killer.deaths(prepare):
        assert read_result(workspace, "t1") == RECORD or read_tombstone(workspace, "t1") is not None
        prune(workspace, RECORD, "sha")
        finish_pruning(workspace)
        assert read_result(workspace, "t1") is None
        left = [n for n in os.listdir(workspace.tombstones) if not n.endswith(".tmp")]
        assert left == ["t1"]
    tombstone = read_tombstone(workspace, "t1")
    assert tombstone is not None
    assert (tombstone.state, tombstone.source_sha256) == (State.SUCCEEDED, "sha")


def test_pruning_what_is_run_again_leaves_no_tombstone(workspace: Workspace) -> None:
    """An agent that reopens a result while another prunes it is not told that the id is over."""
    workspace.agent("a").mkdir()
    finish(workspace, session(workspace), RECORD)
    mine = reclaim_result(workspace, "a", "t1")
    assert mine is not None
    prune(workspace, RECORD, "sha")
    assert read_tombstone(workspace, "t1") is None
    assert publish(workspace, mine) is not None


@pytest.mark.parametrize("attempts", [0, 1])
def test_killed_reopening_goes_on(workspace: Workspace, killer: Any, attempts: int) -> None:
    """The old result becomes part of its attempt; the request is there until all else is done (I5)."""
    folder = workspace.agent("a") / "t1"

    def prepare() -> Callable[[], Any]:
        clear(workspace)
        for number in range(attempts):
            (folder / "attempts" / f"{number + 1:03d}").mkdir(parents=True)
        folder.mkdir(exist_ok=True)
        RECORD.write(folder / RESULT)
        (folder / STATUS).touch()
        (folder / RETRY).touch()
        (folder / CANCEL).touch()
        return lambda: reopen(folder)

    for _ in killer.deaths(prepare):
        kept = folder / "attempts" / "001" / RESULT if attempts else folder / "result.before.json"
        assert Result.read(folder / RESULT) or Result.read(kept)
        if (folder / RESULT).exists() or (folder / CANCEL).exists():
            assert (folder / RETRY).exists()
        reopen(folder)
        assert Result.read(kept) == RECORD
        assert not any((folder / name).exists() for name in (RESULT, STATUS, RETRY, CANCEL))


def test_an_answer_is_placed_once(workspace: Workspace) -> None:
    """A file that is there stays; placing the same again, after a kill, is fine."""
    assert output_problem(workspace, "a.md") is None
    assert place_output(workspace, "a.md", b"answer") is None
    assert place_output(workspace, "a.md", b"answer") is None
    assert "exists" in str(place_output(workspace, "a.md", b"other"))
    assert "exists" in str(output_problem(workspace, "a.md"))
    assert (workspace.results / "a.md").read_bytes() == b"answer"
    (workspace.results / "link").symlink_to("/etc/passwd")
    assert "exists" in str(place_output(workspace, "link", b"x"))


@pytest.mark.parametrize("where", ["session", "claim", "result", "tombstone"])
def test_an_answer_never_takes_a_results_place(workspace: Workspace, where: str) -> None:
    """Wherever the task of that name is, its place in results/ is its own."""
    place = {
        "session": workspace.sessions / "t1",
        "claim": workspace.agent("b") / "t1",
        "result": workspace.results / "t1",
        "tombstone": workspace.tombstones / "t1",
    }[where]
    place.mkdir(parents=True)
    assert output_problem(workspace, "t1")
    assert where == "tombstone" or place_output(workspace, "t1", b"x")
    assert not (workspace.results / "t1").is_file()


def test_an_answer_and_a_session_of_one_name_at_once(workspace: Workspace) -> None:
    """At least one of both lets go, in any order: never is there a session that cannot finish."""
    outcomes: dict[str, Any] = {}
    for number in range(150):
        name = f"t{number}"
        mine = Claim(name, workspace.agent("a") / name)
        (mine.folder / "source").mkdir(parents=True)
        barrier = threading.Barrier(2)

        def answer(name: str = name, barrier: threading.Barrier = barrier) -> None:
            barrier.wait()
            outcomes["answer"] = place_output(workspace, name, b"x") is None

        def task(mine: Claim = mine, barrier: threading.Barrier = barrier) -> None:
            barrier.wait()
            outcomes["task"] = publish(workspace, mine) is not None

        threads = [threading.Thread(target=answer), threading.Thread(target=task)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not (outcomes["answer"] and outcomes["task"])
        assert outcomes["answer"] == (workspace.results / name).exists()


def test_where_a_session_may_be(workspace: Workspace) -> None:
    """In session or claimed by any agent; a name that is no id is nowhere."""
    (workspace.agent("a") / "t1").mkdir(parents=True)
    assert list(places_of_session(workspace, "t1")) == [workspace.agent("a") / "t1"]
    assert list(places_of_session(workspace, ".agent-a")) == []
    assert list(places_of_session(workspace, "../tasks")) == []


def test_a_damaged_task_is_said_so(tmp_path: Path) -> None:
    """A copy that this version cannot run is one known error."""
    assert read_task(tmp_path) is None
    for content in ("{", "{}", '{"task_id": "t", "tool": "shell", "invented_later": 1}'):
        (tmp_path / "task.json").write_text(content)
        with pytest.raises(DamagedError, match=r"task\.json is damaged"):
            read_task(tmp_path)
    (tmp_path / "task.json").unlink()
    (tmp_path / "task.json").mkdir()
    with pytest.raises(DamagedError):
        read_task(tmp_path)
