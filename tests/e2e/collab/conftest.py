from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

HERE = Path(__file__).parents[2] / "collab"


def _load(name: str, path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


servers: Any = _load("aispool_e2e_scripted_server", HERE / "server.py")
brains: Any = _load("aispool_e2e_brain", HERE / "brain.py")


@pytest.fixture
def brain(host: Any) -> Iterator[Any]:
    """The scripted models; the workspace knows them as its providers qwen and gemini."""
    one = brains.Brain()
    with servers.ScriptedServer(one) as server:
        (host.ws.configs / "roles.toml").write_text(
            f'[providers.qwen]\nbase_url = "{server.base_url("openai")}"\n'
            f'[providers.gemini]\nbase_url = "{server.base_url("gemini")}"\n'
            "[limits]\nevidence_wait_s = 60.0\ncall_budget_s = 30.0\n"
        )
        env = host.ws.configs / "env" / "collab.env"
        env.write_text("QWEN_API_KEY=k-qwen\nGEMINI_API_KEY=k-gemini\n")
        env.chmod(0o600)
        yield one


@pytest.fixture
def fault() -> Any:
    """The class `Fault` of tests/collab/server.py."""
    return servers.Fault


@dataclass(frozen=True, slots=True)
class Runs:
    """Collaborative runs on a host."""

    host: Any

    def ask(
        self, text: str = "Shall I do it?", task_id: str = "q", kind: str = "general", **more: Any
    ) -> None:
        """Drop a task as a person would."""
        parameters = {"prompt": text, **more.pop("parameters", {})}
        fields = {"task_id": task_id, "tool": "collab", "command": kind, "parameters": parameters, **more}
        self.host.put(f"{task_id}.json", json.dumps(fields).encode())

    def folder(self, task_id: str = "q") -> Path:
        """Return where a run's files lie, wherever it stands."""
        session = Path(self.host.ws.sessions, task_id, "collab")
        return session if session.is_dir() else Path(self.host.ws.results, task_id, "collab")

    def report(self, task_id: str = "q") -> dict[str, Any]:
        """Return report.json."""
        found: dict[str, Any] = json.loads((self.folder(task_id) / "report.json").read_text())
        return found

    def command_line(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Call `aispool`."""
        return subprocess.run(
            [sys.executable, "-m", "agent", "--workspace", str(self.host.ws.root), *arguments],
            env=self.host.env, capture_output=True, text=True, timeout=100, check=False, cwd=self.host.folder,
        )  # fmt: skip


@pytest.fixture
def runs(host: Any) -> Runs:
    """Collaborative runs on the host."""
    return Runs(host)
