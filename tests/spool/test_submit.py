from __future__ import annotations

import json
import multiprocessing
import os
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spool import submit as module
from spool.names import is_dropped_name, is_task_id, name_problem
from spool.refusal import Refusal
from spool.submit import drop, encode, request, ring, with_id
from spool.task import parse_task
from spool.workspace import Workspace

if TYPE_CHECKING:
    from multiprocessing.connection import Connection
    from pathlib import Path

CONTENT = b'{"tool": "shell", "command": "true"}'
SPAWN = multiprocessing.get_context("spawn")


def test_a_drop_is_a_file(workspace: Workspace) -> None:
    """Under its name, or the next free one."""
    assert drop(workspace, CONTENT, "x") == workspace.tasks / "x.json"
    assert drop(workspace, b"other", "x") == workspace.tasks / "x~2.json"
    assert (workspace.tasks / "x.json").read_bytes() == CONTENT
    assert sorted(os.listdir(workspace.tasks)) == ["held", "x.json", "x~2.json"]


def test_attachments_lie_beside_it(workspace: Workspace, tmp_path: Path) -> None:
    """Files and folders are copied, and are there before the task is."""
    (tmp_path / "a.txt").write_text("a")
    (tmp_path / "folder" / "deep").mkdir(parents=True)
    (tmp_path / "folder" / "deep" / "b").write_text("b")
    for number in range(2):
        path = drop(workspace, CONTENT, "x", [tmp_path / "a.txt", tmp_path / "folder"])
        assert path.name == ("x.json", "x~2.json")[number]
        files = path.with_name(path.stem + ".files")
        assert (files / "a.txt").read_text() == "a"
        assert (files / "folder" / "deep" / "b").read_text() == "b"


def test_files_of_another_are_not_inherited(workspace: Workspace) -> None:
    """A folder of that name belongs to a task that is not there yet, or on hold."""
    (workspace.tasks / "x.files").mkdir()
    assert drop(workspace, CONTENT, "x").name == "x~2.json"


def test_a_name_taken_at_the_last_moment(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The attachments are withdrawn from the other's task, and dropped beside our own."""
    (tmp_path / "a").write_text("a")
    real = module.move_new

    def taken(source: Path, target: Path) -> None:
        real(source, target)
        if target.name == "x.files":
            (workspace.tasks / "x.json").write_text("of another")

    monkeypatch.setattr(module, "move_new", taken)
    path = drop(workspace, CONTENT, "x", [tmp_path / "a"])
    assert path.name == "x~2.json"
    assert sorted(os.listdir(workspace.tasks)) == ["held", "x.json", "x~2.files", "x~2.json"]


def test_a_drop_that_fails_leaves_nothing(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A missing attachment, two of one name, or a full disk: nothing was dropped."""
    (tmp_path / "a").write_text("a")
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "a").write_text("a")
    os.mkfifo(tmp_path / "fifo")
    for attachments in (["a", "missing"], ["a", "b/a"], ["a", "fifo"]):
        with pytest.raises(OSError, match=r"missing|same name|named pipe"):
            drop(workspace, CONTENT, "x", [tmp_path / name for name in attachments])
    monkeypatch.setattr(module, "put_new", _full_disk)
    for attachments in (["a"], []):
        with pytest.raises(OSError, match="full"):
            drop(workspace, CONTENT, "x", [tmp_path / name for name in attachments])
    assert os.listdir(workspace.tasks) == ["held"]


def _full_disk(*_: Any) -> None:
    raise OSError("full")


@given(st.text())
def test_any_stem_makes_a_good_name(tmp_path_factory: pytest.TempPathFactory, stem: str) -> None:
    """A drop never leaves the folder, and is never refused for its name."""
    folder = tmp_path_factory.mktemp("ws")
    workspace = Workspace(folder)
    workspace.tasks.mkdir()
    path = drop(workspace, CONTENT, stem)
    assert path.parent == workspace.tasks
    assert os.listdir(workspace.tasks) == [path.name]
    assert is_dropped_name(path.name)
    assert name_problem(path.name) is None


def test_a_given_id_keeps_everything_else(sample_tasks: list[Path]) -> None:
    """The client's fields are all there, unknown ones, too, and the agent reads the same task."""
    for path in [*sample_tasks]:
        content = path.read_bytes()
        given_one = with_id(content, path.stem)
        assert not isinstance(given_one, Refusal)
        new, task_id = given_one
        assert is_task_id(task_id)
        before, after = json.loads(content), json.loads(new)
        if "task_id" in before:
            assert new == content
        assert after == {**before, "task_id": task_id}
    given_one = with_id(b'{"tool": "a", "command": "\\u00e4 <\\"", "x": [1.0, 10000000000000000000000]}', "s")
    assert not isinstance(given_one, Refusal)
    assert b"10000000000000000000000" in given_one[0]
    assert not isinstance(parse_task(given_one[0]), Refusal)


def test_a_null_id_is_given_one(workspace: Workspace) -> None:
    """`"task_id": null` is the same as none."""
    given_one = with_id(b'{"task_id": null, "tool": "shell", "command": "true"}', "s")
    assert not isinstance(given_one, Refusal)
    assert json.loads(given_one[0])["task_id"] == given_one[1]
    assert workspace


def test_a_bad_task_gets_no_id() -> None:
    """It is refused before it is dropped."""
    assert isinstance(with_id(b"{", "s"), Refusal)
    assert isinstance(with_id(b'{"tool": "shell"}', "s"), Refusal)


def test_requests_are_made_once(workspace: Workspace) -> None:
    """Asking twice is asking once, and the first content stays."""
    for content in (b"1", b"2"):
        request(workspace.sessions / "cancel", content)
    assert (workspace.sessions / "cancel").read_bytes() == b"1"


def test_only_agents_with_a_bell_are_rung(workspace: Workspace) -> None:
    """An agent that never ran, or runs no more, is not waited for."""
    (workspace.agent("a") / ".bell").mkdir(parents=True)
    workspace.agent("b").mkdir()
    ring(workspace, "t1")
    assert (workspace.agent("a") / ".bell" / "t1").exists()
    assert not (workspace.agent("b") / ".bell").exists()


def _drop_many(root: Path, number: int, ready: Connection, go: Any, source: Path) -> None:
    ready.send("ready")
    go.wait()
    for turn in range(6):
        content = encode({"tool": "shell", "command": f"{number} {turn}"})
        drop(Workspace(root), content, "same", [source] if turn % 2 else [])
    ready.send("done")


def test_eight_clients_that_choose_one_name(workspace: Workspace, tmp_path: Path) -> None:
    """Every task arrives once, and exactly those that brought files have them."""
    (tmp_path / "input").write_text("input")
    go, pipes, processes = SPAWN.Event(), [], []
    for number in range(8):
        ours, theirs = SPAWN.Pipe()
        arguments = (workspace.root, number, theirs, go, tmp_path / "input")
        process = SPAWN.Process(target=_drop_many, args=arguments)
        process.start()
        pipes.append(ours)
        processes.append(process)
    for pipe in pipes:
        assert pipe.recv() == "ready"
    go.set()
    for pipe, process in zip(pipes, processes, strict=True):
        assert pipe.recv() == "done"
        process.join()
    commands = set()
    for path in workspace.tasks.glob("*.json"):
        command = json.loads(path.read_bytes())["command"]
        commands.add(command)
        assert path.with_name(path.stem + ".files").exists() == bool(int(command.split()[1]) % 2)
    assert commands == {f"{number} {turn}" for number in range(8) for turn in range(6)}
    assert not [name for name in os.listdir(workspace.tasks) if name.startswith(".")]
