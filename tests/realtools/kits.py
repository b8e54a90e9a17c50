"""How a person sets each tool up for a model server of their own, and what each can be asked to do.

Only what a person could write is written: `configs/env/TOOL.env` and `configs/tools.toml`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

CODEX_PROVIDER = """
[tools.codex]
argv = [
    "$executable", "exec", "-c", "model_provider=local", "-c", '@PROVIDER@', "--json",
    "--skip-git-repo-check",
    ["-m", "$model"], "$approval", "$session", ["--", "$prompt"],
]
interactive_argv = [
    "$executable", "--no-daemon", "--dangerously-bypass-hook-trust", "-c", "model_provider=local",
    "-c", '@PROVIDER@', ["-m", "$model"], "$approval", "$session", ["--", "$prompt"],
]
"""


@dataclass(frozen=True, slots=True)
class Kit:
    """One tool.

    Args:
        name: aispool's name for it.
        model: what is put into `parameters.model`.
        env: the lines of its file of secrets, for a server's address.
        look: a call of one of the tool's own tools that needs nobody's consent, in a folder.
        ask: one that needs a person's consent and makes the file `made.txt` in a folder.
        toml: what tools.toml says, for a server's address.
        asks: what its screen shows while it asks for that consent.
        question: a part of what a person is told then.
        leave: what ends it in its terminal.
        failing_s: how long it tries by itself when the server fails with 500, at most.
        limited_s: the same for 429.
        tells_money: whether it says what a run cost.
        tells_its_end: whether it says in its terminal that it is done, and keeps what it answered there.
    """

    name: str
    model: str
    env: Callable[[str], dict[str, str]]
    look: Callable[[Path], dict[str, Any]]
    ask: Callable[[Path], dict[str, Any]]
    asks: str
    question: str
    leave: str
    toml: Callable[[str], str] = lambda _url: ""
    failing_s: float = 60.0
    limited_s: float = 60.0
    tells_money: bool = False
    tells_its_end: bool = True


def _claude_env(url: str) -> dict[str, str]:
    return {"ANTHROPIC_BASE_URL": url, "ANTHROPIC_API_KEY": "sk-ant-api03-for-a-server-on-this-machine"}


def _codex_toml(url: str) -> str:
    settings = {
        "name": "Local",
        "base_url": f"{url}/v1",
        "env_key": "OPENAI_API_KEY",
        "wire_api": "responses",
    }
    pairs = [f"{name} = {json.dumps(value)}" for name, value in settings.items()]
    pairs += ["request_max_retries = 1", "stream_max_retries = 1"]
    return CODEX_PROVIDER.replace("@PROVIDER@", f"model_providers.local={{{', '.join(pairs)}}}")


def _opencode_env(url: str) -> dict[str, str]:
    model = {"name": "M", "limit": {"context": 128000, "output": 8000}, "cost": {"input": 1.0, "output": 2.0}}
    provider = {
        "npm": "@ai-sdk/openai-compatible",
        "name": "Local",
        "options": {"baseURL": f"{url}/v1", "apiKey": "sk-test"},
        "models": {"m": model},
    }
    return {"OPENCODE_CONFIG_CONTENT": json.dumps({"provider": {"local": provider}})}


KITS = {
    "claude": Kit(
        name="claude",
        asks="Do you want to",
        question="Write",
        leave="/exit",
        tells_money=True,
        model="claude-sonnet-4-5",
        env=_claude_env,
        look=lambda cwd: {"name": "Read", "arguments": {"file_path": str(cwd / "seen.txt")}},
        ask=lambda cwd: {
            "name": "Write",
            "arguments": {"file_path": str(cwd / "made.txt"), "content": "made\n"},
        },
    ),
    "codex": Kit(
        name="codex",
        asks="Would you like to run the following",
        question="May I make the file",
        leave="/quit",
        model="gpt-5.5",
        env=lambda _url: {"OPENAI_API_KEY": "sk-test"},
        toml=_codex_toml,
        look=lambda _cwd: {"name": "exec_command", "arguments": {"cmd": "ls"}},
        ask=lambda cwd: {
            "name": "exec_command",
            "arguments": {
                "cmd": f"touch {cwd}/made.txt",
                "sandbox_permissions": "require_escalated",
                "justification": "May I make the file?",
            },
        },
    ),
    "gemini": Kit(
        name="gemini",
        asks=r"Apply this change\?",
        question="made.txt",
        leave="/quit",
        model="gemini-2.5-flash",
        env=lambda url: {"GOOGLE_GEMINI_BASE_URL": url, "GEMINI_API_KEY": "test-key"},
        look=lambda cwd: {"name": "list_directory", "arguments": {"dir_path": str(cwd)}},
        ask=lambda cwd: {
            "name": "write_file",
            "arguments": {"file_path": str(cwd / "made.txt"), "content": "made\n"},
        },
    ),
    "qwen": Kit(
        name="qwen",
        asks=r"Apply this change\?|Waiting for user confirmation",
        question="write_file",
        leave="/quit",
        model="qwen3-coder-plus",
        env=lambda url: {"OPENAI_BASE_URL": f"{url}/v1", "OPENAI_API_KEY": "sk-test"},
        look=lambda cwd: {"name": "list_directory", "arguments": {"path": str(cwd)}},
        ask=lambda cwd: {
            "name": "write_file",
            "arguments": {"file_path": str(cwd / "made.txt"), "content": "made\n"},
        },
        failing_s=170.0,
        limited_s=170.0,
    ),
    "opencode": Kit(
        name="opencode",
        tells_its_end=False,
        asks="Permission required",
        question="touch",
        leave="/exit",
        tells_money=True,
        model="local/m",
        env=_opencode_env,
        look=lambda _cwd: {"name": "glob", "arguments": {"pattern": "*.txt"}},
        ask=lambda cwd: {
            "name": "bash",
            "arguments": {"command": f"touch {cwd}/made.txt", "description": "Make a file"},
        },
        failing_s=150.0,
        limited_s=150.0,
    ),
}
