"""How our commands are declared: `@command(NAME)`; the examples in a docstring keep their lines."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import click

if TYPE_CHECKING:
    from collections.abc import Callable

_EXAMPLES: Final = re.compile(r"^( *)Examples:$", re.MULTILINE)
_KEEP_LINES: Final = "\b"
"""click rewraps every paragraph that does not begin so."""


def _keep_examples(attributes: dict[str, Any]) -> dict[str, Any]:
    text = _EXAMPLES.sub(rf"\g<1>{_KEEP_LINES}\n\g<0>", attributes.get("help") or "")
    return {**attributes, "help": text}


class Command(click.Command):
    """A command whose help ends with examples."""

    def __init__(self, *arguments: Any, **attributes: Any) -> None:
        super().__init__(*arguments, **_keep_examples(attributes))


class Group(click.Group):
    """A group whose help ends with examples."""

    def __init__(self, *arguments: Any, **attributes: Any) -> None:
        super().__init__(*arguments, **_keep_examples(attributes))


def command(name: str) -> Callable[[Callable[..., Any]], Command]:
    """Declare a command."""
    return click.command(name, cls=Command)
