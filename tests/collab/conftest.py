from __future__ import annotations

import importlib.util
import json
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType


def _load(name: str, path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


scripted_server = _load("aispool_scripted_server", Path(__file__).with_name("server.py"))


@pytest.fixture
def server() -> Iterator[Any]:
    """A `ScriptedServer` (see server.py): set its `rule`, give its `base_url(WIRE)` to a provider."""
    with scripted_server.ScriptedServer() as one:
        yield one


@pytest.fixture
def fault() -> Any:
    """The class `Fault` of server.py, for rules that fail."""
    return scripted_server.Fault


class JudgingServer:
    """PyPI's `llmock`: a model server that others wrote, and that judges its clients.

    It answers a schema with an object that fits it. Its paths: see `base_url`.
    """

    def __init__(self, program: Path, folder: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        self.said = folder / "llmock.out"
        command = [program, "serve", "--port", str(port), "--log-level", "warning"]
        with self.said.open("wb") as out:
            self._process = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT, cwd=folder)

    def wait(self, limit_s: float = 60.0) -> None:
        """Wait until it answers."""
        end_s = time.monotonic() + limit_s
        while True:
            assert self._process.poll() is None, self.said.read_text()
            try:
                self.control("GET", "verdict")
            except OSError:
                assert time.monotonic() < end_s, self.said.read_text()
                time.sleep(0.05)
            else:
                return

    def close(self) -> None:
        """End it."""
        self._process.terminate()
        self._process.wait(30)

    def base_url(self, wire: str) -> str:
        """The base URL that a definition of this wire wants."""
        return self.url + {"openai": "/v1", "anthropic": "/anthropic", "gemini": "/gemini/v1beta"}[wire]

    def behave(self, *behaviors: dict[str, Any]) -> None:
        """Queue what the next requests meet, such as `{"type": "fail", "status": 429, "retry_after": 1}`."""
        self.control("POST", "scenario", {"behaviors": list(behaviors)})

    def requests(self) -> list[dict[str, Any]]:
        """Return every request so far."""
        found: list[dict[str, Any]] = self.control("GET", "requests")["requests"]
        return found

    def verdict(self) -> dict[str, Any]:
        """Return how well the client has coped."""
        found: dict[str, Any] = self.control("GET", "verdict")
        return found

    def control(self, method: str, name: str, body: dict[str, Any] | None = None) -> Any:
        """Use its control API."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}/_llmock/{name}", data, method=method)  # noqa: S310 - here
        with urllib.request.urlopen(request, timeout=20) as answer:  # noqa: S310 - on this machine
            return json.loads(answer.read())


@pytest.fixture(scope="session")
def llmock_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[JudgingServer]:
    program = Path(sys.prefix) / "llmock" / "bin" / "llmock"
    if not program.exists():
        pytest.skip("cannot run here: `scripts/test` installs llmock first")
    one = JudgingServer(program, tmp_path_factory.mktemp("llmock"))
    try:
        one.wait()
        yield one
    finally:
        one.close()


@pytest.fixture
def llmock(llmock_server: JudgingServer) -> JudgingServer:
    """A `JudgingServer` that remembers nothing."""
    llmock_server.control("POST", "reset")
    return llmock_server
