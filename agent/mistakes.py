"""What is wrong with a value in a configuration file: what is there, what belongs there, an example.

pydantic says only what belongs there, in words for programmers. A value that may be a secret is not repeated.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

_SHOWN_CHARS: Final = 60
_SECRET: Final = re.compile(r"\Aenv(_|\Z)|url|token|secret|password|key", re.IGNORECASE)

_KINDS: Final = {
    "int_type": ("a whole number", "write it without quotes: {named}2"),
    "float_type": ("a number", "write it without quotes: {named}60"),
    "string_type": ("text", 'write it in quotes: {named}"text"'),
    "bool_type": ("true or false", "write one of them without quotes: {named}true"),
    "tuple_type": ("a list", 'write {named}["one", "two"], or a table [[{name}]] for each entry'),
    "dict_type": ("a table", "write its options below a line [{place}]"),
    "model_type": ("a table", "write its options below a line [{place}]"),
}
"""pydantic's type of a finding → what belongs there, and how it is written."""

_REMEDIES: Final = {
    "greater_than": "write a greater one",
    "greater_than_equal": "write a greater one",
    "less_than": "write a smaller one",
    "less_than_equal": "write a smaller one",
    "finite_number": "write a number",
    "literal_error": "write one of these, in quotes",
}


def in_words(finding: ErrorDetails, place: str) -> tuple[str, str]:
    """Return the problem, and what to do about it.

    Args:
        finding: one of pydantic's, with its input.
        place: the dotted option.
    """
    kind, message = finding["type"], finding["msg"].removeprefix("Value error, ")
    name = place.rpartition(".")[2]
    if kind in _KINDS:
        wanted, remedy = _KINDS[kind]
        # an entry of a list has a number for its name, which nobody writes
        named = "" if name.isdigit() else f"{name} = "
        remedy = remedy.format(named=named, name=name, place=place)
        return f"{_shown(finding['input'], place)} is not {wanted}", remedy
    if kind in _REMEDIES:
        wanted = message.removeprefix("Input should be ")
        return f"it is {_shown(finding['input'], place)}, and should be {wanted}", _REMEDIES[kind]
    if kind == "missing":
        return "it is missing", f"add {name} = …"
    problem, colon, remedy = message.partition(": ")
    return (problem, remedy) if colon else (message, "mend this option")


def _shown(value: Any, place: str) -> str:
    """Return a value as its file has it, unless it may be a secret."""
    if any(_SECRET.search(part) for part in place.split(".")):
        return "what is there"
    match value:
        case bool():
            return str(value).lower()
        case list() | tuple():
            return "a list"
        case dict():
            return "a table"
    text = repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= _SHOWN_CHARS else f"{text[:_SHOWN_CHARS]}…"
