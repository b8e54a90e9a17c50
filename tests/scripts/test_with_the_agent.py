"""The scripts beside the real agent and the real command line."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from conftest import Host, Shell

PROGRAM = Path(__file__).parents[2] / "scripts/ai-coordinator.py"


@pytest.fixture
def installed(bare_shell: Shell) -> Shell:
    """A machine on which aispool is installed, and set up by the script."""
    (bare_shell.home / "bin/aispool").symlink_to(Path(sys.executable).with_name("aispool"))
    done = bare_shell.run("setup-ai-protocol.sh")
    assert (done.returncode, done.stderr) == (0, "")
    return bare_shell


def end(pid: int) -> None:
    """End a process by its pid, and wait until it is gone."""
    try:
        gone = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        signal.pidfd_send_signal(gone, signal.SIGTERM)
        if not select.select([gone], [], [], 30)[0]:
            signal.pidfd_send_signal(gone, signal.SIGKILL)
    finally:
        os.close(gone)


@pytest.fixture
def ends_with_the_test(installed: Shell) -> Iterator[Shell]:
    """Whatever agent was started there is ended, and its tmux server after it."""
    yield installed
    for record in installed.workspace.glob("sessions/.agent-*/agent.json"):
        end(int(json.loads(record.read_text("utf-8"))["pid"]))
    installed.tmux("-S", str(installed.workspace / ".aispool.tmux"), "kill-server")


@pytest.fixture
def working(ends_with_the_test: Shell) -> Shell:
    """The same, with an agent that start-agent.sh started."""
    done = ends_with_the_test.run("start-agent.sh")
    assert done.returncode == 0, done.stderr
    return ends_with_the_test


def write_task(folder: Path, **fields: object) -> Path:
    path = folder / "a task.json"
    path.write_text(json.dumps({"tool": "shell"} | fields))
    return path


def test_executor_shows_what_it_printed(working: Shell, tmp_path: Path) -> None:
    """Its output is the task's, its status tells success."""
    done = working.run("task-executor.sh", write_task(tmp_path, command="echo $((6*7)); echo warned >&2"))
    assert (done.returncode, done.stdout) == (0, "42\n"), done.stderr
    assert "warned" in done.stderr
    assert f"{working.workspace}/results/a_task-" in done.stderr


def test_executor_fails_with_the_task(working: Shell, tmp_path: Path) -> None:
    """Exit 1 for a task that failed and for one that was rejected, with the reason."""
    failed = working.run("task-executor.sh", write_task(tmp_path, command="echo no >&2; exit 3"))
    assert (failed.returncode, failed.stdout) == (1, "")
    assert "no\n" in failed.stderr
    rejected = working.run("task-executor.sh", write_task(tmp_path, command="true", timeout="soon"))
    assert rejected.returncode == 1
    assert "rejected" in rejected.stderr
    assert "timeout" in rejected.stderr


def test_executor_says_why_it_waits(working: Shell, tmp_path: Path) -> None:
    """A dependency that nobody knows is named, and a cancelled wait leaves the task."""
    process = working.start("task-executor.sh", write_task(tmp_path, command="true", dependencies=["nobody"]))
    assert process.stderr is not None
    seen = [process.stderr.readline() for _ in range(2)]
    assert seen[0].startswith("dropped: tasks/a_task-")
    assert "nobody" in seen[1]
    process.terminate()
    process.communicate(timeout=20)
    assert len(list((working.workspace / "tasks").glob("a_task-*.json"))) == 1


def test_healthcheck_is_the_commands(working: Shell) -> None:
    """Where aispool is installed there is one truth."""
    done = working.run("healthcheck.sh")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "heartbeat" in done.stdout
    assert len(list((working.workspace / "logs").glob("healthcheck-*.log"))) == 1


def test_coordinator_executes(working: Shell, tmp_path: Path) -> None:
    """`run FILE` prints the id, waits, and logs the three lines."""
    task = write_task(tmp_path, command="true")
    done = subprocess.run(
        [sys.executable, PROGRAM, "run", task],
        env=working.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    task_id = done.stdout.strip()
    log = (working.workspace / "logs/coordinator.log").read_text("utf-8")
    for line in ("queued", "started", "succeeded: exit code 0"):
        assert f" - INFO - Task {task_id} {line}\n" in log


def test_connecting_starts_the_agent_and_runs_the_task(
    ends_with_the_test: Shell, host: Host, tmp_path: Path, until: Callable[..., None]
) -> None:
    """On a host that was rebooted: what waited there runs, and so does what is sent along."""
    there = ends_with_the_test
    there.run("drop-task.sh", "-", "waited", given='{"tool": "shell", "command": "true"}')
    task = write_task(tmp_path, command="true", task_id="sent")
    environment = {"AISPOOL_SSH_CONFIG": str(host.config), "AISPOOL_REMOTE_WORKSPACE": str(there.workspace)}
    done = there.run("connect-ai-host.sh", host.name, "shell", task, **environment)
    assert done.returncode == 0, done.stderr
    results = there.workspace / "results"
    until(lambda: len(list(results.glob("[!.]*/result.json"))) == 2, "both tasks are over", 60)
    assert {path.name.partition("-")[0] for path in results.glob("[!.]*")} == {"sent", "waited"}
