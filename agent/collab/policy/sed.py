"""What a sed script would do beside editing text: run commands (`e`), write (`w`) or read files (`r`).

The grammar is that of GNU sed's manual, "sed script overview". A script that cannot be followed to its end is
doubtful.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

_ADDRESS: Final = re.compile(r"\s*(?:\d+(?:~\d+)?|\$|[+~]\d+)")
_PLAIN: Final = frozenset("=dDgGhHnNpPxzF")
_TEXT: Final = frozenset("aic")
_LABEL: Final = frozenset(":btT")
_NUMBER: Final = frozenset("lLqQ")
_FLAGS: Final = re.compile(r"[gpiImM0-9]*")


@dataclass(slots=True)
class SedScript:
    """What a script does; `doubt` says why it may do more."""

    reads: list[str] = field(default_factory=list)
    doubt: str | None = None


def examine(script: str) -> SedScript:
    """Read a sed script."""
    found = SedScript()
    at = 0
    while at < len(script) and found.doubt is None:
        at = _command(script, _skip(script, at, " \t\n;{}"), found)
    return found


def _skip(script: str, at: int, blanks: str) -> int:
    while at < len(script) and script[at] in blanks:
        at += 1
    return at


def _command(script: str, at: int, found: SedScript) -> int:
    at = _addresses(script, at, found)
    if found.doubt or at >= len(script):
        return len(script)
    name = script[at]
    at += 1
    if name in _PLAIN or name in "{}":
        return at
    if name == "#":
        return _line_end(script, at)
    if name in _NUMBER:
        return _skip(script, at, " 0123456789")
    if name in _LABEL:
        return _end_of(script, at, "\n;")
    if name in _TEXT:
        return _text_end(script, at)
    if name in "rR":
        end = _line_end(script, at)
        found.reads.append(script[at:end].strip())
        return end
    if name in "sy":
        return _substitution(script, at, name, found)
    found.doubt = f"sed's {name!r} can do more than edit text"
    return len(script)


def _addresses(script: str, at: int, found: SedScript) -> int:
    while True:
        at = _skip(script, at, " \t")
        if match := _ADDRESS.match(script, at):
            at = match.end()
        elif script[at : at + 1] == "/":
            at = _flags_end(script, _delimited(script, at + 1, "/", found))
        elif script[at : at + 1] == "\\" and at + 1 < len(script):
            at = _flags_end(script, _delimited(script, at + 2, script[at + 1], found))
        else:
            return _skip(script, at, " \t!")
        at = _skip(script, at, " \t")
        if script[at : at + 1] != ",":
            return _skip(script, at, " \t!")
        at += 1


def _flags_end(script: str, at: int) -> int:
    return _skip(script, at, "IM")


def _delimited(script: str, at: int, delimiter: str, found: SedScript) -> int:
    r"""Return the place behind the closing delimiter; in `[…]` a delimiter counts as one (as sed has it)."""
    if delimiter in "\\\n":
        found.doubt = "a sed expression has a strange delimiter"
    while at < len(script):
        if script[at] == "\\":
            at += 2
        elif script[at] == delimiter:
            return at + 1
        elif script[at] == "[":
            # GNU sed looks for the delimiter in a bracket too, POSIX does not: where it matters, ask
            end = script.find("]", at + 2)
            if end > 0 and delimiter in script[at:end]:
                found.doubt = "a sed expression has its delimiter in brackets"
            at += 1
        else:
            at += 1
    found.doubt = "a sed expression does not end"
    return at


def _substitution(script: str, at: int, name: str, found: SedScript) -> int:
    if at >= len(script):
        found.doubt = "a sed expression does not end"
        return at
    delimiter = script[at]
    at = _delimited(script, at + 1, delimiter, found)
    at = _delimited(script, at, delimiter, found)
    if name == "s" and (match := _FLAGS.match(script, at)):
        at = match.end()
    at = _skip(script, at, " \t")
    if at < len(script) and script[at] not in ";}\n#":
        found.doubt = f"sed's flag {script[at]!r} can do more than edit text"
    return at


def _line_end(script: str, at: int) -> int:
    end = script.find("\n", at)
    return len(script) if end < 0 else end


def _end_of(script: str, at: int, ends: str) -> int:
    while at < len(script) and script[at] not in ends:
        at += 1
    return at


def _text_end(script: str, at: int) -> int:
    """Return the end of `a`, `i` or `c`: the end of the line that has no backslash at its end."""
    while True:
        end = _line_end(script, at)
        if end == len(script) or not script[:end].endswith("\\"):
            return end
        at = end + 1
