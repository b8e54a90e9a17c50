from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from agent.tools.check import check
from agent.tools.registry import Registry
from spool.task import Task

if TYPE_CHECKING:
    from agent.config import AgentConfig
    from spool.workspace import Workspace

MEDIA = {"tool": "gemini", "command": "analyze-media"}
IN_A = {**MEDIA, "parameters": {"media_dir": "a"}}
ASK = {"tool": "gemini", "parameters": {"prompt": "what is this?"}}
RUN = {"tool": "shell", "command": "true"}
MINE = {"tool": "mine", "parameters": {"prompt": "what is this?"}}


def with_parameters(task: dict[str, Any], **parameters: Any) -> dict[str, Any]:
    return {**task, "parameters": {**task.get("parameters", {}), **parameters}}


@pytest.mark.parametrize(
    ("fields", "field", "what", "remedy"),
    [
        (
            {"tool": "gemeni", "command": "x"},
            "tool",
            "no tool 'gemeni'",
            "did you mean 'gemini'? known: aider, black",
        ),
        (
            {"tool": "gemini", "command": "analyse-media"},
            "command",
            "no command",
            "did you mean 'analyze-media'?",
        ),
        ({**ASK, "command": "chat"}, "command", "no command 'chat'", "leave command out"),
        ({"tool": "shell", "parameters": {"prompt": "x"}}, "command", "needs a command", "say what"),
        (MEDIA, "parameters.media_dir", "gemini analyze-media needs", "add it"),
        (with_parameters(MEDIA, media_dirs="x"), "parameters.media_dir", "is missing", "rename 'media_dirs'"),
        (with_parameters(MEDIA, media_dir=""), "parameters.media_dir", "is missing", "add it"),
        (with_parameters(MEDIA, media_dir=7), "parameters.media_dir", "is not a path", "write a path"),
        (with_parameters(MEDIA, media_dir=["a", 7]), "parameters.media_dir", "is not a path", "write a path"),
        (with_parameters(MEDIA, media_dir="/etc"), "parameters.media_dir", "/etc is not in", "allowed_paths"),
        (
            with_parameters(MEDIA, media_dir="a", analysis_types="text"),
            "parameters.analysis_types",
            "not a list",
            "[",
        ),
        (
            with_parameters(MEDIA, media_dir="a", output_format=None),
            "parameters.output_format",
            "is null",
            "markdown",
        ),
        (with_parameters(IN_A, dry_run=1), "parameters.dry_run", "a number, not true or false", "like false"),
        (with_parameters(IN_A, limits=[]), "parameters.limits", "a list, not an object", "like {}"),
        (MINE, "parameters.where", "which mine needs", "add it"),
        (with_parameters(ASK, model=["x"]), "parameters.model", "not a string", "the model's name"),
        (with_parameters(ASK, model="--yolo"), "parameters.model", "taken for an option", "something else"),
        (with_parameters(ASK, args=["--yolo"]), "parameters.args", "takes no args", "add $args"),
        (with_parameters(ASK, cwd="/etc"), "parameters.cwd", "/etc is not in", "allowed_paths"),
        (with_parameters(ASK, output="x.json"), "parameters.output", "directly in", "results/x.json"),
        (
            {**with_parameters(ASK, prompt="x" * 140_000), "tool": "crush"},
            None,
            "at most 131071",
            "NAME.files/",
        ),
        (with_parameters(RUN, args=["x" * 1000] * 3000), None, "more than the", "NAME.files/"),
        (with_parameters(RUN, args=["x" * 140_000]), None, "an argument is 140000 bytes", "NAME.files/"),
        ({**ASK, "env": {"PATH": "/x"}}, "env.PATH", "does not let a task set PATH", "env_allowed"),
        ({**ASK, "env": {"LD_PRELOAD": "/x"}}, "env.LD_PRELOAD", "LANG, LC_*", "take it out"),
        ({**ASK, "env": {"GEMINI_API_KEY": "x"}}, "env.GEMINI_API_KEY", "does not let", "take it out"),
        ({**RUN, "env": {"AISPOOL_TASK_ID": "x"}}, "env.AISPOOL_TASK_ID", "by aispool itself", "take it out"),
        ({"tool": "collab", "command": "securty"}, "command", "no command 'securty'", "'security'"),
        ({**ASK, "launcher": "process", "interactive": True}, "interactive", "needs a terminal", "tmux"),
        ({**RUN, "approval": "read-only"}, "approval", "no way to only read", "another approval"),
        ({**RUN, "resume": "x"}, "resume", "cannot go on", "leave resume out"),
        ({**ASK, "resume": "--yolo"}, "resume", "is not the id", "tool_session_id"),
    ],
)
def test_what_cannot_be_accepted(
    workspace: Workspace,
    config: AgentConfig,
    fields: dict[str, Any],
    field: str | None,
    what: str,
    remedy: str,
) -> None:
    """Every refusal says what, where and what to do."""
    (workspace.configs / "tools.toml").write_text(
        "[tools.gemini.defaults]\ndry_run = false\nlimits = {}\n"
        '[tools.mine]\nargv = ["/bin/echo", "--in=$where", "$prompt"]\n'
    )
    registry = Registry.load(workspace)
    refusal = registry.check(Task.model_validate(fields), workspace, config)
    assert refusal is not None
    assert refusal.field == field
    assert what in refusal.what
    assert remedy in refusal.remedy


@pytest.mark.parametrize(
    "fields",
    [
        ASK,
        RUN,
        {**ASK, "interactive": True, "launcher": "screen", "approval": "read-only", "env": {"LC_ALL": "C"}},
        {**RUN, "env": {"PATH": "/x", "LD_PRELOAD": "/x", "HOME": "/x", "https_proxy": "x", "ANY": "y"}},
        {**RUN, "launcher": "process"},
        {**ASK, "resume": "0b6c1f0e-1a2b-4c3d-8e9f-001122334455", "approval": "auto"},
        with_parameters(MEDIA, media_dir="not/there/yet", cwd="~/later"),
        with_parameters(MEDIA, media_dir=["a", "b"], prompt="only the new ones"),
        with_parameters(ASK, output="results/answer.md", anything={"else": [1]}),
    ],
)
def test_what_can_be_accepted(
    registry: Registry, workspace: Workspace, config: AgentConfig, fields: dict[str, Any]
) -> None:
    """Inputs may be made before the task runs, so they need not be there yet."""
    assert registry.check(Task.model_validate(fields), workspace, config) is None


def test_output_may_be_there_once_an_attempt_has_run(
    registry: Registry, workspace: Workspace, config: AgentConfig
) -> None:
    (workspace.results / "a.md").touch()
    task = Task.model_validate(with_parameters(ASK, output="results/a.md"))
    gemini = registry.get("gemini")
    assert gemini is not None
    assert check(gemini, task, workspace, config, None) is not None
    assert registry.check(task, workspace, config, output_must_be_new=False) is None


def test_a_pattern_does_not_allow_what_runs_other_code(
    workspace: Workspace, config: AgentConfig, registry: Registry
) -> None:
    gemini = registry.get("gemini")
    assert gemini is not None
    for allowed, name, fine in (
        (("*",), "ANYTHING", True),
        (("*",), "NODE_OPTIONS", False),
        (("N*",), "NODE_OPTIONS", False),
        (("*", "NODE_OPTIONS"), "NODE_OPTIONS", True),
        (("LD_*",), "LD_PRELOAD", True),
    ):
        tool = gemini.model_copy(update={"env_allowed": allowed})
        task = Task.model_validate({**ASK, "env": {name: "x"}})
        assert (check(tool, task, workspace, config, None) is None) is fine, (allowed, name)
