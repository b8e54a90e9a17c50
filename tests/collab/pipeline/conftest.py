from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from spool.files import make_folder
from spool.records import utc_now
from spool.task import AcceptedTask
from spool.workspace import create

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

    from spool.workspace import Workspace


def _load(name: str, path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


brains = _load("aispool_brain", Path(__file__).parents[1] / "brain.py")


@dataclass
class Desk:
    """A session of a collaborative run without an agent: the test starts its attempts itself."""

    workspace: Workspace
    env: dict[str, str]
    roles: str = ""
    attempts: dict[str, int] = field(default_factory=dict)
    processes: list[subprocess.Popen[str]] = field(default_factory=list)

    def configure(self, extra: str = "") -> None:
        """Write roles.toml: the scripted providers, and what a test adds."""
        (self.workspace.configs / "roles.toml").write_text(self.roles + extra)

    def ask(
        self, text: str = "Shall I do it?", task_id: str = "q", command: str = "", **parameters: Any
    ) -> Path:
        """Make a session as the agent would, and return its folder."""
        given = {"prompt": text, **parameters} if text else parameters
        task = AcceptedTask(
            task_id=task_id, tool="collab", command=command, parameters=given, submitted_by="a person",
            # there is no agent here that would run what is proposed
            approval="read-only",
            source_name=f"{task_id}.json", source_sha256="0" * 64, submitted_at=utc_now(),
        )  # fmt: skip
        folder = self.workspace.sessions / task_id
        folder.mkdir()
        (folder / "task.json").write_text(task.model_dump_json())
        return folder

    def start(self, session: Path, *paths: Path) -> subprocess.Popen[str]:
        """Start the next attempt."""
        number = self.attempts[session.name] = self.attempts.get(session.name, 0) + 1
        attempt = session / "attempts" / f"{number:03d}"
        make_folder(attempt)
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "agent.collab", "--", *map(str, paths)],
            env={**self.env, "AISPOOL_SESSION": str(session), "AISPOOL_ATTEMPT": str(attempt)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.processes.append(process)
        return process

    def close(self) -> None:
        """End what still runs."""
        for process in self.processes:
            if process.poll() is None:
                process.kill()
            process.communicate()

    def run(self, session: Path, *paths: Path) -> subprocess.CompletedProcess[str]:
        """Run an attempt to its end, and record that as the wrapper would."""
        process = self.start(session, *paths)
        out, err = process.communicate(timeout=100)
        now = utc_now().isoformat()
        record = {"exit_code": process.returncode, "started_at": now, "finished_at": now, "duration_s": 1}
        attempt = session / "attempts" / f"{self.attempts[session.name]:03d}"
        (attempt / "exit").write_text(json.dumps(record))
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    @staticmethod
    def report(session: Path) -> dict[str, Any]:
        """Return report.json."""
        found: dict[str, Any] = json.loads((session / "collab" / "report.json").read_text())
        return found

    @staticmethod
    def step(session: Path, name: str) -> dict[str, Any]:
        """Return one step."""
        found: dict[str, Any] = json.loads((session / "collab" / "steps" / f"{name}.json").read_text())
        return found


@pytest.fixture
def brain(server: Any) -> Any:
    """The rule of the scripted server."""
    one = brains.Brain()
    server.rule = one
    return one


@pytest.fixture
def validation() -> Any:
    """Return a verdict; see brain.py."""
    return brains.validation


@pytest.fixture
def answers() -> Any:
    """Return answers with evidence; see brain.py."""
    return brains.answers


@pytest.fixture
def desk(tmp_path: Path, server: Any, brain: Any) -> Iterator[Desk]:
    """A workspace whose providers qwen, gemini and anthropic are the scripted server."""
    del brain
    workspace = create(tmp_path / "ws")
    env = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "LANG": "C.UTF-8",
        "AISPOOL_WORKSPACE": str(workspace.root),
        "QWEN_API_KEY": "k-qwen",
        "GEMINI_API_KEY": "k-gemini",
    }
    roles = (
        f'[providers.qwen]\nbase_url = "{server.base_url("openai")}"\n'
        f'[providers.gemini]\nbase_url = "{server.base_url("gemini")}"\n'
        f'[providers.anthropic]\nbase_url = "{server.base_url("anthropic")}"\n'
        "[limits]\nevidence_wait_s = 1.0\ncall_budget_s = 8.0\n"
    )
    one = Desk(workspace, env, roles)
    one.configure()
    yield one
    one.close()
