"""What a tool is given besides its prompt: files, folders, its private folder, and a prompt that is long."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from spool.workspace import Workspace

    from .conftest import Install, Refuse, Render

MINE = """
[tools.mine]
path = "/bin/true"
argv = ["$executable", "$folders", "--home=$config_dir", "--", "$prompt"]
interactive_argv = ["$executable", "--talk", ["$prompt"]]
folder_argv = ["--add", "$folder"]
paths = ["more"]

[tools.mine.commands.look]
paths = ["where"]
lists = "where"
required = ["where"]
prompt = "Look at:\\n$listing"

[tools.mine.commands.each]
paths = ["where"]
lists = "where"
batched = true
required = ["where"]
defaults = { batch_size = 2 }
prompt = "Each of:\\n$listing"
"""


@pytest.fixture
def mine(workspace: Workspace) -> Path:
    (workspace.configs / "tools.toml").write_text(MINE)
    folder = workspace.root / "in"
    folder.mkdir()
    for name in "abc":
        (folder / f"{name}.txt").write_text("12345")
    return folder


def task(command: str = "", /, **parameters: Any) -> dict[str, Any]:
    return {"tool": "mine", "command": command, "parameters": parameters}


def test_the_files_are_listed_with_their_sizes(mine: Path, render: Render) -> None:
    prompt = render(task("look", where="in")).argv[-1]
    assert prompt.startswith(f"Look at:\n- {mine}/a.txt (5 bytes)\n- {mine}/b.txt (5 bytes)\n")


def test_folders_outside_of_its_own_are_opened_for_it(
    mine: Path, home: Path, workspace: Workspace, render: Render
) -> None:
    (home / "other").mkdir()
    (home / "other" / "file").touch()
    here = task("look", where="in")
    assert render(here).argv[1:3] == (f"--home={workspace.configs}/runners/mine/task-task-1", "--")
    there = task("look", where=str(mine), more=["~/other/file", "~/other"], cwd="~/other")
    assert render(there).argv[1:3] == ("--add", str(mine))
    files = workspace.sessions / "t" / "files"
    files.mkdir(parents=True)
    there = task("look", where=str(mine), more=["~/other/file"], cwd=str(mine))
    assert render(there, files_folder=files).argv[1:5] == ("--add", str(home / "other"), "--add", str(files))


def test_a_private_folder_is_named_where_it_is_used(mine: Path, workspace: Workspace, render: Render) -> None:
    assert mine.is_dir()
    invocation = render(task(prompt="what is this?"))
    assert invocation.config_dir == workspace.configs / "runners" / "mine" / "task-task-1"
    assert invocation.env["AISPOOL_CONFIG"] == str(invocation.config_dir)
    login = workspace.configs / "runners" / "mine" / "login"
    assert render(task(prompt="what is this?"), config_dir=login).argv[1] == f"--home={login}"
    shell = {"tool": "shell", "command": "true"}
    assert render(shell).config_dir is None
    assert not (workspace.configs / "runners").exists(), "nothing is made to find out"


def test_parts_of_a_batch(mine: Path, workspace: Workspace, render: Render, refuse: Refuse) -> None:
    """Each call says which part it is; one with all files fits a single call."""
    invocation = render(task("each", where="in"))
    assert [len(call.files) for call in invocation.calls] == [2, 1]
    assert "This is part 2 of 2" in invocation.calls[1].argv[-1]
    assert f"- {mine}/c.txt" in invocation.calls[1].argv[-1]
    assert f"- {mine}/a.txt" not in invocation.calls[1].argv[-1]
    assert invocation.argv[-1] == str(workspace.sessions / "task-1" / "attempts" / "001")
    assert render(task("each", where="in", batch_size=3)).calls == ()
    assert render({**task("each", where="in"), "interactive": True}).calls == ()
    for size in (0, -1, 1.5):
        assert refuse(task("each", where="in", batch_size=size)).field == "parameters.batch_size"
    for file in mine.iterdir():
        file.unlink()
    assert "there are no regular files" in refuse(task("each", where="in")).what


def test_no_conversation_goes_on_in_many_calls(
    workspace: Workspace, install: Install, refuse: Refuse
) -> None:
    install("gemini")
    (workspace.root / "in").mkdir()
    for number in range(11):
        (workspace.root / "in" / f"{number}.txt").touch()
    given = {"tool": "gemini", "command": "process-documents", "parameters": {"input_dir": "in"}}
    assert refuse({**given, "resume": "old"}).field == "resume"


def test_a_person_in_front_of_it(mine: Path, render: Render) -> None:
    assert mine.is_dir()
    given = task(prompt="what is this?")
    assert render({**given, "interactive": True}).argv == ("/bin/true", "--talk", "what is this?")
    assert "--talk" not in render(given).argv


@pytest.mark.parametrize("tool", ["claude", "codex", "gemini", "opencode", "qwen"])
def test_long_prompts_go_on_standard_input(tool: str, programs: Path, render: Render, refuse: Refuse) -> None:
    """Without an argument in their place; in a terminal there is no way for them."""
    (programs / tool).write_text("#!/bin/sh\n")
    (programs / tool).chmod(0o755)
    prompt = "word " * 200_000
    given = {"tool": tool, "parameters": {"prompt": prompt}}
    invocation = render(given)
    assert invocation.stdin == prompt.encode()
    assert not [word for word in invocation.argv if not word or word == "--" or word.startswith("word")]
    short = render({"tool": tool, "parameters": {"prompt": "a short one"}})
    assert short.stdin is None
    assert short.argv[-1] == "a short one"
    assert "without interactive" in refuse({**given, "interactive": True}).remedy


def test_long_prompts_of_a_tool_that_cannot(install: Install, refuse: Refuse) -> None:
    install("blackbox")
    refused = refuse({"tool": "blackbox", "parameters": {"prompt": "word " * 200_000}})
    assert "at most 131071 in one argument" in refused.what


def test_a_parameter_named_like_our_script(mine: Path, workspace: Workspace, render: Render) -> None:
    """Only a tool that may be given a script has a variable of that name."""
    assert mine.is_dir()
    (workspace.configs / "tools.toml").write_text(
        '[tools.own]\npath = "/bin/true"\nargv = ["$executable", "$prompt", "--x=$script"]\n'
    )
    invocation = render({"tool": "own", "parameters": {"prompt": "what is this?", "script": "s"}})
    assert invocation.argv[-1] == "--x=s"
