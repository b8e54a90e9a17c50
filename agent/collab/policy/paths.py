"""What a path means: a secret, a device, a place from which things start by themselves.

Paths may hold patterns (`*`, `?`, `[…]`) and holes where nobody knows the text; a path means something
special when it could. Patterns of the policy: `*` stops at a slash, `**` does not.
"""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Final, Literal

from agent.collab.policy.words import HOLE

if TYPE_CHECKING:
    from agent.collab.policy.rules import Paths
    from agent.collab.policy.words import Arg

Kind = Literal["secret", "secret_trees", "persist", "devices", "sinks", "untrusted", "vital"]

_TOKEN: Final = re.compile(r"\*\*/?|\*|\?|\[[^\]/]*\]|\0|.", re.DOTALL)
_EVERYTHING, _SEGMENT, _ONE = "**", "*", "?"
_SELF: Final = re.compile(r"^/proc/(?:self|thread-self|\d+|[*?\[\0][^/]*)/(?:task/[^/]+/)?root(?=/|$)")
_ROOT_HOME: Final = re.compile(r"^/(?:root|home/[^/]+)(?=/|$)")
_WILD: Final = re.compile(r"[*?\[]")
_BARE: Final = re.compile(r"[*?.\0]*")
MOST_BASES: Final = 16


@dataclass(slots=True)
class Where:
    """The folders in which a command may find itself: "" is where it began."""

    bases: list[str] = field(default_factory=lambda: [""])
    lost: bool = False

    def go(self, folder: str) -> None:
        """Take note of a `cd`, that may or may not have happened."""
        if HOLE in folder or len(self.bases) > MOST_BASES:
            self.lost = True
            return
        self.bases += [
            base for base in {posixpath.join(b, folder) for b in self.bases} if base not in self.bases
        ]


def spellings(path: str, where: Where) -> tuple[str, ...]:
    """Return everything that a path may name, normalised."""
    # the folder above a home is known where it lies: ~/.. is / for root
    homes = ("/root", "/home/*") if path.startswith("~/") and "/.." in path else ()
    written = [path, *(home + path[1:] for home in homes)]
    ways = (posixpath.join(base, way) for base in where.bases for way in written)
    found = dict.fromkeys(map(_normalised, ways))
    for spelling in tuple(found):
        if spelling.startswith("../"):  # from deep enough, that is from the root
            found["/" + spelling.lstrip("./")] = None
        if _ROOT_HOME.match(spelling):
            found[_ROOT_HOME.sub("~", spelling)] = None
    return tuple(found)


def _normalised(path: str) -> str:
    if path.startswith("file://"):
        path = path.removeprefix("file://")
    path = posixpath.normpath(path) if path else ""
    path = "/" + path.lstrip("/") if path.startswith("//") else path
    while match := _SELF.match(path):
        path = posixpath.normpath("/" + path[match.end() :])
    return re.sub(r"^~[\w-]+(?=/|$)", "~", path)


def is_unknown(arg: Arg, where: Where) -> bool:
    """Tell whether nobody knows which file an argument names: a hole, ~-, ~+, a folder that was lost."""
    if HOLE in arg.text or arg.text.startswith(("~-", "~+")):
        return True
    return where.lost and not arg.text.startswith(("/", "~"))


def arg_is(paths: Paths, kind: Kind, arg: Arg, where: Where) -> bool:
    """Tell whether an argument is, or could be, a path of a kind; a star in quotes is no wildcard."""
    if "://" in arg.text and not arg.text.startswith("file:"):
        return False
    text = arg.text if arg.glob or arg.below else _WILD.sub("\ufffd", arg.text)
    return is_kind(paths, kind, text, where)


def is_kind(paths: Paths, kind: Kind, path: str, where: Where) -> bool:
    """Tell whether a path, perhaps with wildcards, is or could be one of a kind."""
    patterns: tuple[str, ...] = getattr(paths, kind)
    for spelling in spellings(path, where):
        if any(_could_be(spelling, pattern) for pattern in patterns):
            return True
        if kind == "secret" and _has_secret_name(paths, spelling):
            return True
    return False


def _could_be(spelling: str, pattern: str) -> bool:
    # a mere * between two slashes is not meant to be a folder of that name, wherever it is
    anywhere = pattern.startswith("**/") and pattern[3] != "."
    return not (anywhere and "*" in spelling.split("/")) and may_match(spelling, pattern)


def _has_secret_name(paths: Paths, spelling: str) -> bool:
    name = posixpath.basename(spelling)
    if _BARE.fullmatch(name):
        return False  # a mere * would be every file of every folder
    if "." in name and name.startswith("*."):  # `*.txt` is not meant to find credentials.txt
        ending = name[1:]
        return any(may_match(ending, secret[1:]) for secret in paths.secret_names if secret.startswith("*."))
    return any(may_match(name, secret) for secret in paths.secret_names)


@lru_cache(maxsize=65536)
def may_match(path: str, pattern: str) -> bool:
    """Tell whether a path, perhaps with wildcards of a shell, could be one that a pattern means."""
    ours = tuple(_TOKEN.findall(path.replace("**", "*")))
    theirs = tuple(_TOKEN.findall(pattern))
    seen: set[tuple[int, int]] = set()
    todo = [(0, 0)]
    while todo:
        i, j = todo.pop()
        if (i, j) in seen:
            continue
        seen.add((i, j))
        if i == len(ours) and j == len(theirs):
            return True
        todo.extend(_steps(ours, theirs, i, j))
    return False


def _steps(ours: tuple[str, ...], theirs: tuple[str, ...], i: int, j: int) -> list[tuple[int, int]]:
    a = ours[i] if i < len(ours) else None
    b = theirs[j] if j < len(theirs) else None
    next_: list[tuple[int, int]] = []
    wide_a, wide_b = a in {"*", HOLE}, b is not None and b[0] == "*"
    if wide_a:
        next_.append((i + 1, j))
    if wide_b:
        next_.append((i, j + 1))
    if a is None or b is None:
        return next_
    starts = i == 0 or ours[i - 1] == "/"
    if not _meets(a, b, segment_start=starts):
        return next_
    next_.append((i if wide_a else i + 1, j if wide_b else j + 1))
    if wide_a:
        next_.append((i, j + (0 if wide_b else 1)))
    if wide_b:
        next_.append((i + (0 if wide_a else 1), j))
    return next_


def _meets(a: str, b: str, *, segment_start: bool) -> bool:
    """Tell whether one character can stand for both tokens."""
    wild_b = b[0] in "*?[" and (b[0] != "[" or len(b) > 1)
    everything_b = b.startswith("**")
    if a == HOLE:
        return True
    if a in {"*", "?"} or (a[0] == "[" and len(a) > 1):
        if wild_b:
            return True
        return b != "/" and not (b == "." and segment_start)
    if wild_b:
        return everything_b or a != "/"
    return a == b
