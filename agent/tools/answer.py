"""The form of an answer: a task with `output_format: json` gets JSON, or it failed.

Models put a code fence around JSON however they are asked: one is taken off.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, NoReturn

from agent.tools.parameters import parameters_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agent.tools.definition import ToolDefinition
    from spool.task import Task

FORMAT = "output_format"
_FENCE = re.compile(
    r"\s*(?P<fence>`{3,}|~{3,})[ \t]*[A-Za-z0-9]*[ \t]*\n(?P<inside>.*?)\n?[ \t]*(?P=fence)\s*", re.DOTALL
)


def wants_json(tool: ToolDefinition, task: Task) -> bool:
    """Tell whether the task asks a model for JSON."""
    wanted = parameters_of(tool, task).get(FORMAT)
    return tool.takes_prompt and isinstance(wanted, str) and wanted.strip().lower() == "json"


def answer_problem(tool: ToolDefinition, task: Task, text: str) -> str | None:
    """Return why an answer is not in the form that the task asks for; None when it is."""
    if not wants_json(tool, task):
        return None
    try:
        _parsed(text)
    except ValueError as error:
        return f"its answer is not JSON ({error}), which output_format asks for"
    return None


def plain_answer(tool: ToolDefinition, task: Task, text: str) -> str:
    """Return an answer as it is handed on: JSON without a fence around it."""
    return _bare(text) if wants_json(tool, task) and answer_problem(tool, task, text) is None else text


def joined(tool: ToolDefinition, task: Task, texts: Sequence[str]) -> str:
    """Return the answers of several calls as one.

    Of JSON, lists are put one after the other, and objects are joined name by name; answers that do not
    fit each other so become the items of one list.
    """
    if not wants_json(tool, task):
        return "\n\n".join(text.strip() for text in texts) + "\n"
    values = [_parsed(text) for text in texts]
    try:
        whole = values[0]
        for value in values[1:]:
            whole = _merged(whole, value)
    except TypeError:
        whole = values
    return json.dumps(whole, ensure_ascii=False, indent=2) + "\n"


def _merged(first: Any, second: Any) -> Any:
    match first, second:
        case list(), list():
            return [*first, *second]
        case dict(), dict():
            both = {name: _merged(first[name], second[name]) for name in first if name in second}
            return {**first, **second, **both}
        case _ if type(first) is type(second) and first == second:
            return first
    raise TypeError("they do not fit each other")


def _bare(text: str) -> str:
    fenced = _FENCE.fullmatch(text)
    return (fenced["inside"] if fenced else text).strip()


def _parsed(text: str) -> Any:
    """Read JSON, in a code fence or bare.

    Raises:
        ValueError: it is none; the message is short.
    """
    try:
        return json.loads(_bare(text), parse_constant=_refuse)
    except json.JSONDecodeError as error:
        raise ValueError(f"line {error.lineno}, column {error.colno}: {error.msg}") from None
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
