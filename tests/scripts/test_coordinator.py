"""The class AICoordinator over a workspace."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from spool.records import Result, State

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from spool.workspace import Workspace

PROGRAM = Path(__file__).parents[2] / "scripts/ai-coordinator.py"
TASK = {"tool": "shell", "command": "true"}


@pytest.fixture
def coordinator(workspace: Workspace) -> Iterator[Any]:
    spec = importlib.util.spec_from_file_location("ai_coordinator", PROGRAM)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    with module.AICoordinator(workspace.root) as made:
        yield made
        made.stop.set()


def messages(workspace: Workspace) -> list[str]:
    """The log's messages; every line has the promised form."""
    lines = (workspace.logs / "coordinator.log").read_text("utf-8").splitlines()
    form = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} - (INFO|ERROR) - (.*)")
    matches = [form.fullmatch(line) for line in lines]
    assert all(matches)
    return [match[2] for match in matches if match]


def finish(workspace: Workspace, task_id: str, state: State) -> None:
    """Do what an agent does at the end: a result in results/ID, and the dropped file gone."""
    now = datetime.now(UTC).isoformat()
    part = workspace.results / f".{task_id}"
    part.mkdir()
    record = {"task_id": task_id, "tool": "shell", "command": "true", "state": state, "reason": "it ended"}
    record |= {"submitted_at": now, "started_at": now, "finished_at": now}
    record |= {"host": "here", "source_name": f"{task_id}.json"}
    Result.model_validate(record).write(part / "result.json")
    part.rename(workspace.results / task_id)
    (workspace.tasks / f"{task_id}.json").unlink()


def test_submit_drops_a_task_and_logs_it(coordinator: Any, workspace: Workspace) -> None:
    """The id names the file, and nothing else is needed to run it."""
    task_id = coordinator.submit_task(TASK)
    assert (workspace.tasks / f"{task_id}.json").exists()
    assert messages(workspace) == [f"Task {task_id} queued"]


@pytest.mark.parametrize(("state", "succeeded"), [(State.SUCCEEDED, True), (State.FAILED, False)])
def test_execute_tells_whether_it_succeeded(
    coordinator: Any, workspace: Workspace, state: State, *, succeeded: bool
) -> None:
    """It waits until the task is over, and logs when it started and how it ended."""
    task_id = coordinator.submit_task(TASK)
    answers: list[bool] = []
    waiter = threading.Thread(target=lambda: answers.append(coordinator.execute_task(task_id)))
    waiter.start()
    finish(workspace, task_id, state)
    waiter.join(20)
    assert answers == [succeeded]
    assert messages(workspace)[1:] == [f"Task {task_id} started", f"Task {task_id} {state}: it ended"]


def test_a_rejected_task_is_false_and_said_why(coordinator: Any, workspace: Workspace) -> None:
    """Waiting for it would never end."""
    task_id = coordinator.submit_task(TASK)
    name = f"{task_id}.json"
    (workspace.tasks / name).rename(workspace.rejected / name)
    (workspace.rejected / f"{name}.error.json").write_text("{}")
    assert coordinator.execute_task(task_id) is False
    assert "it was rejected" in messages(workspace)[-1]


def test_an_unknown_id_is_false(coordinator: Any) -> None:
    """Nobody has dropped it, so nobody will finish it."""
    assert coordinator.execute_task("never-seen") is False


def test_a_wrong_config_is_refused_before_it_is_dropped(coordinator: Any, workspace: Workspace) -> None:
    """The error says what is wrong."""
    with pytest.raises(ValueError, match="tool"):
        coordinator.submit_task({"command": "true"})
    assert list(workspace.tasks.glob("*.json")) == []


def test_monitor_counts_until_it_is_stopped(
    coordinator: Any, workspace: Workspace, until: Callable[..., None]
) -> None:
    """One line each round."""
    thread = threading.Thread(target=coordinator.monitor_tasks, args=(0.01,))
    thread.start()
    until(lambda: len(messages(workspace)) >= 2, "two rounds")
    coordinator.stop.set()
    thread.join(20)
    assert set(messages(workspace)) == {"Active AI sessions: 0"}


def test_as_a_program(workspace: Workspace, tmp_path: Path) -> None:
    """`submit FILE` prints the id; a folder that is no workspace is one clear line."""
    task = tmp_path / "nightly.json"
    task.write_text('{"tool": "shell", "command": "true"}')
    command = [sys.executable, PROGRAM, "submit", task]
    for root, status in ((workspace.root, 0), (tmp_path / "none", 1)):
        done = subprocess.run(
            command, env={"AISPOOL_WORKSPACE": str(root)}, capture_output=True, text=True, check=False
        )
        assert done.returncode == status, done.stderr
    assert done.stderr.startswith("ai-coordinator.py: ")
    (dropped,) = workspace.tasks.glob("nightly-*.json")
    assert dropped.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("linked", [True, False])
def test_any_python_will_do(workspace: Workspace, tmp_path: Path, *, linked: bool) -> None:
    """A Python without aispool hands over to the one of the `aispool` on PATH; with none, it says so."""
    bare = tmp_path / "bare"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", bare], check=True)
    if linked:
        (bare / "bin/aispool").symlink_to(Path(sys.executable).with_name("aispool"))
    task = tmp_path / "nightly.json"
    task.write_text('{"tool": "shell", "command": "true"}')
    environment = {"AISPOOL_WORKSPACE": str(workspace.root), "PATH": str(bare / "bin"), "HOME": str(tmp_path)}
    command = [bare / "bin/python", PROGRAM, "submit", task]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if linked:
        assert done.returncode == 0, done.stderr
        assert len(list(workspace.tasks.glob("nightly-*.json"))) == 1
    else:
        assert (
            done.stderr
            == "ai-coordinator.py: aispool is not installed here: run quickstart of its checkout\n"
        )
        assert done.returncode == 1
