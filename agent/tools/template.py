"""Templates: `$name` and `${name}` stand for a value, `$$` for a dollar sign.

A template is read once and filled in one pass, so a value is only ever data: what it contains is never
looked at again, whatever dollar signs, braces or quotes are in it. Nothing here goes through a shell.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

_PIECE = re.compile(
    r"\$(?:(?P<dollar>\$)|(?P<plain>[A-Za-z_][A-Za-z0-9_]*)|\{(?P<braced>[A-Za-z_][A-Za-z0-9_.-]*)\}|(?P<bad>))"
)


@dataclass(frozen=True, slots=True)
class Variable:
    """A place where a value goes."""

    name: str


class TemplateError(ValueError):
    """The template is not one; the message says what to write."""


@lru_cache(maxsize=4096)
def parse(template: str) -> tuple[str | Variable, ...]:
    """Split a template into its text and its variables.

    Raises:
        TemplateError: a dollar sign stands alone.
    """
    pieces: list[str | Variable] = []
    end = 0
    for match in _PIECE.finditer(template):
        if match["bad"] is not None:
            near = template[match.start() : match.start() + 20]
            raise TemplateError(
                f"{near!r} is not a variable: write $name or ${{name}}, and $$ for a dollar sign"
            )
        pieces.append(template[end : match.start()])
        end = match.end()
        pieces.append("$" if match["dollar"] else Variable(match["plain"] or match["braced"]))
    pieces.append(template[end:])
    return tuple(piece for piece in pieces if piece != "")


def names(template: str) -> frozenset[str]:
    """Return the variables of a template."""
    return frozenset(piece.name for piece in parse(template) if isinstance(piece, Variable))


def sole_variable(template: str) -> str | None:
    """Return the variable's name when the template is that variable and nothing else."""
    match parse(template):
        case (Variable(name),):
            return name
        case _:
            return None


def begins_with_variable(template: str) -> bool:
    """Tell whether the first character comes from a value."""
    pieces = parse(template)
    return bool(pieces) and isinstance(pieces[0], Variable)


def fill(template: str, value_of: Callable[[str], Any]) -> str:
    """Put values where their variables stand."""
    return "".join(
        text_of(value_of(piece.name)) if isinstance(piece, Variable) else piece for piece in parse(template)
    )


def text_of(value: Any) -> str:
    """Write a value for a person or a model: text as it is, everything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
