"""The parameters of a task: its own over the defaults, of the right kinds, and which of them are paths."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any

from agent.tools import template
from agent.tools.arguments import is_empty
from spool.refusal import Refusal

if TYPE_CHECKING:
    from agent.tools.definition import ToolDefinition
    from spool.task import Task


def parameters_of(tool: ToolDefinition, task: Task) -> dict[str, Any]:
    """Return the task's parameters over the defaults of its command and its tool."""
    command = tool.commands.get(task.command)
    return {**tool.defaults, **(command.defaults if command else {}), **task.parameters}


def given_paths(tool: ToolDefinition, task: Task) -> dict[str, tuple[str, ...]] | Refusal:
    """Return the parameters that are paths of inputs, each with its paths as they were written."""
    command = tool.commands.get(task.command)
    parameters = parameters_of(tool, task)
    given: dict[str, tuple[str, ...]] = {}
    for name in (*tool.paths, *(command.paths if command else ())):
        value = parameters.get(name)
        if is_empty(value):
            continue
        texts: list[Any] = value if isinstance(value, list) else [value]
        if not all(isinstance(text, str) for text in texts):
            field = f"parameters.{name}"
            return Refusal(f"{field} is not a path", "write a path, or a list of paths", field=field)
        given[name] = tuple(texts)
    return given


def parameter_refusal(tool: ToolDefinition, task: Task) -> Refusal | None:
    """Say which parameter is missing, of the wrong kind, or of no use to the tool."""
    command = tool.commands.get(task.command)
    parameters = parameters_of(tool, task)
    args = task.parameters.get("args")
    if args and "args" not in tool.argv_names:
        return Refusal(
            f"{tool.name} takes no args from a task",
            f"leave them out, or add $args to tools.{tool.name}.argv in configs/tools.toml",
            field="parameters.args",
        )
    if not isinstance(parameters.get("model", ""), str):
        return Refusal("parameters.model is not a string", "write the model's name", field="parameters.model")
    for name in command.required if command else ():
        if is_empty(parameters.get(name)):
            return missing(tool, task, name)
    defaults = {**tool.defaults, **(command.defaults if command else {})}
    for name, default in defaults.items():
        if _kind(default) != _kind(parameters[name]):
            return Refusal(
                f"parameters.{name} is {_kind(parameters[name])}, not {_kind(default)}",
                f"write it like {template.text_of(default)}",
                field=f"parameters.{name}",
            )
    return None


def missing(tool: ToolDefinition, task: Task, name: str) -> Refusal:
    """Say that a parameter is missing, and which one may have been meant."""
    needed_by = f"{tool.name} {task.command}" if task.command in tool.commands else tool.name
    close = difflib.get_close_matches(name, task.parameters, n=1)
    meant = f", or rename {close[0]!r}" if close else ""
    return Refusal(
        f"parameters.{name} is missing, which {needed_by} needs", f"add it{meant}", field=f"parameters.{name}"
    )


def _kind(value: Any) -> str:
    match value:
        case bool():
            return "true or false"
        case int() | float():
            return "a number"
        case str():
            return "a string"
        case list():
            return "a list"
        case dict():
            return "an object"
        case _:
            return "null"
