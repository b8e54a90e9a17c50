from __future__ import annotations

import errno
import multiprocessing
import os
import shutil
import threading
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from spool import claim as module
from spool.claim import (
    Claim,
    bring_files,
    claim,
    claims_of,
    discard,
    give_back,
    publish,
    reclaim_result,
    take_over,
    was_over,
)
from spool.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.connection import Connection
    from pathlib import Path

FORK = multiprocessing.get_context("spawn")


@pytest.fixture
def agents(workspace: Workspace) -> tuple[str, str]:
    """Two agents that have made their folders."""
    for name in ("a", "b"):
        workspace.agent(name).mkdir()
    return "a", "b"


@pytest.fixture
def dropped(workspace: Workspace) -> Path:
    """A task with an input file."""
    return drop(workspace)


def drop(workspace: Workspace, name: str = "x", content: str = "the task") -> Path:
    (workspace.tasks / f"{name}.files").mkdir()
    (workspace.tasks / f"{name}.files" / "input").write_text("input")
    path = workspace.tasks / f"{name}.json"
    path.write_text(content)
    return path


def empty(workspace: Workspace) -> None:
    """Make the workspace new, with its two agents."""
    for folder in (workspace.tasks, workspace.sessions, workspace.results):
        shutil.rmtree(folder)
    for folder in (*workspace.folders(), workspace.agent("a"), workspace.agent("b")):
        folder.mkdir(exist_ok=True)


def places_of(workspace: Workspace, content: str) -> list[Path]:
    """Return every name of every file of this content."""
    found = []
    for folder, _, names in os.walk(workspace.root):
        for name in names:
            path = workspace.root / folder / name
            if path.is_file() and path.read_text() == content:
                found.append(path)
    return found


def recover(workspace: Workspace, agent: str) -> None:
    """Do with unpublished claims what the protocol says: put them back, or go on."""
    for mine in claims_of(workspace.agent(agent)):
        if (source := mine.source) is not None:
            bring_files(workspace, mine, workspace.tasks / source.name)
        if was_over(mine.folder):
            assert publish(workspace, mine) is not None
        elif not give_back(workspace, mine):
            pytest.fail(f"{mine} cannot be given back")


def test_a_claim_takes_the_file_and_what_came_with_it(
    workspace: Workspace, agents: tuple[str, str], dropped: Path
) -> None:
    """The same inode; no other agent sees it any more."""
    inode = dropped.stat().st_ino
    (workspace.tasks / "x.why").write_text("x queued: soon")
    mine = claim(workspace, agents[0], dropped, "t1")
    assert mine is not None
    assert mine.source is not None
    assert mine.source.stat().st_ino == inode
    assert (mine.files / "input").read_text() == "input"
    assert os.listdir(workspace.tasks) == ["held"]
    assert claim(workspace, agents[1], dropped, "t1") is None
    assert claims_of(workspace.agent("b")) == []
    assert claims_of(workspace.agent("a")) == [mine]


def test_files_that_stayed_behind_are_found(
    workspace: Workspace, agents: tuple[str, str], dropped: Path
) -> None:
    """A person held and released the JSON alone."""
    held = workspace.held / "x.json"
    dropped.rename(held)
    mine = claim(workspace, agents[0], held, "t1")
    assert mine is not None
    assert (mine.files / "input").exists()


def test_files_of_another_task_of_that_name_are_left(workspace: Workspace, agents: tuple[str, str]) -> None:
    """A task on hold keeps its files when a file of the same name is dropped meanwhile."""
    path = drop(workspace)
    path.rename(workspace.held / "x.json")
    (workspace.tasks / "x.files").rename(workspace.held / "x.files")
    path.write_text("another task")
    mine = claim(workspace, agents[0], path, "t1")
    assert mine is not None
    assert not mine.files.exists()
    assert (workspace.held / "x.files" / "input").exists()


@pytest.mark.parametrize("code", [errno.EROFS, errno.EXDEV, errno.EACCES, errno.ENOSPC])
def test_a_claim_that_fails_leaves_nothing(
    workspace: Workspace, agents: tuple[str, str], dropped: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    """The task stays where it was, and can be claimed as soon as the disk allows."""

    def refuse(*_: Any) -> None:
        raise OSError(code, os.strerror(code))

    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", refuse)
        with pytest.raises(OSError, match=os.strerror(code)):
            claim(workspace, agents[0], dropped, "t1")
    assert claims_of(workspace.agent("a")) == []
    assert claim(workspace, agents[0], dropped, "t1") is not None


def test_a_rename_that_was_done_and_denied(
    workspace: Workspace, agents: tuple[str, str], dropped: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A network file system may rename, lose the answer, and then say ENOENT: the task must not be lost."""
    real = os.rename

    def lost_answer(source: Path, target: Path) -> None:
        real(source, target)
        raise FileNotFoundError(errno.ENOENT, "repeated", str(source))

    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", lost_answer)
        mine = claim(workspace, agents[0], dropped, "t1")
    assert mine is not None
    assert len(places_of(workspace, "the task")) == 1


def test_the_same_id_twice_in_one_agent(workspace: Workspace, agents: tuple[str, str]) -> None:
    """The second file of an id is not mixed into the first one's claim."""
    first, second = drop(workspace, "x"), drop(workspace, "y", "other")
    assert claim(workspace, agents[0], first, "t1")
    with pytest.raises(FileExistsError):
        claim(workspace, agents[0], second, "t1")
    assert second.exists()


STEPS: dict[str, Callable[[Workspace, Path], Any]] = {
    "claim": lambda workspace, path: claim(workspace, "a", path, "t1"),
    "give back": lambda workspace, path: give_back(workspace, _claimed(workspace, path)),
    "take over": lambda workspace, path: take_over(workspace, "a", _claimed(workspace, path, "b").folder),
}


def _claimed(workspace: Workspace, path: Path, agent: str = "a") -> Claim:
    mine = claim(workspace, agent, path, "t1")
    assert mine is not None
    (mine.folder / "task.json").write_text("validated")
    return mine


@pytest.mark.parametrize("step", STEPS)
def test_killed_anywhere_the_task_is_in_one_place(workspace: Workspace, killer: Any, step: str) -> None:
    """After any kill, and again after recovery, there is one file, and its input lies beside it (I1, I5)."""

    def prepare() -> Callable[[], Any]:
        empty(workspace)
        path = drop(workspace)
        return lambda: STEPS[step](workspace, path)

    for _ in killer.deaths(prepare):
        assert len(places_of(workspace, "the task")) == 1
        for _ in range(2):
            recover(workspace, "a")
            recover(workspace, "b")
            assert places_of(workspace, "the task") == [workspace.tasks / "x.json"]
            assert places_of(workspace, "input") == [workspace.tasks / "x.files" / "input"]
        assert claims_of(workspace.agent("a")) == claims_of(workspace.agent("b")) == []


def test_a_killed_recovery_comes_to_the_same_end(workspace: Workspace, killer: Any) -> None:
    """Recovery may be killed, too (I5)."""

    def prepare() -> Callable[[], Any]:
        empty(workspace)
        _claimed(workspace, drop(workspace))
        return lambda: recover(workspace, "a")

    for _ in killer.deaths(prepare):
        recover(workspace, "a")
        assert places_of(workspace, "the task") == [workspace.tasks / "x.json"]
        assert places_of(workspace, "input") == [workspace.tasks / "x.files" / "input"]


def test_a_killed_publishing_loses_nothing(workspace: Workspace, killer: Any) -> None:
    """The folder is in sessions/ or in the claims, whole, and never in both."""
    folders = [workspace.sessions / "t1", workspace.agent("a") / "t1"]

    def prepare() -> Callable[[], Any]:
        empty(workspace)
        mine = _claimed(workspace, drop(workspace))
        return lambda: publish(workspace, mine)

    for _ in killer.deaths(prepare):
        (folder,) = [folder for folder in folders if folder.exists()]
        assert (folder / "task.json").read_text() == "validated"
        assert (folder / "files" / "input").exists()
        assert len(places_of(workspace, "the task")) == 1


def test_an_interrupted_give_back_is_not_run_twice(workspace: Workspace, killer: Any) -> None:
    """Another agent takes what was given back before the first one's recovery: it stays with the other."""

    def prepare() -> Callable[[], Any]:
        empty(workspace)
        path = drop(workspace)
        return lambda: give_back(workspace, _claimed(workspace, path))

    for _ in killer.deaths(prepare):
        if (workspace.tasks / "x.json").exists():
            assert claim(workspace, "b", workspace.tasks / "x.json", "t2") is not None
        recover(workspace, "a")
        assert len(places_of(workspace, "the task")) == 1


def test_give_back_never_replaces(workspace: Workspace, agents: tuple[str, str], dropped: Path) -> None:
    """A file of that name, dropped meanwhile, stays, and so does the claim with its files."""
    mine = claim(workspace, agents[0], dropped, "t1")
    assert mine is not None
    dropped.write_text("newer")
    assert not give_back(workspace, mine)
    assert dropped.read_text() == "newer"
    assert mine.source is not None
    assert mine.source.read_text() == "the task"
    assert mine.files.exists()
    dropped.unlink()
    (workspace.tasks / "x.files").mkdir()
    (workspace.tasks / "x.files" / "newer").write_text("")
    assert not give_back(workspace, mine)
    assert (mine.files / "input").exists()


def test_a_task_that_ran_is_never_given_back(
    workspace: Workspace, agents: tuple[str, str], dropped: Path
) -> None:
    """A claim made of a result holds attempts: to drop it again would destroy them and run it twice."""
    mine = _claimed(workspace, dropped)
    session = publish(workspace, mine)
    assert session is not None
    (session / "attempts" / "001").mkdir(parents=True)
    (session / "attempts" / "001" / "started").write_text("{}")
    session.rename(workspace.results / "t1")
    again = reclaim_result(workspace, agents[0], "t1")
    assert again is not None
    assert not give_back(workspace, again)
    assert (again.folder / "attempts" / "001" / "started").exists()
    assert publish(workspace, again) == session


def test_reclaiming_survives_the_tombstone_of_a_pruning_that_was_cut_off(
    workspace: Workspace, agents: tuple[str, str], dropped: Path, killer: Any
) -> None:
    """Killed twice, at the worst moments, the task is not its own duplicate."""

    def prepare() -> Callable[[], Any]:
        empty(workspace)
        session = publish(workspace, _claimed(workspace, drop(workspace)))
        assert session is not None
        (session / "result.json").write_text("{}")
        session.rename(workspace.results / "t1")
        (workspace.tombstones / "t1").write_text("{}")
        return lambda: reclaim_result(workspace, agents[0], "t1")

    dropped.unlink()
    for _ in killer.deaths(prepare):
        if not (workspace.results / "t1").exists():
            recover(workspace, agents[0])
            assert (workspace.sessions / "t1" / "result.json").exists()


def test_publishing_an_id_twice(workspace: Workspace, agents: tuple[str, str]) -> None:
    """The first wins, in session, as a result and as a tombstone; the second's claim lies where it lay."""
    first = claim(workspace, agents[0], drop(workspace, "x"), "t1")
    second = claim(workspace, agents[1], drop(workspace, "y", "second"), "t1")
    assert first is not None
    assert second is not None
    session = publish(workspace, first)
    assert session == workspace.sessions / "t1"
    assert publish(workspace, second) is None
    session.rename(workspace.results / "t1")
    assert publish(workspace, second) is None
    shutil.rmtree(workspace.results / "t1")
    (workspace.tombstones / "t1").write_text("{}")
    assert publish(workspace, second) is None
    (workspace.tombstones / "t1").unlink()
    (workspace.results / "t1").write_text("an output file")
    assert publish(workspace, second) is None
    assert second.source is not None
    assert second.source.read_text() == "second"
    assert not (workspace.sessions / "t1").exists()


def test_a_result_that_appears_while_publishing(
    workspace: Workspace, agents: tuple[str, str], dropped: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first of this id ends between our two looks: the second look sees it."""
    mine = claim(workspace, agents[0], dropped, "t1")
    assert mine is not None
    real = module.move

    def ended(source: Path, target: Path) -> None:
        (workspace.results / "t1").mkdir(exist_ok=True)
        real(source, target)

    monkeypatch.setattr(module, "move", ended)
    assert publish(workspace, mine) is None
    assert mine.source is not None


def test_a_claim_that_was_taken_over_is_let_go(
    workspace: Workspace, agents: tuple[str, str], dropped: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The slower agent touches nothing of what is another's now."""
    real = module.bring_files

    def late(place: Workspace, mine: Claim, path: Path) -> None:
        assert take_over(place, agents[1], mine.folder) is not None
        real(place, mine, path)

    monkeypatch.setattr(module, "bring_files", late)
    assert claim(workspace, agents[0], dropped, "t1") is None
    (theirs,) = claims_of(workspace.agent("b"))
    assert theirs.source is not None
    with pytest.raises(FileNotFoundError):
        publish(workspace, Claim("t1", workspace.agent("a") / "t1"))


def test_taking_over_is_won_once(workspace: Workspace, agents: tuple[str, str], dropped: Path) -> None:
    """A third agent hears that it was too late; a claim of the same id is not overwritten."""
    mine = claim(workspace, agents[0], dropped, "t1")
    assert mine is not None
    assert take_over(workspace, "c", mine.folder) == Claim("t1", workspace.agent("c") / "t1")
    assert take_over(workspace, agents[1], mine.folder) is None
    other = claim(workspace, agents[1], drop(workspace, "y", "other"), "t1")
    assert other is not None
    assert take_over(workspace, agents[1], workspace.agent("c") / "t1") is None
    assert len(places_of(workspace, "the task")) == len(places_of(workspace, "other")) == 1


def test_discarding_begins_with_what_could_be_executed(
    workspace: Workspace, agents: tuple[str, str], dropped: Path, killer: Any
) -> None:
    """A removal that was cut off never leaves a task.json without its file."""

    def prepare() -> Callable[[], Any]:
        empty(workspace)
        mine = _claimed(workspace, drop(workspace))
        return lambda: discard(mine)

    dropped.unlink()
    for _ in killer.deaths(prepare):
        folder = workspace.agent(agents[0]) / "t1"
        assert not (folder / "task.json").exists() or (folder / "source" / "x.json").exists()


def _claim_all(root: Path, agent: str, ready: Connection, go: Any, ids: str) -> None:
    workspace = Workspace(root)
    workspace.agent(agent).mkdir()
    ready.send(agent)
    go.wait()
    for name in sorted(os.listdir(workspace.tasks)):
        if name.endswith(".json"):
            task_id = name.removesuffix(".json") + (f"-{agent}" if ids == "own" else "")
            mine = claim(workspace, agent, workspace.tasks / name, task_id)
            if mine is not None and ids == "file":
                publish(workspace, mine)
    ready.send("done")


@pytest.mark.parametrize("number", [2, 8])
@pytest.mark.parametrize("ids", ["file", "own"])
def test_processes_that_claim_the_same_files(workspace: Workspace, number: int, ids: str) -> None:
    """Each file is claimed by exactly one of them."""
    names = [f"x{n}" for n in range(60)]
    for name in names:
        (workspace.tasks / f"{name}.json").write_text(f"content of {name}")
    go = FORK.Event()
    pipes, processes = [], []
    for n in range(number):
        ours, theirs = FORK.Pipe()
        process = FORK.Process(target=_claim_all, args=(workspace.root, f"agent{n}", theirs, go, ids))
        process.start()
        pipes.append(ours)
        processes.append(process)
    for pipe in pipes:
        pipe.recv()
    go.set()
    for pipe, process in zip(pipes, processes, strict=True):
        assert pipe.recv() == "done"
        process.join()
        assert process.exitcode == 0
    found = Counter(
        (workspace.root / folder / name).read_text()
        for folder, _, files in os.walk(workspace.sessions)
        for name in files
    )
    assert found == Counter(f"content of {name}" for name in names)


def test_one_id_published_by_many_at_once(workspace: Workspace) -> None:
    """Exactly one session comes of it, and every other claim is whole."""
    mine = []
    for n in range(8):
        workspace.agent(f"c{n}").mkdir()
        one = claim(workspace, f"c{n}", drop(workspace, f"x{n}", f"task {n}"), "t1")
        assert one is not None
        mine.append(one)
    barrier, outcomes = threading.Barrier(8), []

    def go(one: Claim) -> None:
        barrier.wait()
        outcomes.append(publish(workspace, one))

    threads = [threading.Thread(target=go, args=(one,)) for one in mine]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(outcome is not None for outcome in outcomes) == 1
    assert all(len(places_of(workspace, f"task {n}")) == 1 for n in range(8))


def test_the_source_is_the_file_not_what_came_with_it(
    workspace: Workspace, agents: tuple[str, str], dropped: Path
) -> None:
    """A refusal may put NAME.files beside the claimed file: it is never taken for the task."""
    mine = claim(workspace, agents[0], dropped, "t1")
    assert mine is not None
    for name in ("x.files", "a.files"):
        (mine.folder / "source" / name).mkdir()
    assert mine.source == mine.folder / "source" / "x.json"
    mine.source.unlink()
    assert mine.source is None
