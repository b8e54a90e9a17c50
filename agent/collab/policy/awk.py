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
_GOES_ON: Final = frozenset({",", "&&", "||"})
"""Behind these, a line break ends no statement."""
_STATEMENT_ENDS: Final = frozenset({";", "\n", "}", "{"})


class _Reader:
    """Walks over the tokens; `doubt` says why the program may do more."""

    def __init__(self, program: str) -> None:
        self.program = program
        self.at = 0
        self.before = ""
        self.depth = 0
        self.printing: int | None = None
        self.doubt: str | None = None

    def step(self) -> None:
        match = _TOKEN.match(self.program, self.at)
        if match is None:
            self.doubt = "an awk program that cannot be followed"
            return
        self.at = match.end()
        kind = match.lastgroup
        if kind == "slash":
            self.slash()
        elif kind not in {"blank", "comment"} and not (match.group() == "\n" and self.before in _GOES_ON):
            token = "string" if kind == "string" else match.group()
            self.token(token)
            self.before = token

    def slash(self) -> None:
        if self.before == ")" and "/" in self.program[self.at :]:
            self.doubt = "an awk program in which a slash is a division or an expression"
        elif _divides(self.before):
            self.before = "/"
        elif regex := _REGEX.match(self.program, self.at - 1):
            self.at, self.before = regex.end(), "regex"
        else:
            self.doubt = "an awk program whose expression does not end"

    def token(self, token: str) -> None:
        if token in {"(", "["}:
            self.depth += 1
        elif token in {")", "]"}:
            self.depth -= 1
        elif token in {"print", "printf"}:
            self.printing = self.depth
        elif token in _STATEMENT_ENDS:
            self.printing = None
        elif token in {"|", "|&"}:
            self.doubt = "awk runs a command behind a |"
        elif token in {">", ">>"} and self.printing is not None and self.depth <= self.printing:
            self.doubt = "awk prints into a file"


def examine(program: str) -> str | None:
    """Say why an awk program may do more than work on text; None when it does not."""
    if match := _FORBIDDEN.search(program):
        return f"awk's {match.group().strip() or 'line'} can do more than work on text"
    reader = _Reader(program)
    while reader.doubt is None and reader.at < len(program):
        reader.step()
    return reader.doubt


def _divides(before: str) -> bool:
    """Tell whether a slash behind this token divides: behind a value it does."""
    if before in _VALUE_BEFORE_REGEX:
        return False
    return bool(re.fullmatch(r"[\w.]+|string|[)\]$]|\+\+|--", before))
