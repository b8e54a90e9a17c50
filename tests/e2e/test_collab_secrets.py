"""No secret of a provider is anywhere after a run through a real agent, whatever the provider repeats."""

from __future__ import annotations

import importlib.util
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

HERE = Path(__file__).parents[1] / "collab"
GOOD = "zq1-Good/secret+of=gemini-4711"
BAD = "zq2-Bad/secret+of=qwen-0815"


def _load(name: str, path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


servers: Any = _load("aispool_e2e_secrets_server", HERE / "server.py")
brains: Any = _load("aispool_e2e_secrets_brain", HERE / "brain.py")


def command_lines() -> Iterator[bytes]:
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                yield (entry / "cmdline").read_bytes()
            except OSError:
                continue


def test_no_secret_is_anywhere_after_a_run(host: Any) -> None:
    """A provider that repeats the refused key, one that repeats the good one in its answers."""
    brain = brains.Brain()
    seen: list[bytes] = []

    def rule(call: Any) -> Any:
        seen.extend(line for line in command_lines() if GOOD.encode() in line or BAD.encode() in line)
        if call.wire == "openai":
            body = json.dumps({"error": {"message": f"Incorrect API key provided: {BAD}"}}).encode()
            return servers.Fault(status=401, body=body, headers={"X-Echo": BAD})
        said = brain(call)
        if isinstance(said, dict) and "text" in said:
            return {**said, "text": f"{said['text']} Your key is {GOOD}."}
        return said

    with servers.ScriptedServer(rule) as server:
        (host.ws.configs / "roles.toml").write_text(
            f'[providers.qwen]\nbase_url = "{server.base_url("openai")}"\n'
            f'[providers.gemini]\nbase_url = "{server.base_url("gemini")}"\n'
            "[limits]\nevidence_wait_s = 60.0\ncall_budget_s = 60.0\n"
        )
        keys = host.ws.configs / "env" / "collab.env"
        keys.write_text(f"QWEN_API_KEY={BAD}\nGEMINI_API_KEY={GOOD}\n")
        keys.chmod(0o600)
        task = {
            "task_id": "q",
            "tool": "collab",
            "command": "general",
            "parameters": {"prompt": "Is it safe?"},
        }
        host.put("q.json", json.dumps(task).encode())
        host.start()
        result = host.result("q", 90)
    assert result["state"] == "succeeded", result["reason"]
    steps = host.ws.results / "q" / "collab" / "steps"
    analyst = json.loads((steps / "2-analyst.json").read_text())
    assert [call["error"] for call in analyst["calls"]] == ["auth", None], "the key was refused, and told of"
    assert "Your key is ***." in analyst["text"]
    assert seen == []
    holding = [
        path
        for folder, _, names in os.walk(host.folder)
        for path in (Path(folder, name) for name in names)
        if path.is_file() and any(secret.encode() in path.read_bytes() for secret in (GOOD, BAD))
    ]
    assert holding == [keys]
