from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import pytest

from agent.config import AgentConfig, load
from agent.tools.invocation import Invocation
from agent.tools.registry import Registry
from spool.refusal import Refusal
from spool.task import Task

if TYPE_CHECKING:
    from spool.workspace import Workspace

STAND_IN = """#!{python} -IS
import json, os, sys
SPEC = json.loads({spec!r})
rest, words, options = sys.argv[1:], [], {{}}
def die(text):
    print(text, file=sys.stderr)
    raise SystemExit(2)
if SPEC["subcommand"]:
    if rest[:1] != [SPEC["subcommand"]]:
        die("unknown command")
    rest = rest[1:]
while rest:
    word = rest.pop(0)
    if word == "--":
        words += rest
        break
    if word in SPEC["lists"]:
        options[word] = []
        while rest and not rest[0].startswith("-"):
            options[word].append(rest.pop(0))
    elif word in SPEC["values"]:
        if not rest or rest[0].startswith("-"):
            die("not enough arguments following: " + word)
        options[word] = rest.pop(0)
        if SPEC["resume"] and rest[:1] == ["resume"]:
            options["resume"] = rest[1]
            rest = rest[2:]
    elif word in SPEC["flags"]:
        options[word] = True
    elif word.startswith("-"):
        die("unknown flag: " + word)
    else:
        words.append(word)
if len(words) != SPEC["words"]:
    die("wrong number of arguments")
record = dict(argv=sys.argv, words=words, options=options, env=dict(os.environ), cwd=os.getcwd(),
              stdin=sys.stdin.read())
with open(__file__ + ".json", "w") as file:
    json.dump(record, file)
"""

SPECS: dict[str, dict[str, Any]] = {
    "crush": {"subcommand": "run", "values": ["-m", "-s"], "flags": ["-q"], "words": 1},
    "blackbox": {"values": ["--prompt", "--model", "--approval-mode"], "flags": ["--yolo"], "words": 0},
    "qwen": {
        "values": [
            *(
                "--model",
                "--approval-mode",
                "--session-id",
                "--resume",
                "--auth-type",
                "--output-format",
                "-i",
            ),
        ],
        "flags": [],
        "words": 1,
    },
    "gemini": {
        "values": [
            *("-m", "-p", "-i", "--approval-mode", "--session-id", "--resume", "--output-format"),
        ],
        "flags": [],
        "words": 0,
    },
    "claude": {
        "values": ["--output-format", "--model", "--permission-mode", "--session-id", "--resume"],
        "lists": ["--allowedTools", "--disallowedTools"],
        "flags": ["-p", "--verbose"],
        "words": 1,
    },
    "codex": {
        "subcommand": "exec",
        "values": ["-m", "-s", "-c"],
        "flags": ["--json", "--skip-git-repo-check"],
        "words": 1,
        "resume": True,
    },
    "opencode": {
        "subcommand": "run",
        "values": ["--format", "-m", "-s", "--agent"],
        "flags": ["--auto"],
        "words": 1,
    },
    "aider": {
        "values": ["--model", "--message", "--chat-mode"],
        "flags": [
            *("--no-pretty", "--no-stream", "--no-fancy-input", "--no-suggest-shell-commands", "--dry-run"),
            *("--no-auto-commits", "--no-dirty-commits", "--yes-always"),
        ],
        "words": 0,
    },
}


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home folder of the test's own, so that nothing installed here is found."""
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.setenv("HOME", str(folder))
    return folder


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """The folder on PATH in which stand-ins are installed."""
    folder = tmp_path / "programs"
    folder.mkdir()
    return folder


class Install(Protocol):
    def __call__(self, tool: str, name: str | None = None, folder: Path | None = None) -> Path: ...


@pytest.fixture
def install(programs: Path) -> Install:
    """Make an executable with a tool's command line: exit 2 on an unknown flag, else all it got as JSON."""

    def make(tool: str, name: str | None = None, folder: Path | None = None) -> Path:
        file = (folder or programs) / (name or tool)
        spec = json.dumps({"subcommand": None, "lists": [], "resume": False, **SPECS[tool]})
        file.write_text(STAND_IN.format(python=sys.executable, spec=spec))
        file.chmod(0o755)
        return file

    return make


@pytest.fixture
def config(workspace: Workspace) -> AgentConfig:
    return load(workspace)


@pytest.fixture
def registry(workspace: Workspace) -> Registry:
    return Registry.load(workspace)


class Render(Protocol):
    def __call__(self, _task: dict[str, Any] | None = None, /, **how: Any) -> Invocation: ...


class Refuse(Protocol):
    def __call__(self, _task: dict[str, Any] | None = None, /, **how: Any) -> Refusal: ...


def _render(workspace: Workspace, programs: Path, fields: dict[str, Any], how: dict[str, Any]) -> Any:
    registry = Registry.load(workspace)
    config = load(workspace)
    task = Task.model_validate(fields)
    how = {"task_id": "task-1", "search_path": f"{programs}:/usr/bin:/bin", **how}
    refused = registry.check(task, workspace, config, how.get("files_folder"))
    return refused or registry.invocation(task, workspace, config, **how)


@pytest.fixture
def render(workspace: Workspace, programs: Path) -> Render:
    """Return how a task is run; it must not be refused."""

    def rendered(_task: dict[str, Any] | None = None, /, **how: Any) -> Invocation:
        invocation = _render(workspace, programs, _task or {}, how)
        assert isinstance(invocation, Invocation), invocation
        return invocation

    return rendered


@pytest.fixture
def refuse(workspace: Workspace, programs: Path) -> Refuse:
    """Return why a task is refused, when it is accepted or when it is launched."""

    def refused(_task: dict[str, Any] | None = None, /, **how: Any) -> Refusal:
        refusal = _render(workspace, programs, _task or {}, how)
        assert isinstance(refusal, Refusal), refusal
        assert refusal.remedy
        return refusal

    return refused


class Execute(Protocol):
    def __call__(self, invocation: Invocation) -> dict[str, Any]: ...


@pytest.fixture
def execute() -> Execute:
    """Run a stand-in as a wrapper would; return what it was given."""

    def executed(invocation: Invocation) -> dict[str, Any]:
        done = subprocess.run(
            invocation.argv,
            cwd=invocation.cwd,
            env={**os.environ, **invocation.env},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        record: dict[str, Any] = json.loads(Path(f"{invocation.argv[0]}.json").read_text())
        return record

    return executed
