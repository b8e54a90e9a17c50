"""JSON read strictly, with the place and the remedy of whatever is wrong.

Every Python parser accepts duplicate keys, NaN and deep nesting until it dies; a task file that
means two things must not run. Duplicate keys, NaN, Infinity, NUL, a byte order mark, other
encodings, depth beyond a bound and anything but an object at the top are refused.
"""

from __future__ import annotations

import json
import math
import re
import sys
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_DEPTH = 64
# possessive, and content without an end runs to the end: nothing is ever scanned twice
_STRING = rb'"(?:[^"\\]++|\\.)*+"?'
_TOKENS = re.compile(_STRING + rb"|[\[\]{}]|NaN|-?Infinity", re.DOTALL)
_STEPS = re.compile(_STRING + rb"|[\[\]{}:,]|[^\s\[\]{}:,\"]+", re.DOTALL)
_REST_OF_A_CUT_FILE = re.compile(r"[-+.\w\\]*\s*")
_SHOWN = 100


@dataclass(frozen=True, slots=True)
class Place:
    """Where in a file: line and column count from 1, the byte from 0."""

    line: int
    column: int
    byte: int


class StrictJSONError(ValueError):
    """The bytes are not one strict JSON object."""

    def __init__(self, what: str, remedy: str, place: Place | None = None) -> None:
        """Keep what is wrong, what to do, and where.

        Args:
            what: the problem, as a part of a sentence.
            remedy: what the person does next.
            place: where it is, when one place is to blame.
        """
        super().__init__(what)
        self.what = what
        self.remedy = remedy
        self.place = place


def place_at(content: bytes, byte: int) -> Place:
    """Turn an offset into line and column."""
    before = content[:byte]
    column = len(before[before.rfind(b"\n") + 1 :].decode(errors="replace")) + 1
    return Place(before.count(b"\n") + 1, column, byte)


def parse_object(content: bytes, max_depth: int = MAX_DEPTH) -> dict[str, Any]:
    """Parse one JSON object.

    Raises:
        StrictJSONError: it is something else, or means two things.
    """
    text = _decode(content)
    _check_tokens(content, max_depth)
    try:
        value = json.loads(
            text, object_pairs_hook=partial(_unique, content), parse_float=partial(_finite, content)
        )
    except StrictJSONError:
        raise
    except json.JSONDecodeError as error:
        raise _explain(content, text, error) from None
    except RecursionError:
        raise StrictJSONError("it is nested too deeply", f"nest at most {max_depth} levels") from None
    except ValueError:
        raise _long_number(content) from None
    if not isinstance(value, dict):
        start = len(content) - len(content.lstrip())
        raise StrictJSONError(
            "the top of the file is not an object", "put the task between { and }", place_at(content, start)
        )
    return value


def _decode(content: bytes) -> str:
    if not content.strip():
        raise StrictJSONError("the file is empty", "write the task into it again")
    if content.startswith(b"\xef\xbb\xbf"):
        raise StrictJSONError(
            "it starts with a byte order mark", "save it as UTF-8 without BOM", place_at(content, 0)
        )
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise StrictJSONError("it is UTF-16", "save it as UTF-8", place_at(content, 0))
    if content[:2].count(0) == 1:
        raise StrictJSONError("it is UTF-16", "save it as UTF-8", place_at(content, 0))
    if (nul := content.find(0)) >= 0:
        raise StrictJSONError(
            "it holds NUL bytes, as a copy onto a full disk leaves them",
            "free some space and copy it again",
            place_at(content, nul),
        )
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        if error.reason == "unexpected end of data":
            raise _cut_off(content, error.start, "in a character") from None
        raise StrictJSONError("it is not UTF-8", "save it as UTF-8", place_at(content, error.start)) from None


def _check_tokens(content: bytes, max_depth: int) -> None:
    depth = 0
    for match in _TOKENS.finditer(content):
        token = match.group()
        if token in {b"[", b"{"}:
            depth += 1
            if depth > max_depth:
                raise StrictJSONError(
                    f"it is nested deeper than {max_depth} levels",
                    f"nest at most {max_depth} levels",
                    place_at(content, match.start()),
                )
        elif token in {b"]", b"}"}:
            depth -= 1
        elif not token.startswith(b'"'):
            raise StrictJSONError(
                f"{token.decode()} is not JSON", "write a number, or null", place_at(content, match.start())
            )


def _unique(content: bytes, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        seen: set[Path] = set()
        for path, byte in _paths(content):
            if path in seen:
                what = f"the key {_shown(str(path[-1]))} stands twice in one object"
                raise StrictJSONError(what, "keep one of the two", place_at(content, byte))
            seen.add(path)
    return result


def _finite(content: bytes, literal: str) -> float:
    number = float(literal)
    if math.isinf(number):
        raw = literal.encode()
        place = place_at(content, content.find(raw)) if content.count(raw) == 1 else None
        raise StrictJSONError(f"the number {_shown(literal)} is too large", "write a smaller one", place)
    return number


def _long_number(content: bytes) -> StrictJSONError:
    most = sys.get_int_max_str_digits()
    place = None
    for match in _STEPS.finditer(content):
        if match.end() - match.start() > most and match.group().lstrip(b"-").isdigit():
            place = place_at(content, match.start())
            break
    return StrictJSONError(f"a number has more than {most} digits", "write it as a string", place)


def _shown(text: str) -> str:
    return repr(text if len(text) <= _SHOWN else text[:_SHOWN] + "…")


Path = tuple[str | int, ...]
"""Keys and positions in lists, from the top."""


def place_of(content: bytes, path: Path) -> Place | None:
    """Return where a key or a list's item stands in well-formed JSON, or else the nearest that holds it."""
    wanted = {path[:length] for length in range(1, len(path) + 1)}
    nearest = None
    for at, byte in _paths(content):
        if at in wanted:
            nearest = byte
            if at == path:
                break
    return None if nearest is None else place_at(content, nearest)


def _paths(content: bytes) -> Iterator[tuple[Path, int]]:
    """Yield the path and the first byte of each key and each item, in their order in the file."""
    path: list[str | int | None] = []  # None: an object whose next string is a key
    for match in _STEPS.finditer(content):
        token = match.group()
        if token == b":":
            continue
        if token == b",":
            last = path[-1]
            path[-1] = last + 1 if isinstance(last, int) else None
        elif token in {b"]", b"}"}:
            path.pop()
        elif path and path[-1] is None:
            path[-1] = json.loads(token)
            yield _known(path), match.start()
        else:
            if path and isinstance(path[-1], int):
                yield _known(path), match.start()
            if token in {b"[", b"{"}:
                path.append(0 if token == b"[" else None)


def _known(path: list[str | int | None]) -> Path:
    return tuple(part for part in path if part is not None)


def _cut_off(content: bytes, byte: int, why: str) -> StrictJSONError:
    return StrictJSONError(
        f"the file ends in the middle ({why})",
        "its upload was cut off, or its writer died: copy it again",
        place_at(content, byte),
    )


def _explain(content: bytes, text: str, error: json.JSONDecodeError) -> StrictJSONError:
    byte = len(text[: error.pos].encode())
    cut = error.msg.startswith("Unterminated string") or _REST_OF_A_CUT_FILE.fullmatch(text, error.pos)
    if cut:
        return _cut_off(content, byte, error.msg)
    if error.msg == "Extra data":
        return StrictJSONError(
            "more text follows after the end of the task", "drop one object a file", place_at(content, byte)
        )
    return StrictJSONError(f"it is not JSON: {error.msg}", "mend it there", place_at(content, byte))
