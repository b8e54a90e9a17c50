from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import spool
from agent.cli.params import parameters

if TYPE_CHECKING:
    from collections.abc import Callable

    from spool.workspace import Workspace

    Run = Callable[..., Any]


def tasks(workspace: Workspace) -> list[dict[str, Any]]:
    return [json.loads(path.read_bytes()) for path in sorted(workspace.tasks.glob("*.json"))]


def test_options_make_a_task_and_print_its_id(aispool: Run, workspace: Workspace) -> None:
    """What the options say stands in the dropped file, and the id alone is on stdout."""
    said = aispool(
        *("submit", "--tool", "shell", "--command", "echo $1", "-p", 'args=["a b"]', "--priority", "high"),
        *("--depends-on", "first", "--timeout", "30", "--id", "mine", "--label", "x", "--group", "g"),
        *("--weight", "2", "--retries", "3", "--backoff", "linear", "--not-before", "2026-11-30T22:00:00Z"),
        *("--expires-at", "2026-12-01T00:00:00Z"),
    )
    assert said.out == "mine\n"
    assert tasks(workspace) == [
        {
            "task_id": "mine",
            "tool": "shell",
            "command": "echo $1",
            "parameters": {"args": ["a b"]},
            "priority": "high",
            "dependencies": ["first"],
            "timeout": 30.0,
            "not_before": "2026-11-30T22:00:00Z",
            "expires_at": "2026-12-01T00:00:00Z",
            "labels": ["x"],
            "group": "g",
            "weight": 2,
            "retry_policy": {"max_retries": 3, "backoff": "linear"},
        }
    ]
    assert "no agent works here" in said.err


def test_a_task_without_an_id_gets_one(aispool: Run, workspace: Workspace) -> None:
    """The printed id is the one in the file, so that it can be waited for."""
    task_id = aispool("submit", "-t", "shell", "-c", "true").out.strip()
    assert [task["task_id"] for task in tasks(workspace)] == [task_id]


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("n=5", 5),
        ("n=true", True),
        ("n=null", None),
        ("n=[1]", [1]),
        ('n={"a":1}', {"a": 1}),
        ('n="5"', "5"),
        ("n=text", "text"),
        ("n=a=b", "a=b"),
        ("n=NaN", "NaN"),
        ("n=", ""),
        ("n=[1", "[1"),
    ],
)
def test_values_of_parameters(word: str, value: object) -> None:
    """JSON is taken as JSON, anything else as text."""
    assert parameters([word]) == {"n": value}


def test_a_prompt_is_always_text() -> None:
    """A prompt that looks like a number stays one."""
    assert parameters(["prompt=42", "cwd=1", "output=2"]) == {"prompt": "42", "cwd": "1", "output": "2"}


@pytest.mark.parametrize(
    "arguments", [[], ["x.json", "-t", "shell"], ["-t", "shell", "-c", "x", "-p", "novalue"]]
)
def test_what_makes_no_sense_is_usage(aispool: Run, arguments: list[str]) -> None:
    """Neither a file nor a task, both, or a parameter without a value."""
    aispool("submit", *arguments, code=2)


def test_files_are_dropped_as_they_are(aispool: Run, workspace: Workspace, tmp_path: Path) -> None:
    """A file with an id arrives byte for byte."""
    content = b'{"task_id":"a","tool":"shell",\n "command":"true"}'
    (tmp_path / "a.json").write_bytes(content)
    assert aispool("submit", tmp_path / "a.json").out == "a\n"
    assert (workspace.tasks / "a.json").read_bytes() == content


def test_one_bad_file_and_nothing_is_submitted(aispool: Run, workspace: Workspace, tmp_path: Path) -> None:
    """Each bad file is named with its place and remedy, and the good one is not dropped either."""
    (tmp_path / "good.json").write_text('{"tool":"shell","command":"true"}')
    (tmp_path / "cut.json").write_text('{"tool":"shell",\n "comm')
    (tmp_path / "unknown.json").write_text('{"tool":"shel","command":"true"}')
    said = aispool("submit", *sorted(tmp_path.glob("*.json")), code=1)
    assert "cut.json: the file ends in the middle" in said.err
    assert "line 2" in said.err
    assert "there is no tool 'shel'" in said.err
    assert "'shell'" in said.err
    assert said.out == ""
    assert tasks(workspace) == []


def test_a_missing_file_is_your_input(aispool: Run) -> None:
    """It exits with 1 and names the file."""
    assert "no-such.json" in aispool("submit", "no-such.json", code=1).err


def test_stdin(aispool: Run, workspace: Workspace, stdin: Callable[[bytes], None]) -> None:
    """`-` is a task on stdin."""
    stdin(b'{"tool": "shell", "command": "true"}')
    aispool("submit", "-")
    assert len(tasks(workspace)) == 1


def test_too_large_a_file_says_what_to_do(
    aispool: Run, workspace: Workspace, stdin: Callable[[bytes], None]
) -> None:
    """The limit is the agent's own."""
    (workspace.configs / "agent.toml").write_text("max_task_bytes = 1024\n")
    stdin(b" " * 2000)
    assert "--attach" in aispool("submit", "-", code=1).err


def test_an_id_that_was_used_is_refused_early(aispool: Run, over: Run, running: Run) -> None:
    """The agent would reject it; the command line says so at once, and how to do it right."""
    over("done")
    running("now")
    for task_id in ("done", "now"):
        said = aispool("submit", "-t", "shell", "-c", "true", "--id", task_id, code=1)
        assert "leave out task_id" in said.err


def test_attachments_travel_with_the_task(aispool: Run, workspace: Workspace, tmp_path: Path) -> None:
    """--attach makes NAME.files before NAME.json."""
    (tmp_path / "in.txt").write_text("hello")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "deep.txt").write_text("deep")
    attach = ("--attach", tmp_path / "in.txt", "--attach", tmp_path / "folder")
    aispool("submit", "-t", "shell", "-c", "cat in.txt", *attach)
    assert (workspace.tasks / "shell.files" / "in.txt").read_text() == "hello"
    assert (workspace.tasks / "shell.files" / "folder" / "deep.txt").read_text() == "deep"
    assert (workspace.tasks / "shell.json").exists()


def test_json(aispool: Run) -> None:
    """--json gives ids, paths and warnings."""
    document = aispool("submit", "-t", "shell", "-c", "true", "--id", "a", "--json").document
    (submitted,) = document["submitted"]
    assert submitted["task_id"] == "a"
    assert submitted["warnings"] == []


def test_a_misspelt_field_is_a_warning(aispool: Run, tmp_path: Path) -> None:
    """It is submitted, and the field that was meant is named."""
    (tmp_path / "a.json").write_text('{"tool":"shell","command":"true","priorty":"high"}')
    assert "did you mean 'priority'" in aispool("submit", tmp_path / "a.json").err


def test_dry_run_shows_what_would_run_and_drops_nothing(aispool: Run, workspace: Workspace) -> None:
    """Arguments readable and quoted, where, how long, in which session, and names of the environment only."""
    (workspace.configs / "env" / "shell.env").touch(mode=0o600)
    (workspace.configs / "env" / "shell.env").write_text("SECRET_TOKEN=hunter2\n")
    said = aispool("submit", "-t", "shell", "-c", "echo 'a b'", "--id", "x.1", "--timeout", "9", "--dry-run")
    assert "/bin/sh -c" in said.out
    assert "SECRET_TOKEN" in said.out
    assert "hunter2" not in said.out
    assert "9 s for each attempt" in said.out
    assert str(workspace.logs / "shell-x.1.log") in said.out
    assert "task-x" in said.out
    assert tasks(workspace) == []
    document = aispool("submit", "-t", "shell", "-c", "true", "--id", "x", "--dry-run", "--json").document
    (run,) = document["runs"]
    assert run["argv"][0] == "/bin/sh"
    assert run["cwd"] == str(workspace.root)
    assert "hunter2" not in json.dumps(document)


def test_dry_run_names_what_the_wrapper_adds(aispool: Run) -> None:
    """The names by which a tool finds its own task are part of its environment, and of the protocol."""
    document = aispool("submit", "-t", "shell", "-c", "true", "--id", "x", "--dry-run", "--json").document
    (run,) = document["runs"]
    ours = {name for name in run["env_names"] if name.startswith("AISPOOL_")}
    assert {"AISPOOL_SESSION", "AISPOOL_ARTIFACTS", "AISPOOL_ANSWERS", "AISPOOL_WAITING"} <= ours
    protocol = (Path(spool.__file__).parent / "README.md").read_text("utf-8")
    assert [name for name in sorted(ours) if f"`{name}`" not in protocol] == []


def test_dry_run_with_attachments_names_the_session(
    aispool: Run, workspace: Workspace, tmp_path: Path
) -> None:
    """The working folder is shown where it will be."""
    (tmp_path / "in.txt").write_text("x")
    said = aispool(
        "submit", "-t", "shell", "-c", "true", "--id", "x", "--attach", tmp_path / "in.txt", "--dry-run"
    )
    assert str(workspace.sessions / "x" / "files") in said.out
    assert "aispool-dry-run" not in said.out


def test_dry_run_of_what_is_not_installed(aispool: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """It says what to install, and exits with 1."""
    monkeypatch.setenv("PATH", "/nonexistent")
    said = aispool("submit", "-t", "gemini", "-p", "prompt=hello", "--dry-run", code=1)
    assert "not installed" in said.err
