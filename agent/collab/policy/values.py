"""What the variables of a script may hold: every value that is given to a name anywhere in it, or none."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Final

from agent.collab.policy.words import HOLE, MOST, Arg, Part, Word

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agent.collab.policy.rules import Names
    from agent.collab.policy.script import Script

_NUMBERS: Final = frozenset(
    ["?", "#", "$", "!", "UID", "EUID", "PPID", "RANDOM", "SECONDS", "LINENO", "COLUMNS", "LINES", "OPTIND"]
)
_WORDS: Final = {
    "HOME": "~",
    "PWD": ".",
    "USER": "USER",
    "LOGNAME": "USER",
    "HOSTNAME": "HOSTNAME",
    "PATH": "/usr/bin:/bin",
    "SHELL": "/bin/sh",
    "LANG": "C",
    "TERM": "dumb",
}
_NUMBER: Final = re.compile(r"-?\d+")


class Values:
    """The variables of one script.

    Args:
        names: the policy's variables, to know the secret ones.
    """

    def __init__(self, script: Script, names: Names) -> None:
        self.script = script
        self.names = names
        self.secrets: list[str] = []
        self.doubts: list[str] = []
        self._open: set[str] = set()

    def alternatives(self, words: tuple[Word, ...]) -> Iterator[tuple[Arg, ...]]:
        """Yield the arguments that words may become; with too many of them, what differs is unknown."""
        choices = [list(self.of_word(word)) for word in words]
        count = 1
        for choice in choices:
            count *= len(choice)
        if count > MOST:
            choices = [choice if len(choice) == 1 else [(Arg(HOLE, splits=True),)] for choice in choices]
        chosen: list[tuple[Arg, ...]] = [()]
        for choice in choices:
            chosen = [(*done, *args) for done in chosen for args in choice]
        yield from chosen

    def of_word(self, word: Word) -> Iterator[tuple[Arg, ...]]:
        """Yield the arguments that one word may become."""
        yield from dict.fromkeys(word.expanded(self._of_part))

    def _of_part(self, part: Part) -> list[Arg]:
        if part.arithmetic is not None:
            return [Arg("0")] if all(self._is_number(name) for name in part.arithmetic) else [self._doubt()]
        if part.variable is None:
            return [_unknown(part)]
        return self._of_name(part.variable, part)

    def _doubt(self) -> Arg:
        self.doubts.append("it computes with a value that nobody knows")
        return Arg(HOLE, splits=True)

    def _of_name(self, name: str, part: Part) -> list[Arg]:
        assigned = self.script.variables.get(name)
        if assigned is None:
            if name in _NUMBERS:
                return [Arg("0")]
            if name in _WORDS:
                return [Arg(_WORDS[name])]
            if any(fnmatchcase(name.upper(), pattern) for pattern in self.names.secret):
                self.secrets.append(name)
            return [_unknown(part)]
        if name in self._open:  # x=$x…
            return [_unknown(part)]
        self._open.add(name)
        found = [arg for word in assigned for args in self.of_word(word) for arg in args]
        self._open.discard(name)
        # also nothing: it may be used before it is set
        values = list(dict.fromkeys([*found, Arg("")]))
        return [_unknown(part)] if len(values) > MOST else values

    def _is_number(self, name: str) -> bool:
        if name in _NUMBERS:
            return True
        if name in self._open:
            return True  # i=$((i+1)): a number when the others are
        assigned = self.script.variables.get(name)
        if not assigned:
            return False
        self._open.add(name)
        try:
            return all(self._is_numeric_word(word) for word in assigned)
        finally:
            self._open.discard(name)

    def _is_numeric_word(self, word: Word) -> bool:
        if len(word.parts) != 1:
            return False
        part = word.parts[0]
        if part.arithmetic is not None:
            return all(self._is_number(name) for name in part.arithmetic)
        return part.text is not None and bool(_NUMBER.fullmatch(part.text))


def _unknown(part: Part) -> Arg:
    return Arg(HOLE, splits=not part.quoted)
