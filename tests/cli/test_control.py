from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, Any

import pytest

from agent.config import load_or_defaults
from agent.host import claiming
from agent.service import ending
from agent.service.ending import cancel_waiting
from spool import claim as claims
from spool.exclusive import move_new
from spool.files import make_folder
from spool.records import Result, State, Status
from spool.results import read_task
from spool.view import Why, find

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from spool.workspace import Workspace

    Run = Callable[..., Any]


def other_agent(workspace: Workspace) -> str:
    make_folder(workspace.agent("other"))
    return "other"


def find_state(workspace: Workspace, task_id: str) -> State | None:
    view = find(workspace, task_id)
    return view.state if view else None


def test_cancelling_a_running_task_is_a_file_and_a_bell(
    aispool: Run, running: Run, agent_lives: Path
) -> None:
    """The wrapper sees the file, the agent hears the bell; doing it twice is fine."""
    folder = running()
    aispool("cancel", "build")
    aispool("cancel", "build")
    assert (folder / "cancel").exists()
    assert (agent_lives / ".bell" / "build").exists()


@pytest.mark.parametrize("held", [False, True])
def test_cancelling_a_waiting_task_gives_it_a_result(
    aispool: Run, workspace: Workspace, dropped: Run, *, held: bool
) -> None:
    """It ends as cancelled with all that an accepted task has, and its input files."""
    path = dropped(held=held, labels=["x"])
    path.with_name("build.files").mkdir()
    (path.with_name("build.files") / "in.txt").touch()
    aispool("cancel", "build")
    folder = workspace.results / "build"
    result = Result.read(folder / "result.json")
    task = read_task(folder)
    assert result is not None
    assert task is not None
    assert (result.state, result.source_name, result.labels) == (State.CANCELLED, "build.json", ("x",))
    assert (folder / "files" / "in.txt").exists()
    assert (folder / "source" / "build.json").exists()
    assert not path.exists()
    assert workspace.agents() == []


def test_a_task_without_an_id_keeps_the_one_it_was_given(
    aispool: Run, workspace: Workspace, dropped: Run
) -> None:
    """The id in NAME.why; without one, a new one is given, as an agent would."""
    dropped(task_id=None)
    why = workspace.tasks / "build.why"
    why.write_text(Why("build-01", State.QUEUED, "no slot").line())
    assert "build-01: cancelled" in aispool("cancel", "build-01").out
    assert not why.exists()
    dropped(task_id=None)
    aispool("cancel", "build")
    assert len([p for p in workspace.results.iterdir() if p.name.startswith("build-")]) == 2


def test_what_is_being_written_is_not_cancelled(aispool: Run, dropped: Run) -> None:
    """Its writer would go on writing into the claim."""
    path = dropped()
    with path.open("a"):
        assert "being written" in aispool("cancel", "build", code=1).err
    assert path.exists()


def test_what_is_no_task_is_not_cancelled(aispool: Run, workspace: Workspace) -> None:
    """An unreadable file is the agent's to reject."""
    (workspace.tasks / "cut.json").write_text('{"tool":')
    assert "remove the file" in aispool("cancel", "cut", code=1).err
    assert (workspace.tasks / "cut.json").exists()


def test_claimed_at_the_same_moment(
    aispool: Run, workspace: Workspace, dropped: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An agent was faster: the cancellation follows the task into its claim."""
    path = dropped()
    name = other_agent(workspace)

    def too_late(*arguments: Any) -> object:
        claims.claim(workspace, name, path, "build")
        return claims.claim(*arguments)

    monkeypatch.setattr(ending, "claim", too_late)
    aispool("cancel", "build")
    assert (workspace.agent("other") / "build" / "cancel").exists()


def test_edited_at_the_same_moment(
    aispool: Run, workspace: Workspace, dropped: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that became another task meanwhile is given back."""
    path = dropped()

    def edited(*arguments: Any) -> object:
        dropped(task_id="another")
        return claims.claim(*arguments)

    monkeypatch.setattr(ending, "claim", edited)
    assert "no task build" in aispool("cancel", "build", code=1).err
    assert json.loads(path.read_bytes())["task_id"] == "another"
    assert not (workspace.results / "build").exists()


def test_killed_before_the_end(
    aispool: Run, shell: Run, workspace: Workspace, dropped: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is left says that it is to be cancelled, and an agent does that."""
    dropped()

    def killed(*_arguments: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(claiming, "finish", killed)
    aispool("cancel", "build", code=130)
    (folder,) = workspace.agents()
    session = workspace.sessions / "build"
    status = Status.read(session / "status.json")
    assert status is not None
    assert folder.name == f".agent-{status.agent}"
    assert (session / "cancel").exists()
    assert read_task(session) is not None
    monkeypatch.undo()
    assert shell("agent", "--drain").returncode == 0
    assert find_state(workspace, "build") is State.CANCELLED


def test_killed_before_it_was_published(
    aispool: Run, shell: Run, workspace: Workspace, dropped: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An agent takes the claim over, and cancels it."""
    dropped()

    def killed(*_arguments: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(claiming, "publish", killed)
    aispool("cancel", "build", code=130)
    monkeypatch.undo()
    assert "not launched yet" in aispool("show", "build").out
    assert shell("agent", "--drain").returncode == 0
    assert find_state(workspace, "build") is State.CANCELLED


def test_the_id_is_taken_at_the_last_moment(
    aispool: Run, workspace: Workspace, dropped: Run, over: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file is refused as a repetition, which is what it has become."""
    path = dropped()

    def beaten(*arguments: Any) -> object:
        over("build")
        return claims.publish(*arguments)

    monkeypatch.setattr(claiming, "publish", beaten)
    assert "over already: succeeded" in aispool("cancel", "build", code=1).err
    assert not path.exists()
    assert (workspace.rejected / path.name).exists()
    assert workspace.agents() == []


def test_an_agent_and_a_cancellation_race(workspace: Workspace, dropped: Run) -> None:
    """Whoever is faster has the task, the other nothing; it is never in two places."""
    name = other_agent(workspace)
    for number in range(40):
        path = dropped(f"t{number}")
        view = find(workspace, f"t{number}")
        assert view is not None
        barrier = threading.Barrier(2)

        def claim_it(path: Path = path, number: int = number, barrier: threading.Barrier = barrier) -> None:
            barrier.wait()
            claims.claim(workspace, name, path, f"t{number}")

        thread = threading.Thread(target=claim_it)
        thread.start()
        barrier.wait()
        cancelled = cancel_waiting(workspace, view, load_or_defaults(workspace)[0])
        thread.join()
        claimed = (workspace.agent(name) / f"t{number}").exists()
        assert claimed is (cancelled is None)
        assert (workspace.results / f"t{number}").exists() is not claimed
        assert not path.exists()


def test_cancelling_what_is_over(aispool: Run, over: Run) -> None:
    """It is told; a wish to run again is taken back."""
    over("done")
    assert "over already" in aispool("cancel", "done", code=1).err
    folder = over("again", State.FAILED)
    (folder / "retry").touch()
    assert "will not run again" in aispool("cancel", "again").out
    assert not (folder / "retry").exists()
    over("was", State.CANCELLED)
    aispool("cancel", "was")


def test_retry_is_a_file_and_a_bell(aispool: Run, over: Run, agent_lives: Path) -> None:
    """Several at once; those that cannot are named, the others are done."""
    folder = over("a", State.FAILED)
    said = aispool("retry", "a", "nobody", code=1)
    assert (folder / "retry").exists()
    assert (agent_lives / ".bell" / "a").exists()
    assert "a: will run again" in said.out
    assert "no task nobody" in said.err


def test_retry_of_what_runs(aispool: Run, running: Run) -> None:
    """It is not over."""
    running()
    assert "is not over" in aispool("retry", "build", code=1).err


def test_hold_and_release(aispool: Run, workspace: Workspace, dropped: Run) -> None:
    """The file moves with its input files and the id it was given, and back."""
    path = dropped(task_id=None)
    path.with_name("build.files").mkdir()
    path.with_name("build.why").write_text(Why("build-01", State.QUEUED, "no slot").line())
    aispool("hold", "build-01")
    assert sorted(p.name for p in workspace.held.iterdir()) == ["build.files", "build.json", "build.why"]
    assert "already" in aispool("hold", "build-01").out
    aispool("release", "build-01")
    assert sorted(p.name for p in workspace.tasks.iterdir()) == [
        "build.files",
        "build.json",
        "build.why",
        "held",
    ]


def test_nothing_is_overwritten(aispool: Run, workspace: Workspace, dropped: Run) -> None:
    """Another task of the same name keeps its place, on hold as in line."""
    dropped("same", task_id="waits")
    dropped("same", task_id="held", held=True)
    for command, task_id in (("hold", "waits"), ("release", "held")):
        assert "rename one" in aispool(command, task_id, code=1).err
    assert json.loads((workspace.tasks / "same.json").read_bytes())["task_id"] == "waits"
    assert json.loads((workspace.held / "same.json").read_bytes())["task_id"] == "held"


def test_files_of_another_are_not_mixed(aispool: Run, workspace: Workspace, dropped: Run) -> None:
    """Input files on hold belong to a task that is not there yet."""
    dropped("same")
    (workspace.held / "same.files").mkdir()
    aispool("hold", "same", code=1)
    assert (workspace.tasks / "same.json").exists()


def test_held_at_the_moment_it_is_claimed(
    aispool: Run, workspace: Workspace, dropped: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The claim wins, and the person is told."""
    path = dropped()
    name = other_agent(workspace)

    def too_late(source: Path, target: Path) -> None:
        claims.claim(workspace, name, path, "build")
        move_new(source, target)

    monkeypatch.setattr("spool.requests.move_new", too_late)
    assert "was taken" in aispool("hold", "build", code=1).err
    assert list(workspace.held.iterdir()) == []


def test_what_runs_cannot_be_held(aispool: Run, running: Run) -> None:
    """It says where it stands."""
    running()
    assert "running" in aispool("hold", "build", code=1).err


def test_pause_and_resume_are_files(aispool: Run, workspace: Workspace) -> None:
    """In all, by tool, by group; each ends by itself."""
    aispool("pause")
    aispool("pause", "--tool", "shell")
    aispool("pause", "--group", "night")
    assert sorted(p.name for p in workspace.configs.glob("paused*")) == [
        "paused",
        "paused.group.night",
        "paused.tool.shell",
    ]
    assert "still paused: group night, tool shell" in aispool("resume").out
    aispool("resume", "--tool", "shell")
    assert aispool("resume", "--group", "night").out == "resumed: group night\n"
    assert aispool("resume").out == "was not paused: everything\n"


def test_a_pause_of_nothing_is_refused(aispool: Run) -> None:
    """An unknown tool, a name that is a path, and both options at once."""
    assert "the tools are" in aispool("pause", "--tool", "shel", code=1).err
    aispool("pause", "--group", "../x", code=1)
    aispool("pause", "--tool", "shell", "--group", "x", code=2)


def editor(tmp_path: Path, script: str) -> str:
    path = tmp_path / "editor"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o700)
    return str(path)


@pytest.mark.parametrize("held", [False, True])
def test_edit(
    aispool: Run, dropped: Run, *, held: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The change is in the file where it was, and nothing else is left."""
    path = dropped(held=held, priority="low")
    before = sorted(p.name for p in path.parent.iterdir())
    monkeypatch.setenv("VISUAL", editor(tmp_path, 'sed -i s/low/high/ "$1"'))
    assert aispool("edit", "build").out == "build: changed\n"
    assert json.loads(path.read_bytes())["priority"] == "high"
    assert sorted(p.name for p in path.parent.iterdir()) == before


def test_edit_that_changes_nothing(aispool: Run, dropped: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file is not touched."""
    path = dropped()
    inode = path.stat().st_ino
    monkeypatch.setenv("VISUAL", "true")
    assert "unchanged" in aispool("edit", "build").out
    assert path.stat().st_ino == inode


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ('echo "{" > "$1"', "ends in the middle"),
        ('sed -i s/shell/shel/ "$1"', "there is no tool"),
        ('sed -i s/build/other/ "$1"', "task_id was changed"),
        ("exit 3", "ended with 3"),
    ],
)
def test_a_bad_edit_is_not_put_back(
    aispool: Run, dropped: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, script: str, words: str
) -> None:
    """The reason is said, and the edit is kept."""
    path = dropped()
    before = path.read_bytes()
    monkeypatch.setenv("VISUAL", editor(tmp_path, script))
    said = aispool("edit", "build", code=1)
    assert words in said.err
    assert path.read_bytes() == before


def test_claimed_while_it_is_edited(
    aispool: Run, workspace: Workspace, dropped: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A claimed task is never revived by an edit."""
    path = dropped()
    script = f'sed -i s/true/false/ "$1"; mv "{path}" "{tmp_path}"'
    monkeypatch.setenv("VISUAL", editor(tmp_path, script))
    said = aispool("edit", "build", code=1)
    assert "was claimed" in said.err
    assert "kept as" in said.err
    assert list(workspace.tasks.glob("*.json")) == []


def test_changed_while_it_is_edited(
    aispool: Run, workspace: Workspace, dropped: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The other's change stays."""
    path = dropped()
    other = path.read_text().replace("true", "date")
    (tmp_path / "other").write_text(other)
    script = f'sed -i s/true/false/ "$1"; cp "{tmp_path}/other" "{path}"'
    monkeypatch.setenv("VISUAL", editor(tmp_path, script))
    assert "changed by another" in aispool("edit", "build", code=1).err
    assert path.read_text() == other
    assert list(workspace.held.iterdir()) == []


def test_attach_needs_a_session_and_a_terminal(aispool: Run, dropped: Run, running: Run, over: Run) -> None:
    """Each case says what to do instead."""
    dropped("waits")
    over("done")
    running("now", attach="tmux -S x attach-session -t=task-now")
    assert "no session now" in aispool("attach", "waits", code=1).err
    assert "aispool logs done" in aispool("attach", "done", code=1).err
    assert "tmux -S x attach-session -t=task-now" in aispool("attach", "now", code=1).err


def test_a_file_whose_name_is_no_id_goes_by_its_name(aispool: Run, workspace: Workspace) -> None:
    """No agent has given it an id yet; a person can still hold, release and cancel it."""
    (workspace.tasks / "my task.json").write_text('{"tool": "shell", "command": "true"}')
    aispool("hold", "my task")
    aispool("release", "my task.json")
    assert "(was my task.json)" in aispool("cancel", "my task").out
    (folder,) = (path for path in workspace.results.iterdir() if not path.name.startswith("."))
    assert folder.name.startswith("my-task-")
