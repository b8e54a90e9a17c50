"""What can be refused before a task is claimed: each rule looks at one thing and says what to do.

The same rules run again at launch, since links, configuration and definitions may have changed.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import replace
from typing import TYPE_CHECKING

from agent.cluster import NO_TERMINAL
from agent.tools.arguments import arguments_of, is_empty
from agent.tools.asking import batch_size
from agent.tools.environment import env_refusal
from agent.tools.parameters import given_paths, missing, parameter_refusal
from agent.tools.paths import Places, locate, output_file, working_folder
from agent.tools.prompt import values_of
from spool.refusal import Refusal

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from agent.config import AgentConfig
    from agent.tools.definition import ToolDefinition
    from spool.task import Task
    from spool.workspace import Workspace

_SESSION_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,199}")
_PLACEHOLDER_ID = "0" * 36


def check(
    tool: ToolDefinition,
    task: Task,
    workspace: Workspace,
    config: AgentConfig,
    files: Path | None,
    *,
    output_must_be_new: bool = True,
) -> Refusal | None:
    """Say why this tool cannot run this task; None when it can.

    Args:
        tool: the one that the task names.
        task: what the person wrote.
        workspace: whose folders it may use.
        config: says where else its paths may lead.
        files: the task's folder of input files, where it has one.
        output_must_be_new: False once an attempt of ours may have written it.
    """
    return (
        _terminal(task, config)
        or env_refusal(tool, list(task.env))
        or _conversation(tool, task)
        or _command(tool, task)
        or parameter_refusal(tool, task)
        or _batches(tool, task)
        or _paths(tool, task, workspace, Places.of(workspace, config, files), must_be_new=output_must_be_new)
        or _arguments(tool, task, workspace, files)
    )


def suggestion(word: str, known: Iterable[str]) -> str:
    """Name what exists, the closest first."""
    names = sorted(known)
    close = difflib.get_close_matches(word, names, n=1, cutoff=0.7)
    meant = f"did you mean {close[0]!r}? " if close else ""
    return f"{meant}known: {', '.join(names) or 'none'}"


def _terminal(task: Task, config: AgentConfig) -> Refusal | None:
    if task.interactive and config.launcher_of(task) == NO_TERMINAL:
        return Refusal(
            f"an interactive task needs a terminal, and the launcher {NO_TERMINAL} gives it none",
            'add "launcher": "tmux" to the task, or leave interactive out',
            field="interactive",
        )
    return None


def _conversation(tool: ToolDefinition, task: Task) -> Refusal | None:
    if task.approval == "read-only" and "read-only" not in tool.approval:
        return Refusal(
            f"{tool.name} has no way to only read",
            f"choose another approval, or say how under tools.{tool.name}.approval in configs/tools.toml",
            field="approval",
        )
    if task.resume is None:
        return None
    if not tool.session_resume:
        return Refusal(
            f"{tool.name} cannot go on with an earlier conversation", "leave resume out", field="resume"
        )
    if not _SESSION_ID.fullmatch(task.resume):
        return Refusal(
            f"{task.resume[:100]!r} is not the id of a conversation",
            "copy tool_session_id of the earlier task's result.json",
            field="resume",
        )
    return None


def _command(tool: ToolDefinition, task: Task) -> Refusal | None:
    if tool.takes_command:
        if not task.command and "command" in tool.required_names:
            return Refusal(f"{tool.name} needs a command", "say what it is to run", field="command")
        if task.command and tool.command_choices and task.command not in tool.command_choices:
            return Refusal(
                f"{tool.name} has no command {task.command[:100]!r}",
                suggestion(task.command, tool.command_choices),
                field="command",
            )
        return None
    if not task.command or task.command in tool.commands:
        return None
    return Refusal(
        f"{tool.name} has no command {task.command[:100]!r}",
        f"{suggestion(task.command, tool.commands)}; or leave command out and ask with parameters.prompt",
        field="command",
    )


def _batches(tool: ToolDefinition, task: Task) -> Refusal | None:
    size = batch_size(tool, task)
    return size if isinstance(size, Refusal) else None


def _paths(
    tool: ToolDefinition, task: Task, workspace: Workspace, places: Places, *, must_be_new: bool
) -> Refusal | None:
    given = task.parameters
    if (output := given.get("output")) is not None:
        target = output_file(output, workspace, must_be_new=must_be_new)
        if isinstance(target, Refusal):
            return target
    cwd = given.get("cwd")
    folder = working_folder(cwd, places) if cwd is not None else None
    if isinstance(folder, Refusal):
        return folder
    paths = given_paths(tool, task)
    if isinstance(paths, Refusal):
        return paths
    for name, texts in paths.items():
        for text in texts:
            found = locate(text, f"parameters.{name}", replace(places, cwd=folder))
            if isinstance(found, Refusal):
                return found
    return None


def _arguments(tool: ToolDefinition, task: Task, workspace: Workspace, files: Path | None) -> Refusal | None:
    values = values_of(
        tool,
        task,
        task_id=task.task_id or "task",
        workspace=workspace.root,
        files=files,
        inputs={},
        executable=f"/{tool.name}",
        session_id=task.resume or _PLACEHOLDER_ID,
    )
    ours = {"files", "approval", "session", "session_id", "folders", "config_dir", "listing"}
    optional = {"prompt", "model", "args", *ours}
    for name in sorted(tool.required_names - optional):
        if is_empty(values.get(name)):
            return missing(tool, task, name)
    arguments = arguments_of(tool, values, interactive=task.interactive)
    return arguments if isinstance(arguments, Refusal) else None
