"""What a tool is asked: the command's prompt, the task's own, and every parameter as JSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from agent.tools import template
from agent.tools.parameters import parameters_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from agent.tools.definition import ToolDefinition
    from spool.task import Task


def prompt_text(
    tool: ToolDefinition, task: Task, values: Mapping[str, Any], inputs: Mapping[str, Any]
) -> str:
    """Return what the tool is asked.

    The command's prompt comes first, then the task's own, then every parameter as JSON, so that one
    which the prompt does not mention arrives all the same.

    Args:
        tool: whose prompts are used.
        task: what the person wrote.
        values: of every variable.
        inputs: the parameters that are paths, and where they lead.
    """
    parts = []
    own = values.get("prompt") or ""
    command = tool.commands.get(task.command)
    if command:
        parts.append(template.fill(command.prompt.strip(), lambda name: values.get(name, "")))
    if own:
        parts.append(f"Further instructions:\n{own}" if command else own)
    parts.extend(_about_parameters(tool, parameters_of(tool, task), inputs))
    return "\n\n".join(parts)


def _about_parameters(
    tool: ToolDefinition, parameters: Mapping[str, Any], inputs: Mapping[str, Any]
) -> list[str]:
    said_elsewhere = {"prompt", "cwd"} | tool.argv_names
    rest = {name: value for name, value in parameters.items() if name not in said_elsewhere}
    parts = []
    if rest:
        parts.append(f"Parameters of this task, as JSON:\n{_json(rest)}")
    found = {name: where for name, where in inputs.items() if name in rest and where != parameters[name]}
    if found:
        parts.append(f"Where their paths are on this machine:\n{_json(found)}")
    if "output" in rest:
        parts.append(
            "Your final answer is saved as `output`: reply with it, and do not write that file yourself."
        )
    return parts


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2)


def values_of(
    tool: ToolDefinition,
    task: Task,
    *,
    task_id: str,
    workspace: Path,
    files: Path | None,
    inputs: Mapping[str, Any],
    executable: str,
    session_id: str = "",
    goes_on: bool = False,
    places: Mapping[str, Any] | None = None,
    listing: str = "",
) -> dict[str, Any]:
    """Return the value of every variable; a parameter never takes the place of one of ours.

    Args:
        tool: what is run.
        task: what the person wrote.
        task_id: the task's.
        workspace: the workspace's folder.
        files: the task's input files, where it has any.
        inputs: the parameters that are paths, and where they lead.
        executable: the program.
        session_id: of the tool's conversation.
        goes_on: an interrupted attempt of this task is resumed.
        places: where it lies what is made for this attempt: config_dir, folders, and script where a
            command may be a file.
        listing: the files that the command lists.
    """
    session = tool.session_resume if goes_on or task.resume else tool.session_new
    values: dict[str, Any] = {
        "prompt": "",
        "model": "",
        "args": [],
        **parameters_of(tool, task),
        **inputs,
        "executable": executable,
        "command": task.command,
        "task_id": task_id,
        "workspace": str(workspace),
        "files": str(files) if files else "",
        "config_dir": "",
        **(places or {}),
        "folders": [
            template.fill(part, {"folder": str(folder)}.__getitem__)
            for folder in (places or {}).get("folders", ())
            for part in tool.folder_argv
        ],
        "listing": listing,
        "approval": list(tool.approval.get(task.approval, ())),
        "session_id": session_id,
        "session": [template.fill(part, {"session_id": session_id}.__getitem__) for part in session],
    }
    values["prompt"] = tool.resume_prompt if goes_on else prompt_text(tool, task, values, inputs)
    return values
