"""What an awk program would do beside working on text: run commands, read or write files, tell secrets.

Strings and regular expressions are skipped as awk's lexer does; where a slash could be either a division or
the beginning of an expression, the program is doubtful.
"""

from __future__ import annotations

import re
from typing import Final

_FORBIDDEN: Final = re.compile(r"system|getline|ENVIRON|ARGV|PROCINFO|SYMTAB|FUNCTAB|/inet|@|\\\n")
_TOKEN: Final = re.compile(
    r"""(?P<blank>[ \t]+) | (?P<comment>\#[^\n]*) | (?P<string>"(?:[^"\\\n]|\\.)*")
      | (?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?) | (?P<name>[A-Za-z_]\w*)
      | (?P<operator>\|\||&&|>>|\|&|\+\+|--|[-+*%^!=<>~]=|\*\*=?|[-+*%^!=<>~?:,$|]|[()\[\]{};\n])
      | (?P<slash>/)""",
    re.VERBOSE,
)
_REGEX: Final = re.compile(r"/(?:[^/\\\n\[]|\\.|\[\^?\]?(?:[^\]\\\n]|\\.)*\])+/")
_VALUE_BEFORE_REGEX: Final = frozenset({"print", "printf", "return", "in", "case", "else", "do", "exit"})
_STATEMENT_ENDS: Final = frozenset({";", "\n", "}", "{"})


def examine(program: str) -> str | None:
    """Say why an awk program may do more than work on text; None when it does not."""
    if match := _FORBIDDEN.search(program):
        return f"awk's {match.group().strip() or 'line'} can do more than work on text"
    at, before, depth = 0, "", 0
    printing: int | None = None
    while at < len(program):
        match = _TOKEN.match(program, at)
        if match is None:
            return "an awk program that cannot be followed"
        kind, token = match.lastgroup, match.group()
        at = match.end()
        if kind in {"blank", "comment"}:
            continue
        if kind == "slash":
            divides = _divides(before)
            if before == ")" and "/" in program[at:]:
                return "an awk program in which a slash is a division or an expression"
            if not divides:
                regex = _REGEX.match(program, at - 1)
                if regex is None:
                    return "an awk program whose expression does not end"
                at, token = regex.end(), "regex"
            before = token
            continue
        if token in {"(", "["}:
            depth += 1
        elif token in {")", "]"}:
            depth -= 1
        elif token in {"print", "printf"}:
            printing = depth
        elif token in _STATEMENT_ENDS:
            printing = None
        elif token in {"|", "|&"}:
            return "awk runs a command behind a |"
        elif token in {">", ">>"} and printing is not None and depth <= printing:
            return "awk prints into a file"
        before = token if kind != "string" else "string"
    return None


def _divides(before: str) -> bool:
    """Tell whether a slash behind this token divides: behind a value it does."""
    if before in _VALUE_BEFORE_REGEX:
        return False
    return bool(re.fullmatch(r"[\w.]+|string|[)\]$]|\+\+|--", before))
