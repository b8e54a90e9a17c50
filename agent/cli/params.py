"""Values on the command line: `--param k=v`, and the options of `submit` as the fields of a task."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import click

if TYPE_CHECKING:
    from collections.abc import Iterable

ALWAYS_TEXT: Final = frozenset({"prompt", "cwd", "output"})
"""Parameters that are strings, whatever they look like."""


def parameters(given: Iterable[str]) -> dict[str, Any]:
    """Turn `k=v` words into parameters.

    A value that is JSON (a number, true, null, a "string", a list, an object) is that; anything else is
    the string as it stands. prompt, cwd and output are strings always.

    Raises:
        click.BadParameter: a word has no `=`, or a key stands twice.
    """
    found: dict[str, Any] = {}
    for word in given:
        key, equals, text = word.partition("=")
        if not equals or not key:
            raise click.BadParameter(f"{word!r} is not KEY=VALUE", param_hint="--param")
        if key in found:
            raise click.BadParameter(f"{key!r} is given twice", param_hint="--param")
        found[key] = text if key in ALWAYS_TEXT else _value(text)
    return found


def _value(text: str) -> Any:
    try:
        return json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        return text


def _no_constant(word: str) -> Any:
    raise ValueError(f"{word} is not JSON")


def priority(text: str | None) -> int | str | None:
    """Return a priority's name, or its number."""
    if text is None:
        return None
    try:
        return int(text)
    except ValueError:
        return text


def task_fields(options: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of a task that the options describe; what was not given is left out."""
    policy = {
        "max_retries": options["retries"],
        "backoff": options["backoff"],
    }
    given = {
        "task_id": options["task_id"],
        "tool": options["tool"],
        "command": options["command"],
        "parameters": parameters(options["params"]),
        "priority": priority(options["priority"]),
        "dependencies": list(options["depends_on"]),
        "timeout": options["timeout"],
        "not_before": options["not_before"],
        "expires_at": options["expires_at"],
        "labels": list(options["labels"]),
        "group": options["group"],
        "weight": options["weight"],
        "retry_policy": {name: value for name, value in policy.items() if value is not None},
    }
    return {name: value for name, value in given.items() if value not in (None, [], {}, ())}


_TASK_OPTIONS: Final = (
    click.option(
        "--tool", "-t", metavar="TOOL", help="A tool of `aispool tools`; makes a task without a file."
    ),
    click.option("--command", "-c", metavar="TEXT", help="The tool's command; a script for `shell`."),
    click.option(
        "--param", "-p", "params", multiple=True, metavar="KEY=VALUE", help="A parameter; repeatable."
    ),
    click.option("--priority", metavar="P", help="critical, high, normal, low, or an integer."),
    click.option(
        "--depends-on", "-d", multiple=True, metavar="ID", help="Start after this succeeded; repeatable."
    ),
    click.option("--timeout", type=float, metavar="S", help="Seconds for each attempt."),
    click.option("--id", "task_id", metavar="ID", help="Its id. Default: a new one each time."),
    click.option("--label", "labels", multiple=True, metavar="LABEL", help="Repeatable."),
    click.option("--group", metavar="NAME", help="For the limits of agent.toml."),
    click.option("--weight", type=int, metavar="N", help="Slots that it takes."),
    click.option("--not-before", metavar="TIME", help="ISO 8601; local time without a zone."),
    click.option("--expires-at", metavar="TIME", help="ISO 8601; not started after it."),
    click.option("--retries", type=int, metavar="N", help="Attempts after a failed first one."),
    click.option(
        "--backoff", type=click.Choice(["none", "fixed", "linear", "exponential"]), help="Between them."
    ),
)


def task_options(function: Any) -> Any:
    """Add the options that make a task."""
    for option in reversed(_TASK_OPTIONS):
        function = option(function)
    return function
