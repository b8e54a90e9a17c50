"""task-executor.sh where no agent works: it must end, whatever becomes of the file."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from conftest import Shell


@pytest.fixture
def task(tmp_path: Path) -> Path:
    path = tmp_path / "night.json"
    path.write_text('{"tool": "shell", "command": "true"}')
    return path


@pytest.fixture
def waits(shell: Shell, task: Path) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """An executor that waits, and the file that it dropped."""
    process = shell.start("task-executor.sh", task)
    assert process.stderr is not None
    dropped = process.stderr.readline().removeprefix("dropped: ").strip()
    assert "no agent runs here" in process.stderr.readline()
    yield process, shell.workspace / dropped
    process.kill()


def ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    with process:
        _, errors = process.communicate(timeout=60)
    return process.returncode, errors


def test_a_removed_task_is_not_waited_for(waits: tuple[subprocess.Popen[str], Path]) -> None:
    """Removing the file is how a person cancels it by hand."""
    process, dropped = waits
    dropped.unlink()
    code, errors = ended(process)
    assert code == 1
    assert "nowhere any more" in errors
    assert dropped.name in errors


def test_a_task_on_hold_or_claimed_is_waited_for(
    shell: Shell, waits: tuple[subprocess.Popen[str], Path], until: Callable[..., None]
) -> None:
    """It moves through every place, and its result is found at the end."""
    process, dropped = waits
    held = dropped.parent / "held" / dropped.name
    claim = shell.workspace / "sessions/.agent-x/ID"
    session, result = shell.workspace / "sessions/ID", shell.workspace / "results/ID"
    (claim / "source").mkdir(parents=True)

    def looked() -> None:
        """Wait until it has looked several times: each time it reads the task's .why."""
        why = dropped.with_suffix(".why")
        for number in range(4):
            why.write_text(f"ID queued: look {number}\n")
            assert process.stderr is not None
            assert process.stderr.readline() == f"ID queued: look {number}\n"
        why.unlink()

    dropped.rename(held)
    looked()
    held.rename(claim / "source" / dropped.name)
    looked()
    (claim / "source" / dropped.name).unlink()
    (claim / "task.json").write_text(json.dumps({"source_name": dropped.name}, indent=2))
    claim.rename(session)
    looked()
    (session / "result.json").write_text(
        json.dumps({"source_name": dropped.name, "state": "succeeded"}, indent=2)
    )
    (session / "attempts").mkdir()
    session.rename(result)
    assert ended(process)[0] == 0
    until(result.exists, "the result stays")


def test_the_wait_has_an_end(shell: Shell, task: Path) -> None:
    """--timeout gives up with 1 and leaves the task, for the agent that comes later."""
    done = shell.run("task-executor.sh", "--timeout", "1", task)
    assert done.returncode == 1
    assert "not over after 1 s" in done.stderr
    assert len(list((shell.workspace / "tasks").glob("night-*.json"))) == 1


@pytest.mark.parametrize("arguments", [["--timeout"], ["--timeout", "soon", "x"], ["--timeout", "-1", "x"]])
def test_a_time_that_is_none_is_usage(shell: Shell, arguments: list[str]) -> None:
    """Nothing is dropped then."""
    assert shell.run("task-executor.sh", *arguments).returncode == 2
    assert list((shell.workspace / "tasks").glob("*.json")) == []
