"""`aispool tools`: what is installed, which version, what is missing, and whether it answers."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, Any

import pytest

from agent.tools.executable import Program
from agent.tools.registry import Registry
from agent.tools.versions import asked_version, packaged_version

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from spool.workspace import Workspace

    Run = Callable[..., Any]

MYTOOL = """
[tools.mytool]
about = "a tool of our own"
path = "{path}"
argv = ["$executable", "$prompt"]

[tools.mytool.commands.explain]
required = ["path"]
prompt = "Explain $path."

[tools.gemini.commands.analyze-codebase]
prompt = "Look at $path, as $output_format."

[commands.changelog]
prompt = "Write it."
"""


@pytest.fixture(autouse=True)
def no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """The person's own keys are not the test's business."""
    for name in ("GEMINI_API_KEY", "GEMINI_KEY", "GOOGLE_API_KEY", "GOOGLE_GENAI_USE_VERTEXAI"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def program(tmp_path: Path) -> Callable[..., Path]:
    """Write an executable."""

    def make(text: str, name: str = "mytool") -> Path:
        path = tmp_path / "bin" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)
        return path

    return make


@pytest.fixture
def defined(workspace: Workspace, program: Callable[..., Path]) -> Callable[[str], Path]:
    """Define `mytool` as a script."""

    def define(text: str) -> Path:
        path = program(text)
        (workspace.configs / "tools.toml").write_text(MYTOOL.format(path=path))
        return path

    return define


@pytest.fixture
def gemini(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A gemini as npm installs it: a link into its package."""
    package = tmp_path / "lib" / "node_modules" / "@google" / "gemini-cli"
    (package / "dist").mkdir(parents=True)
    (package / "package.json").write_text(json.dumps({"name": "x", "version": "0.61.0", "bin": {}}))
    (package / "dist" / "package.json").write_text('{"type": "module", "version": "9"}')
    (package / "dist" / "index.js").write_text("#!/bin/false\n")
    (package / "dist" / "index.js").chmod(0o755)
    folder = tmp_path / "npm"
    folder.mkdir()
    (folder / "gemini").symlink_to(package / "dist" / "index.js")
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    return folder / "gemini"


def listed(aispool: Run, name: str, *options: str) -> dict[str, Any]:
    tools = aispool("tools", *options, "--json").document["tools"]
    return next(tool for tool in tools if tool["name"] == name)


def test_the_version_of_an_npm_package_needs_no_run(aispool: Run, gemini: Path) -> None:
    """It stands in package.json; a folder inside that only says how modules are written is passed."""
    assert packaged_version(gemini) == "0.61.0"
    assert listed(aispool, "gemini")["version"] == "0.61.0"


def test_a_tool_is_asked_for_its_version_on_request(aispool: Run, defined: Callable[[str], Path]) -> None:
    """Only with --versions is a program run."""
    defined('[ "$1" = --version ] && echo "mytool, version v1.2.3-beta.1 (linux)"')
    assert listed(aispool, "mytool")["version"] is None
    assert listed(aispool, "mytool", "--versions")["version"] == "1.2.3-beta.1"
    assert "1.2.3-beta.1" in aispool("tools", "show", "mytool").out


@pytest.mark.parametrize("text", ["sleep 60", "echo 1.2.3; exit 1", "echo none", "exec /nowhere"])
def test_a_tool_that_says_no_version(workspace: Workspace, defined: Callable[[str], Path], text: str) -> None:
    """One that hangs is ended, with what it started."""
    path = defined(text)
    tool = Registry.load(workspace).tools["mytool"]
    assert asked_version(tool, Program(path, "path"), 0.3) is None


@pytest.mark.usefixtures("gemini")
def test_a_missing_key_is_said(aispool: Run, workspace: Workspace) -> None:
    """Until there is one in its file, under any name that it takes; the value stays unread."""
    found = listed(aispool, "gemini")
    assert found["ready"] is False
    assert "no key (GEMINI_API_KEY" in found["problems"][0]["what"]
    assert "gemini.env" in found["problems"][0]["remedy"]
    secrets = workspace.configs / "env" / "gemini.env"
    secrets.write_text("GEMINI_KEY=s3cret\n")
    secrets.chmod(0o600)
    assert listed(aispool, "gemini")["ready"] is True
    assert "s3cret" not in aispool("tools", "--json").out + aispool("tools", "show", "gemini").out


@pytest.mark.usefixtures("gemini")
def test_a_prepared_login_is_enough(aispool: Run, workspace: Workspace) -> None:
    """A folder in which a person logged in; a task's own folder is none."""
    runners = workspace.configs / "runners" / "gemini"
    (runners / "task-a").mkdir(parents=True)
    assert listed(aispool, "gemini")["ready"] is False
    (runners / "work").mkdir()
    found = listed(aispool, "gemini")
    assert (found["ready"], found["logins"]) == (True, ["work"])
    assert "logins       work" in aispool("tools", "show", "gemini").out
    assert "only an agent hands out" in aispool("tools", "try", "gemini", code=1).err


def test_where_each_command_is_defined(aispool: Run, defined: Callable[[str], Path]) -> None:
    """Built in, of the workspace, or changed there, with the table to edit."""
    defined("true")
    gemini = aispool("tools", "show", "gemini", "--json").document["defined_in"]
    assert gemini["tool"] == "built in, changed by [tools.gemini] of configs/tools.toml"
    assert gemini["commands"]["analyze-media"] == "built in"
    assert gemini["commands"]["changelog"] == "[commands.changelog] of configs/tools.toml"
    changed = "built in, changed by [tools.gemini.commands.analyze-codebase] of configs/tools.toml"
    assert gemini["commands"]["analyze-codebase"] == changed
    shown = aispool("tools", "show", "mytool").out
    assert "defined      [tools.mytool] of configs/tools.toml" in shown
    assert "  [tools.mytool.commands.explain] of configs/tools.toml\n  | Explain $path." in shown
    assert "  | Look at $path, as $output_format." in aispool("tools", "show", "gemini").out


def test_a_try_without_an_agent(aispool: Run, workspace: Workspace, defined: Callable[[str], Path]) -> None:
    """The tool is called once, its answer printed, and nothing is left in the workspace."""
    defined('echo "$1: \033[31mready\033[0m"')
    said = aispool("tools", "try", "mytool").out
    assert said.startswith("mytool works: success: ")
    assert "answer       Answer with the word ready.: ready\n" in said
    assert "no agent works" in said
    assert [path for path in workspace.results.iterdir() if not path.name.startswith(".")] == []


def test_a_try_that_fails(aispool: Run, defined: Callable[[str], Path]) -> None:
    """1, with the outcome and the reason."""
    defined("echo 'no such model' >&2; exit 3")
    document = aispool("tools", "try", "mytool", "--json", code=1).document
    assert (document["works"], document["state"]) == (False, "failed")
    assert document["reason"]


def test_a_try_that_hangs_is_ended(aispool: Run, defined: Callable[[str], Path]) -> None:
    """At its time limit."""
    defined("exec sleep 300")
    document = aispool("tools", "try", "mytool", "--timeout", "1", "--json", code=1).document
    assert document["state"] == "timed_out"


@pytest.mark.usefixtures("agent_lives")
def test_a_try_where_an_agent_works(aispool: Run, workspace: Workspace, over: Run) -> None:
    """It is given a task, and what comes of it is told."""

    def work() -> None:
        for _ in range(600):
            if dropped := list(workspace.tasks.glob("*.json")):
                task_id = json.loads(dropped[0].read_text())["task_id"]
                over(task_id, text="ready", outcome="success")
                dropped[0].unlink()
                return
            done.wait(0.05)

    done = threading.Event()
    agent = threading.Thread(target=work)
    agent.start()
    said = aispool("tools", "try", "shell", "--json")
    agent.join(60)
    assert (said.document["tried_by"], said.document["text"]) == ("agent", "ready")


def test_a_tool_that_cannot_be_tried(aispool: Run) -> None:
    """An unknown one names the others."""
    assert "the tools are" in aispool("tools", "try", "nope", code=1).err
