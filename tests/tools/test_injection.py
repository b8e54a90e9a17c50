"""Nothing that a task contains becomes code, an option, or a template."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.tools.arguments import Arguments, arguments_of
from agent.tools.definition import ToolDefinition
from agent.tools.prompt import values_of
from spool.refusal import Refusal
from spool.task import Task

if TYPE_CHECKING:
    from pathlib import Path

    from spool.workspace import Workspace

    from .conftest import Execute, Install, Render

NASTY = [
    *("$(touch pwned)", "`touch pwned`", "; touch pwned", "| touch pwned", "a && touch pwned", "> pwned"),
    *(
        "'; touch pwned; '",
        '"; touch pwned; "',
        "a\ntouch pwned\n",
        "${path}",
        "$prompt",
        "$$",
        "{prompt}",
        "%s",
    ),
    *(
        "--yolo",
        "-m",
        "-",
        "--",
        "--prompt=x",
        "\\",
        "*",
        "~",
        "é\u202e🎈",
        "mcp",
        " leading",
        "\t",
        "#",
        "@/etc/passwd",
    ),
]
TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner),
    max_leaves=8,
)
TOOL = ToolDefinition.model_validate(
    {
        "name": "t",
        "executables": ["t"],
        "argv": ["$executable", ["-m", "$model"], "--at=$place", "$list", "$prompt"],
        "defaults": {"list": [], "place": "here"},
        "commands": {"look": {"prompt": "Look at $thing in $place.", "required": ["thing", "place"]}},
    }
)


@pytest.mark.parametrize("tool", ["crush", "blackbox", "qwen", "gemini"])
@pytest.mark.parametrize("nasty", NASTY)
def test_a_prompt_is_text(
    tool: str, nasty: str, install: Install, render: Render, execute: Execute, workspace: Workspace
) -> None:
    install(tool)
    record = execute(render({"tool": tool, "parameters": {"prompt": nasty}}))
    said = (record["words"] or [record["options"].get("-p") or record["options"].get("--prompt")])[0]
    assert said in (nasty, f" {nasty}")
    assert not set(record["options"]) & {"--yolo", "--prompt=x"}
    assert not (workspace.root / "pwned").exists()


@pytest.mark.parametrize("nasty", NASTY)
def test_a_parameter_is_text(
    nasty: str, install: Install, render: Render, execute: Execute, workspace: Workspace
) -> None:
    install("gemini")
    parameters = {"input_dir": ".", "task_type": nasty, "extra": {"of": [nasty]}}
    record = execute(render({"tool": "gemini", "command": "process-documents", "parameters": parameters}))
    prompt = record["options"]["-p"]
    assert f"What to do with each: {nasty}." in prompt
    told, _ = json.JSONDecoder().raw_decode(prompt.partition("as JSON:\n")[2])
    assert told["extra"] == {"of": [nasty]}
    assert not (workspace.root / "pwned").exists()


@pytest.mark.parametrize("nasty", NASTY)
def test_arguments_of_a_script_are_text(nasty: str, render: Render, workspace: Workspace) -> None:
    """The script itself is code: that is what `shell` is for. Its arguments are not."""
    script = 'printf "%s|" "$@"'
    invocation = render({"tool": "shell", "command": script, "parameters": {"args": [nasty, nasty]}})
    done = subprocess.run(invocation.argv, cwd=invocation.cwd, capture_output=True, text=True, check=True)
    assert done.stdout == f"{nasty}|{nasty}|"
    assert not (workspace.root / "pwned").exists()


def test_names_of_paths_are_text(
    workspace: Workspace, install: Install, render: Render, execute: Execute
) -> None:
    install("gemini")
    (workspace.root / "$(touch pwned) --yolo").mkdir()
    (workspace.root / "$(touch pwned) --yolo" / "a.png").touch()
    parameters = {"media_dir": "$(touch pwned) --yolo"}
    record = execute(render({"tool": "gemini", "command": "analyze-media", "parameters": parameters}))
    assert f"{workspace.root}/$(touch pwned) --yolo, sub-folders" in record["options"]["-p"]
    assert not (workspace.root / "pwned").exists()


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("workspace")


def rendered(root: Path, fields: dict[str, Any]) -> tuple[str, ...] | Refusal:
    task = Task.model_validate({"tool": "t", **fields})
    values = values_of(TOOL, task, task_id="t", workspace=root, files=None, inputs={}, executable="/bin/t")
    arguments = arguments_of(TOOL, values)
    return arguments if isinstance(arguments, Refusal) else arguments.argv


@given(thing=JSON, extra=st.dictionaries(TEXTS, JSON))
def test_no_value_is_lost(root: Path, thing: Any, extra: dict[str, Any]) -> None:
    """Each parameter can be read back out of the prompt as it went in."""
    reserved = {"prompt", "cwd", "output", "args", "model", "place", "list"}
    parameters = {"thing": thing, **{k: v for k, v in extra.items() if k not in reserved}}
    arguments = rendered(root, {"command": "look", "parameters": parameters})
    assert not isinstance(arguments, Refusal)
    told, _ = json.JSONDecoder().raw_decode(arguments[-1].rpartition("as JSON:\n")[2])
    assert told == parameters


@given(prompt=TEXTS, place=TEXTS, model=TEXTS, items=st.lists(TEXTS))
def test_each_value_is_one_argument(
    root: Path, prompt: str, place: str, model: str, items: list[str]
) -> None:
    """Nothing splits, nothing is expanded, and nothing of a task stands where an option could."""
    parameters = {"prompt": prompt, "place": place, "model": model, "list": items}
    arguments = rendered(root, {"parameters": parameters})
    if isinstance(arguments, Refusal):
        assert "taken for an option" in arguments.what
        assert any(value.startswith("-") for value in (model, *items))
        return
    assert arguments[:-1] == ("/bin/t", "-m", model, f"--at={place}", *items)
    assert arguments[-1] in (prompt, f" {prompt}")
    assert not arguments[-1].startswith("-")


@given(
    name=st.sampled_from(["executable", "workspace", "task_id", "approval", "session", "command"]), value=JSON
)
def test_a_parameter_cannot_take_the_place_of_ours(root: Path, name: str, value: Any) -> None:
    arguments = rendered(root, {"parameters": {"prompt": "what is this", name: value}})
    assert not isinstance(arguments, Refusal)
    assert arguments[0] == "/bin/t"


def test_two_dashes_end_options() -> None:
    tool = ToolDefinition.model_validate(
        {"name": "t", "executables": ["t"], "argv": ["$executable", "--", "$command", "$prompt", "$x"]}
    )
    values = {"executable": "/t", "command": "-c", "prompt": "-p", "x": ["-x", "--"]}
    arguments = arguments_of(tool, values)
    assert isinstance(arguments, Arguments)
    assert arguments.argv == ("/t", "--", "-c", "-p", "-x", "--")
