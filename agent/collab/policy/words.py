r"""One word of a command line: what a shell makes of its quotes, and what its variables may hold.

A word is a sequence of `Part`s. `expanded` puts values into it and gives every text that it may become; a
value that is unknown is the character `HOLE` in the text.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

HOLE: Final = "\0"
"""Stands for text that nobody knows; no argument can hold a NUL."""

MOST: Final = 64
"""So many alternatives of one command are looked at; beyond, the values count as unknown."""

_GLOB: Final = frozenset("*?[")
_BEFORE_QUOTED: Final = frozenset('$`"\\\n')


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of a word.

    Args:
        text: the characters; None when they are not known before it runs.
        quoted: no blank splits it and no star in it matches files.
        variable: the name whose value it is.
        arithmetic: the names in a computation, whose result is a number when theirs are.
    """

    text: str | None
    quoted: bool = False
    variable: str | None = None
    arithmetic: tuple[str, ...] | None = None

    def as_quoted(self) -> Part:
        """Return it as it stands between double quotes."""
        return replace(self, quoted=True)


@dataclass(frozen=True, slots=True)
class Arg:
    """One argument as a program gets it.

    Args:
        text: with a `HOLE` for each unknown piece.
        glob: an unquoted pattern: the names of files stand in its place.
        splits: an unknown piece may become several arguments, or none.
        below: it stands for the files that were found below this folder, or under this name.
    """

    text: str
    glob: bool = False
    splits: bool = False
    below: bool = False

    @property
    def known(self) -> bool:
        """Whether it is this text, and nothing else."""
        return HOLE not in self.text and not self.glob

    @property
    def may_be_option(self) -> bool:
        """Whether nobody knows that it does not begin with a dash."""
        return self.text[:1] == HOLE or (self.glob and self.text[:1] in _GLOB)


@dataclass(frozen=True, slots=True)
class Word:
    """A word as it was written."""

    parts: tuple[Part, ...]

    def expanded(self, values: Callable[[Part], list[Arg]]) -> Iterator[tuple[Arg, ...]]:
        """Yield every list of arguments that the word may become.

        Args:
            values: what an unknown part may hold.
        """
        pieces = [[_arg(part)] if part.text is not None else values(part) for part in self.parts]
        for chosen in itertools.product(*pieces):
            yield self._joined(chosen)

    def _joined(self, chosen: tuple[Arg, ...]) -> tuple[Arg, ...]:
        if not any(part.quoted for part in self.parts) and not "".join(arg.text for arg in chosen):
            return ()  # an empty variable without quotes is no argument at all
        args: list[Arg] = [Arg("")]
        for part, piece in zip(self.parts, chosen, strict=True):
            if part.quoted or part.text is not None:
                texts = [piece.text]
            else:
                texts = piece.text.split() or [""]
                if piece.text[:1].isspace() and args[-1].text:
                    args.append(Arg(""))
            last = args.pop()
            joined = Arg(last.text + texts[0], last.glob or piece.glob, last.splits or piece.splits)
            args.append(joined)
            args.extend(Arg(text, piece.glob, piece.splits) for text in texts[1:])
        return tuple(args)


def _arg(part: Part) -> Arg:
    text = part.text or ""
    return Arg(text, glob=not part.quoted and bool(_GLOB & set(text)))


def unquoted(text: str) -> tuple[list[Part], str | None]:
    """Return the parts of a word without quotes, and what is doubtful about it."""
    parts: list[Part] = []
    plain = ""
    characters = iter(text)
    for character in characters:
        if character == "\\":
            if plain:
                parts.append(Part(plain))
                plain = ""
            parts.append(Part(next(characters, ""), quoted=True))
        elif character in "`'\"\n" or (character == "$" and text[-1] != "$"):
            return [Part(None)], f"a word holds {character!r} where none should be"
        else:
            plain += character
    if plain or not parts:
        parts.append(Part(plain))
    braces = "".join(part.text or "" for part in parts if not part.quoted)
    doubt = "it holds a brace word" if "{" in braces and ("," in braces or ".." in braces) else None
    return parts, doubt


def double_quoted(text: str) -> tuple[str, str | None]:
    """Return what stands between double quotes, and what is doubtful about it."""
    result, at = [], 0
    while at < len(text):
        character = text[at]
        if character == "\\" and text[at + 1 : at + 2] in _BEFORE_QUOTED and at + 1 < len(text):
            if text[at + 1] != "\n":
                result.append(text[at + 1])
            at += 2
            continue
        follows = text[at + 1 : at + 2]
        if character == "`" or (character == "$" and (follows.isalnum() or follows in {"_", "(", "{", "["})):
            return text, "a quoted word holds an expansion that was not parsed"
        result.append(character)
        at += 1
    return "".join(result), None
