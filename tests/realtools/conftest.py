"""The real tools on the real agent, against a model server on 127.0.0.1; run with `scripts/test --tools`."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

TESTS = Path(__file__).parents[1]
SERVER = TESTS / "tools" / "modelserver" / "server.py"
WANTED = "AISPOOL_REAL_TOOLS"
"""Set to the folder that scripts/npm-tools prints."""

if not os.environ.get(WANTED):
    collect_ignore_glob = ["*.py"]


def _load(name: str, path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


e2e = _load("aispool_e2e_host", TESTS / "e2e" / "conftest.py")
kits = _load("aispool_realtools_kits", Path(__file__).with_name("kits.py"))
host, folder = e2e.host, e2e.folder


@dataclass(slots=True)
class Model:
    """A model server, and what it is to do next."""

    process: subprocess.Popen[str]
    url: str
    script: Path
    log: Path

    def play(self, **step: Any) -> None:
        """Do this from the next request on."""
        new = self.script.with_suffix(".new")
        new.write_text(json.dumps(step))
        new.rename(self.script)

    def requests(self) -> list[dict[str, Any]]:
        """Return the model calls so far, as they came."""
        if not self.log.exists():
            return []
        records = [json.loads(line) for line in self.log.read_text().splitlines()]
        return [record for record in records if record["method"] == "POST" and record["body"]]


@dataclass(slots=True)
class Rig:
    """One tool, set up as a person does it, in a workspace with an agent."""

    kit: Any
    host: Any
    model: Model
    cwd: Path

    def drop(self, task_id: str, prompt: str, **more: Any) -> None:
        """Drop a task that asks the tool something."""
        parameters = {
            "prompt": prompt,
            "model": self.kit.model,
            "cwd": str(self.cwd),
            **more.pop("parameters", {}),
        }
        task = {
            "task_id": task_id,
            "tool": self.kit.name,
            "timeout": 170,
            "parameters": parameters,
            **more,
        }
        self.host.put(f"{task_id}.json", json.dumps(task).encode())

    def result(self, task_id: str, limit_s: float = 60.0) -> dict[str, Any]:
        """Wait for the task's end, but not for that of one that was rejected."""
        refused = self.host.ws.rejected / f"{task_id}.json.error.json"
        path = self.host.ws.results / task_id / "result.json"
        self.host.wait(
            lambda: path.exists() or refused.exists(), f"{task_id} is over: {self.host.states()}", limit_s
        )
        assert not refused.exists(), refused.read_text()
        found: dict[str, Any] = self.host.read(path)
        return found

    def aispool(self, *words: str) -> str:
        """Run a command as a person does."""
        done = subprocess.run(
            [sys.executable, "-m", "agent", "--workspace", str(self.host.ws.root), *words],
            env=self.host.env,
            cwd=self.cwd,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def tool_processes(self, task_id: str) -> dict[int, str]:
        """Return what still runs of a task: all of it carries the attempt's folder in its environment."""
        found: dict[int, str] = e2e.processes_of(self.host.ws.sessions / task_id)
        return found

    def started(self, task_id: str) -> dict[str, Any]:
        """Return who runs the first attempt."""
        found: dict[str, Any] | None = self.host.read(
            self.host.ws.sessions / task_id / "attempts" / "001" / "started"
        )
        assert found is not None
        return found

    def kill_attempt(self, task_id: str) -> None:
        """Kill the wrapper and its tool, as the kernel does when memory runs out."""
        started = self.started(task_id)
        for name in ("wrapper_pid", "tool_pid"):
            os.kill(started[name], signal.SIGKILL)

    def use(self, url: str) -> None:
        """Point the tool at a server."""
        secrets = self.host.ws.configs / "env" / f"{self.kit.name}.env"
        secrets.parent.mkdir(mode=0o700, exist_ok=True)
        secrets.write_text("".join(f"{name}={value}\n" for name, value in self.kit.env(url).items()))
        secrets.chmod(0o600)
        self.host.tools(self.kit.toml(url))


@pytest.fixture
def bin_folder() -> Path:
    if WANTED not in os.environ:
        pytest.skip("cannot run here: `scripts/test --tools` installs the tools first")
    return Path(os.environ[WANTED])


@pytest.fixture
def model(folder: Path) -> Iterator[Model]:
    """A model server that greets until it is told something else."""
    script, log = folder / "script.json", folder / "requests.jsonl"
    script.write_text(json.dumps({"text": "Hello from the model.", "usage": {"input": 11, "output": 7}}))
    command = [sys.executable, str(SERVER), "--port", "0", "--script", str(script), "--log", str(log)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=TESTS)
    assert process.stdout is not None
    port = process.stdout.readline().strip()
    yield Model(process, f"http://127.0.0.1:{port}", script, log)
    process.kill()
    process.wait()
    process.stdout.close()


@pytest.fixture(params=sorted(kits.KITS))
def rig(request: pytest.FixtureRequest, host: Any, model: Model, bin_folder: Path) -> Rig:
    """A tool in a workspace with an agent at work, with a home of its own."""
    cwd = host.folder / "project"
    cwd.mkdir()
    (cwd / "seen.txt").write_text("seen\n")
    host.env["PATH"] = f"{bin_folder}:{host.env['PATH']}"
    one = Rig(kits.KITS[request.param], host, model, cwd)
    one.use(request.getfixturevalue("llmock") if "llmock" in request.fixturenames else model.url)
    host.start(slots=3)
    return one
