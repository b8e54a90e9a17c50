from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from agent.cli import main
from spool.files import make_folder
from spool.locks import take_agent_lock
from spool.records import Output, Result, State, Status
from spool.task import AcceptedTask

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from spool.workspace import Workspace

NOON = datetime(2026, 11, 20, 12, 0, 0, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Said:
    """What one command printed."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        """The document of --json."""
        document = json.loads(self.out)
        assert isinstance(document, dict)
        return document


@pytest.fixture(autouse=True)
def own_temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a command leaves for a person to find stays in the test's folder."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


@pytest.fixture
def aispool(workspace: Workspace, capsys: pytest.CaptureFixture[str]) -> Callable[..., Said]:
    """Run one command line on the workspace."""

    def run(*arguments: object, code: int = 0) -> Said:
        capsys.readouterr()
        got = main(["--workspace", str(workspace.root), *(str(argument) for argument in arguments)])
        said = capsys.readouterr()
        assert got == code, said.err + said.out
        return Said(got, said.out, said.err)

    return run


@pytest.fixture
def shell(workspace: Workspace) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run `python -m agent` as a program of its own."""

    def run(*arguments: object, **options: Any) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "agent", "--workspace", workspace.root, *arguments]
        return subprocess.run(
            [str(word) for word in command],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            env={**os.environ, "PYTHONWARNINGS": "error"},
            **options,
        )

    return run


@pytest.fixture
def stdin(monkeypatch: pytest.MonkeyPatch) -> Callable[[bytes], None]:
    """Give the next command these bytes."""

    def give(content: bytes) -> None:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))

    return give


@pytest.fixture
def dropped(workspace: Workspace) -> Callable[..., Path]:
    """Drop a task as a person would: by writing a file."""

    def drop(name: str = "build", *, held: bool = False, **fields: Any) -> Path:
        folder = workspace.held if held else workspace.tasks
        path = folder / f"{name}.json"
        path.write_text(json.dumps({"task_id": name, "tool": "shell", "command": "true", **fields}))
        return path

    return drop


@pytest.fixture
def running(workspace: Workspace) -> Callable[..., Path]:
    """Make the session of a running task, as an agent leaves it."""

    def make(task_id: str = "build", state: State = State.RUNNING, **fields: Any) -> Path:
        folder = workspace.sessions / task_id
        make_folder(folder / "attempts" / "001")
        _write_task(folder, task_id)
        Status(
            task_id=task_id,
            tool="shell",
            command="true",
            state=state,
            reason="attempt 1 runs",
            since=NOON,
            attempt=1,
            agent="test",
            host="here",
            submitted_at=NOON,
            source_name=f"{task_id}.json",
            **fields,
        ).write(folder / "status.json")
        return folder

    return make


@pytest.fixture
def over(workspace: Workspace) -> Callable[..., Path]:
    """Make the result of a task that is over."""

    def make(task_id: str = "build", state: State = State.SUCCEEDED, text: str = "", **fields: Any) -> Path:
        folder = workspace.results / task_id
        make_folder(folder)
        _write_task(folder, task_id)
        given: dict[str, Any] = {
            "task_id": task_id,
            "tool": "shell",
            "command": "true",
            "state": state,
            "reason": "exit code 0",
            "host": "here",
            "source_name": f"{task_id}.json",
            "submitted_at": NOON,
            "finished_at": NOON,
            "output": Output(text=text),
        }
        Result(**(given | fields)).write(folder / "result.json")
        return folder

    return make


def _write_task(folder: Path, task_id: str) -> None:
    task = AcceptedTask(
        task_id=task_id,
        tool="shell",
        command="true",
        source_name=f"{task_id}.json",
        source_sha256="0" * 64,
        submitted_at=NOON,
    )
    (folder / "task.json").write_text(task.model_dump_json())


@pytest.fixture
def agent_lives(workspace: Workspace) -> Iterator[Path]:
    """Hold an agent's lock as a living agent does; yields its folder, which has a bell."""
    lock = take_agent_lock(workspace, "test")
    folder = workspace.agent("test")
    make_folder(folder / ".bell")
    yield folder
    lock.release()
