"""What is pruned, and what never is."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from agent.config import AgentConfig
from agent.host.retention import prune_now
from spool.claim import TASK
from spool.files import put
from spool.records import Result, State
from spool.results import RESULT, read_tombstone
from spool.task import AcceptedTask

if TYPE_CHECKING:
    from spool.workspace import Workspace

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


def finished(workspace: Workspace, task_id: str, days_ago: float = 0, size_bytes: int = 0) -> None:
    """Make a result, and the log beside it."""
    folder = workspace.results / task_id
    (folder / "attempts" / "001").mkdir(parents=True)
    (folder / "attempts" / "001" / "stdout").write_bytes(os.urandom(size_bytes))
    at = NOW - timedelta(days=days_ago)
    fields: dict[str, Any] = {"task_id": task_id, "tool": "shell", "command": "true"}
    task = AcceptedTask(**fields, source_name=f"{task_id}.json", source_sha256="0" * 64, submitted_at=at)
    put(folder / TASK, task.model_dump_json().encode())
    result = Result(
        **fields,
        state=State.SUCCEEDED,
        reason="exit code 0",
        host="h",
        source_name=f"{task_id}.json",
        submitted_at=at,
        finished_at=at,
    )
    result.write(folder / RESULT)
    log = workspace.logs / f"shell-{task_id}.log"
    log.write_text("a line\n")
    for path in (folder, log):
        os.utime(path, (at.timestamp(), at.timestamp()))


def left(workspace: Workspace) -> set[str]:
    return {path.name for path in workspace.results.iterdir() if not path.name.startswith(".")}


def logs(workspace: Workspace) -> set[str]:
    return {path.name for path in workspace.logs.iterdir()}


def test_by_age(workspace: Workspace) -> None:
    """What is older than keep_days goes and leaves its tombstone; its log goes by keep_log_days."""
    finished(workspace, "old", days_ago=31)
    finished(workspace, "young", days_ago=29)
    report = prune_now(workspace, AgentConfig(keep_days=30.0, keep_log_days=30.0), NOW)
    assert report.results == ("old",)
    assert left(workspace) == {"young"}
    assert logs(workspace) == {"shell-young.log"}
    tombstone = read_tombstone(workspace, "old")
    assert tombstone is not None
    assert (tombstone.state, tombstone.source_sha256) == (State.SUCCEEDED, "0" * 64)


def test_by_number(workspace: Workspace) -> None:
    """Of results and of logs the newest keep_count stay."""
    for number in range(5):
        finished(workspace, f"t{number}", days_ago=number)
    prune_now(workspace, AgentConfig(keep_count=2), NOW)
    assert left(workspace) == {"t0", "t1"}
    assert logs(workspace) == {"shell-t0.log", "shell-t1.log"}


def test_by_size(workspace: Workspace) -> None:
    """The oldest go until what is kept fits keep_bytes."""
    for number in range(4):
        finished(workspace, f"t{number}", days_ago=number, size_bytes=100_000)
    report = prune_now(workspace, AgentConfig(keep_bytes=270_000), NOW)
    assert left(workspace) == {"t0", "t1"}
    assert report.freed_bytes > 200_000


@pytest.mark.parametrize("field", ["dependencies", "inputs"])
def test_what_a_waiting_task_needs_stays(workspace: Workspace, field: str) -> None:
    """However old it is; when nobody needs it any more it goes."""
    finished(workspace, "needed", days_ago=400)
    wanted = "needed" if field == "dependencies" else "needed:attempts/001/stdout"
    waiting = workspace.tasks / "next.json"
    waiting.write_text(f'{{"tool": "shell", "command": "true", "{field}": ["{wanted}"]}}')
    prune_now(workspace, AgentConfig(keep_days=1.0), NOW)
    assert left(workspace) == {"needed"}
    waiting.unlink()
    prune_now(workspace, AgentConfig(keep_days=1.0), NOW)
    assert left(workspace) == set()


def test_what_is_to_run_again_stays(workspace: Workspace) -> None:
    """A `retry` in it is a wish that nobody has seen yet."""
    finished(workspace, "again", days_ago=400)
    (workspace.results / "again" / "retry").touch()
    prune_now(workspace, AgentConfig(keep_days=1.0), NOW)
    assert left(workspace) == {"again"}


def test_logs_in_use_and_the_agents_own_stay(workspace: Workspace) -> None:
    """A task in session keeps its log, whatever its tool is called; agent.log is rotated elsewhere."""
    (workspace.sessions / "live-1").mkdir()
    for name in ("my-tool-live-1.log", "my-tool-live-1.log.1", "agent.log", "gone.log"):
        (workspace.logs / name).write_text("a line\n")
        os.utime(workspace.logs / name, (0, 0))
    prune_now(workspace, AgentConfig(), NOW)
    assert logs(workspace) == {"my-tool-live-1.log", "my-tool-live-1.log.1", "agent.log"}


def test_damaged_results_and_outputs_stay(workspace: Workspace) -> None:
    """What a person may still make sense of, and what tasks wrote for people, is nobody's to remove."""
    finished(workspace, "torn", days_ago=400)
    (workspace.results / "torn" / RESULT).write_text("{")
    os.utime(workspace.results / "torn", (0, 0))
    (workspace.results / "answer.md").write_text("an answer\n")
    os.utime(workspace.results / "answer.md", (0, 0))
    prune_now(workspace, AgentConfig(keep_days=1.0), NOW)
    assert left(workspace) == {"torn", "answer.md"}


def test_read_only_folders_of_a_tool_go_too(workspace: Workspace) -> None:
    """As Go's module cache leaves them."""
    finished(workspace, "go", days_ago=400)
    cache = workspace.results / "go" / "artifacts" / "mod"
    cache.mkdir(parents=True)
    (cache / "file").touch()
    cache.chmod(0o555)
    os.utime(workspace.results / "go", (0, 0))
    prune_now(workspace, AgentConfig(keep_days=1.0), NOW)
    assert left(workspace) == set()
    assert [p.name for p in workspace.tombstones.iterdir()] == ["go"]
