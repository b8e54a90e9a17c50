from __future__ import annotations

import json
import os
import uuid
from typing import TYPE_CHECKING, Any

import pytest

from spool.task import parse_task

if TYPE_CHECKING:
    from pathlib import Path

    from spool.workspace import Workspace

    from .conftest import Execute, Install, Refuse, Render

MEDIA = {"tool": "gemini", "command": "analyze-media"}
ASK = {"tool": "gemini", "parameters": {"prompt": "what is this?"}}
SAMPLES = [
    "blackbox-generate-api",
    "crush-analyze-project",
    "gemini-analyze-media",
    "qwen-process-documents",
    "task-001",
]


def said_to(record: dict[str, Any]) -> str:
    options = record["options"]
    return str((record["words"] or [options.get("-p") or options.get("--prompt")])[0])


@pytest.mark.parametrize("name", SAMPLES)
def test_every_parameter_of_a_real_task_arrives(
    name: str,
    sample_tasks: list[Path],
    home: Path,
    workspace: Workspace,
    install: Install,
    render: Render,
    execute: Execute,
) -> None:
    """The five tasks of real clients, run by executables that refuse unknown flags."""
    (source,) = [path for path in sample_tasks if path.stem == name]
    text = source.read_text()
    for absolute in ("/path/to/project", "/home/user/project"):
        text = text.replace(absolute, str(home / "project"))
    (home / "project").mkdir()
    for folder in ("assets", "documents"):
        (workspace.root / folder).mkdir()
        (workspace.root / folder / "a.txt").touch()
    (workspace.root / "openapi-spec.yaml").touch()
    parsed = parse_task(text.encode())
    assert isinstance(parsed, tuple), parsed
    install(parsed[0].tool)
    invocation = render(json.loads(text))
    record = execute(invocation)
    prompt = said_to(record)
    marker = "Parameters of this task, as JSON:\n"
    told, _ = json.JSONDecoder().raw_decode(prompt.partition(marker)[2])
    for parameter, value in parsed[0].parameters.items():
        assert told[parameter] == value
    for path in parsed[0].parameters.values():
        if isinstance(path, str) and (workspace.root / path).exists():
            assert os.path.realpath(workspace.root / path) in prompt, "where a path leads is said as well"
    assert record["stdin"] == ""
    assert record["cwd"] == str(workspace.root)
    assert "$" not in prompt


@pytest.mark.parametrize(
    ("task", "arguments"),
    [
        ({"tool": "crush"}, ["run", "-q", "what is this?"]),
        ({"tool": "crush", "model": "a/b"}, ["run", "-q", "-m", "a/b", "what is this?"]),
        ({"tool": "blackbox"}, ["--prompt", "what is this?"]),
        ({"tool": "blackbox", "approval": "auto"}, ["--yolo", "--prompt", "what is this?"]),
        (
            {"tool": "qwen"},
            [
                *("--approval-mode", "default", "--session-id", "ID", "--auth-type", "openai"),
                *("--output-format", "stream-json", "what is this?"),
            ],
        ),
        (
            {"tool": "qwen", "model": "m", "approval": "read-only"},
            [
                *("--model", "m", "--approval-mode", "plan", "--session-id", "ID", "--auth-type", "openai"),
                *("--output-format", "stream-json", "what is this?"),
            ],
        ),
        (
            {"tool": "gemini"},
            [
                *("--approval-mode", "default", "--session-id", "ID"),
                *("--output-format", "stream-json", "-p", "what is this?"),
            ],
        ),
        (
            {"tool": "gemini", "model": "m", "approval": "auto"},
            [
                *("-m", "m", "--approval-mode", "yolo", "--session-id", "ID"),
                *("--output-format", "stream-json", "-p", "what is this?"),
            ],
        ),
        (
            {"tool": "gemini", "resume": "old"},
            [
                *("--approval-mode", "default", "--resume", "old"),
                *("--output-format", "stream-json", "-p", "what is this?"),
            ],
        ),
        (
            {"tool": "claude", "approval": "auto"},
            [
                *("-p", "--output-format", "stream-json", "--verbose", "--permission-mode"),
                *("bypassPermissions", "--session-id", "ID", "--", "what is this?"),
            ],
        ),
        (
            {"tool": "claude", "approval": "read-only", "resume": "old"},
            [
                *("-p", "--output-format", "stream-json", "--verbose", "--permission-mode", "dontAsk"),
                *("--allowedTools", "Read", "Grep", "Glob"),
                *("--disallowedTools", "Bash", "Edit", "Write", "NotebookEdit"),
                *("--resume", "old", "--", "what is this?"),
            ],
        ),
        (
            {"tool": "codex", "model": "m"},
            [
                *("exec", "--json", "--skip-git-repo-check", "-m", "m", "-s", "read-only"),
                *("-c", "approval_policy=on-request", "--", "what is this?"),
            ],
        ),
        (
            {"tool": "codex", "approval": "read-only", "resume": "old"},
            [
                *("exec", "--json", "--skip-git-repo-check", "-s", "read-only"),
                *("-c", "approval_policy=never", "resume", "old", "--", "what is this?"),
            ],
        ),
        ({"tool": "opencode"}, ["run", "--format", "json", "--", "what is this?"]),
        (
            {"tool": "opencode", "approval": "read-only", "resume": "old"},
            ["run", "--format", "json", "--agent", "plan", "-s", "old", "--", "what is this?"],
        ),
        (
            {"tool": "opencode", "approval": "auto", "model": "a/b"},
            ["run", "--format", "json", "-m", "a/b", "--auto", "--", "what is this?"],
        ),
        (
            {"tool": "aider"},
            [
                *("--no-pretty", "--no-stream", "--no-fancy-input", "--no-suggest-shell-commands"),
                *("--dry-run", "--no-auto-commits", "--no-dirty-commits", "--message", "what is this?"),
            ],
        ),
        ({"tool": "crush", "resume": "old"}, ["run", "-q", "-s", "old", "what is this?"]),
    ],
)
def test_command_lines(
    task: dict[str, Any], arguments: list[str], install: Install, render: Render, execute: Execute
) -> None:
    """A prompt alone arrives word for word, and nothing that was not asked for beside it."""
    program = install(task["tool"])
    model = {"model": task.pop("model")} if "model" in task else {}
    invocation = render({**task, "parameters": {"prompt": "what is this?", **model}})
    assert invocation.argv[0] == str(program)
    shown = ["ID" if word == invocation.tool_session_id != "old" else word for word in invocation.argv[1:]]
    assert shown == arguments
    execute(invocation)


def test_a_new_conversation_gets_an_id_and_an_interrupted_one_goes_on(
    install: Install, render: Render
) -> None:
    install("gemini")
    first, second = render(ASK), render(ASK)
    assert first.tool_session_id
    assert str(uuid.UUID(first.tool_session_id)) == first.tool_session_id
    assert first.tool_session_id != second.tool_session_id
    again = render(ASK, resume=first.tool_session_id)
    assert again.tool_session_id == first.tool_session_id
    assert again.argv[-6:] == (
        *("--resume", first.tool_session_id, "--output-format", "stream-json"),
        *("-p", "Continue where you stopped."),
    )


def test_a_tool_that_cannot_go_on_says_so(install: Install, render: Render, refuse: Refuse) -> None:
    install("blackbox")
    task = {**ASK, "tool": "blackbox"}
    assert render(task).tool_session_id is None
    assert "cannot go on" in refuse(task, resume="x").what


def test_shell_gets_script_and_arguments_as_they_are(render: Render) -> None:
    script = '-x; printf %s "$1"'
    args = ["--flag", "$HOME", "a b", -5, 1.5, True]
    invocation = render({"tool": "shell", "command": script, "parameters": {"args": args, "count": [1]}})
    assert invocation.argv == (
        *("/bin/sh", "-c", "--", script, "task-1"),
        *("--flag", "$HOME", "a b", "-5", "1.5", "true"),
    )
    assert json.loads(invocation.env["AISPOOL_PARAMETERS"]) == {"count": [1]}


def test_the_prompt_of_a_command_and_the_task_are_both_said(
    workspace: Workspace, install: Install, render: Render
) -> None:
    install("gemini")
    (workspace.root / "in").mkdir()
    (workspace.root / "in" / "a.png").touch()
    parameters = {"media_dir": "in", "prompt": "Leave the videos out.", "output": "results/media.md"}
    invocation = render({**MEDIA, "parameters": parameters})
    prompt = invocation.argv[-1]
    assert prompt.startswith(f"Analyse the media files in {workspace.root}/in, sub-folders included.")
    assert "Further instructions:\nLeave the videos out.\n" in prompt
    assert '"analysis_types": [\n' in prompt, "defaults are said too"
    assert "do not write that file yourself" in prompt
    assert invocation.output_path == workspace.results / "media.md"


def test_the_files_of_a_task_come_first(workspace: Workspace, install: Install, render: Render) -> None:
    """They are the working folder, and where relative paths are looked for."""
    install("gemini")
    files = workspace.sessions / "t" / "files"
    for folder in (files / "in", workspace.root / "in"):
        folder.mkdir(parents=True)
        (folder / "a.png").touch()
    task = {**MEDIA, "parameters": {"media_dir": "in"}}
    invocation = render(task, files_folder=files)
    assert invocation.cwd == files
    assert invocation.env["AISPOOL_FILES"] == str(files)
    assert f'"media_dir": "{files}/in"' in invocation.argv[-1]
    install("crush")
    assert render({**ASK, "tool": "crush"}, files_folder=files).cwd == workspace.root, "crush is run there"


def test_cwd_of_the_task_wins(home: Path, workspace: Workspace, install: Install, render: Render) -> None:
    install("crush")
    (home / "project").mkdir()
    (workspace.root / "link").symlink_to(home / "project")
    for cwd in ("~/project", str(home / "project"), "link"):
        task = {"tool": "crush", "parameters": {"prompt": "what is this?", "cwd": cwd}}
        assert render(task).cwd == home / "project"


@pytest.mark.parametrize(
    ("task", "what"),
    [
        (
            {**MEDIA, "parameters": {"media_dir": "no"}},
            "input not found: no",
        ),
        ({"tool": "gemini", "parameters": {"prompt": "what is", "cwd": "~/no"}}, "input not found: ~/no"),
        ({"tool": "gone", "parameters": {"prompt": "what is"}}, "there is no tool 'gone'"),
        ({"tool": "crush", "parameters": {"prompt": "what is"}}, "crush is not installed: no crush on"),
        ({"tool": "qwen", "parameters": {"prompt": "what is"}}, "no qwen or qwen-cli on the agent's PATH"),
    ],
)
def test_what_is_missing_at_launch(task: dict[str, Any], what: str, install: Install, refuse: Refuse) -> None:
    install("gemini")
    assert what in refuse(task).what


def test_a_missing_input_of_a_list_is_named(workspace: Workspace, install: Install, refuse: Refuse) -> None:
    install("gemini")
    (workspace.root / "a").mkdir()
    task = {**MEDIA, "parameters": {"media_dir": ["a", "b"]}}
    assert refuse(task).what.startswith("input not found: b ")


def test_second_name_of_a_program(install: Install, render: Render, programs: Path) -> None:
    """gemini-cli is taken where there is no gemini."""
    install("gemini", "gemini-cli")
    assert render(ASK).argv[0] == str(programs / "gemini-cli")


def test_virtual_environment_comes_first(
    home: Path, install: Install, render: Render, execute: Execute
) -> None:
    install("qwen")
    folder = home / "qwen-env" / "bin"
    folder.mkdir(parents=True)
    program = install("qwen", "qwen-cli", folder)
    invocation = render({**ASK, "tool": "qwen"})
    assert invocation.argv[0] == str(program)
    record = execute(invocation)
    assert record["env"]["VIRTUAL_ENV"] == str(home / "qwen-env")
    assert record["env"]["PATH"].startswith(f"{folder}:")


def test_path_of_tools_toml_wins(
    home: Path, workspace: Workspace, install: Install, render: Render, refuse: Refuse
) -> None:
    """Its folder is on the tool's PATH, since an interpreter often lies beside it."""
    install("gemini")
    program = install("gemini", "own", home)
    (workspace.configs / "tools.toml").write_text('[tools.gemini]\npath = "~/own"\n')
    invocation = render(ASK)
    assert invocation.argv[0] == str(program)
    assert invocation.env["PATH"].split(":")[-1] == str(home)
    program.chmod(0o600)
    assert "mend tools.gemini.path" in refuse(ASK).remedy


def test_relative_folders_of_path_are_not_searched(install: Install, refuse: Refuse, programs: Path) -> None:
    """A task chooses its folder: a program in there must not be taken."""
    install("gemini")
    relative = os.path.relpath(programs)
    assert "not installed" in refuse(ASK, search_path=f"{relative}::.").what


def test_set_up_runs_where_it_is_installed(
    workspace: Workspace, install: Install, render: Render, refuse: Refuse, programs: Path
) -> None:
    install("blackbox")
    task = {**ASK, "tool": "blackbox"}
    assert render(task).setup_argv == ()
    install("blackbox", "blackbox-cli")
    assert render(task).setup_argv == (str(programs / "blackbox-cli"), "auth")
    (workspace.configs / "tools.toml").write_text(
        '[tools.blackbox]\nsetup = ["no-such-program"]\nsetup_optional = false\n'
    )
    assert "no-such-program, which sets blackbox up, is not installed" in refuse(task).what


def test_secrets_are_named_and_not_read(workspace: Workspace, install: Install, render: Render) -> None:
    install("gemini")
    file = workspace.configs / "env" / "gemini.env"
    file.write_text("# a key\nexport GEMINI_KEY=s3cret\nOTHER='x y'\nnot an assignment\n")
    file.chmod(0o600)
    invocation = render({**ASK, "env": {"LANG": "C"}})
    assert invocation.env_files == (str(file),)
    assert invocation.env_aliases == {"GEMINI_API_KEY": ("GEMINI_KEY",)}
    assert "s3cret" not in repr(invocation)
    assert {"GEMINI_KEY", "GEMINI_API_KEY", "OTHER", "LANG", "PATH"} <= set(invocation.env_names())


def test_secrets_that_others_may_read_stop_the_launch(
    workspace: Workspace, install: Install, refuse: Refuse
) -> None:
    install("gemini")
    file = workspace.configs / "env" / "gemini.env"
    file.write_text("A=b\n")
    file.chmod(0o640)
    assert refuse(ASK).remedy == f"run: chmod 600 {file}"
    file.unlink()
    file.mkdir()
    assert "not a regular file" in refuse(ASK).what
    (workspace.configs / "tools.toml").write_text('[tools.gemini]\nenv_file = "~/no.env"\n')
    assert "is missing, which env_file of tools.gemini names" in refuse(ASK).what


def test_secrets_of_another_user_stop_the_launch(
    workspace: Workspace, install: Install, refuse: Refuse, monkeypatch: pytest.MonkeyPatch
) -> None:
    install("gemini")
    file = workspace.configs / "env" / "gemini.env"
    file.write_text("A=b\n")
    monkeypatch.setattr("agent.tools.environment.os.geteuid", lambda: os.getuid() + 1)
    assert "belongs to another user" in refuse(ASK).what


def test_program_written_into_argv(
    workspace: Workspace, install: Install, render: Render, refuse: Refuse
) -> None:
    program = install("crush")
    setup = install("crush", "login")
    mine = f'[tools.mine]\nargv = ["{program}", "run", "$prompt"]\nsetup = ["{setup}"]\n'
    (workspace.configs / "tools.toml").write_text(mine)
    task = {"tool": "mine", "parameters": {"prompt": "what is this?"}}
    assert render(task).argv == (str(program), "run", "what is this?")
    assert render(task).setup_argv == (str(setup),)
    setup.unlink()
    assert "is not installed" in refuse(task).what
    program.unlink()
    assert refuse(task).what == f"{program} cannot be run"
    (workspace.configs / "tools.toml").write_text(mine + 'cwd = "/no/such/folder"\n')
    assert refuse(task).what == "/no/such/folder is not a folder"


def test_environment_of_ours_wins(install: Install, render: Render, workspace: Workspace) -> None:
    """The tool's values come under the task's, and both under ours."""
    install("gemini")
    (workspace.configs / "tools.toml").write_text(
        '[tools.gemini.env]\nLANG = "a"\nTZ = "b"\nAISPOOL_TOOL = "c"\n'
    )
    env = render({**ASK, "env": {"LANG": "d"}}).env
    assert (env["LANG"], env["TZ"], env["AISPOOL_TOOL"]) == ("d", "b", "gemini")
    assert env["AISPOOL_WORKSPACE"] == str(workspace.root)
    assert env["AISPOOL_TASK_ID"] == "task-1"


def test_a_value_that_no_variable_holds(refuse: Refuse) -> None:
    task = {"tool": "shell", "command": "true", "env": {"BIG": "x" * 140_000}}
    assert "at most 131071 in one variable" in refuse(task).what


def test_limits_of_task_tool_and_agent(workspace: Workspace, render: Render) -> None:
    task: dict[str, Any] = {"tool": "shell", "command": "true"}
    assert render(task).timeout_s == 3600
    (workspace.configs / "agent.toml").write_text("timeout_s = 10\nmax_output_bytes = 5000\n")
    assert (render(task).timeout_s, render(task).max_output_bytes) == (10, 5000)
    (workspace.configs / "tools.toml").write_text(
        '[tools.shell]\ntimeout_s = 20\nmax_output_bytes = 4000\noutput = "none"\ncwd = "~/no"\n'
    )
    (workspace.root.parent / "home" / "no").mkdir()
    invocation = render(task)
    assert (invocation.timeout_s, invocation.max_output_bytes, invocation.output) == (20, 4000, "none")
    assert invocation.cwd == workspace.root.parent / "home" / "no"
    assert render({**task, "timeout": 30}).timeout_s == 30
    assert render({**task, "interactive": True}).interactive
