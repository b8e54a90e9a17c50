"""JSON read strictly, with the place and the remedy of whatever is wrong.

Every Python parser accepts duplicate keys, NaN and deep nesting until it dies; a task file that
means two things must not run. Duplicate keys, NaN, Infinity, NUL, a byte order mark, other
encodings, depth beyond a bound and anything but an object at the top are refused.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import partial
from typing import Any

MAX_DEPTH = 64
_TOKENS = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|[\[\]{}]|NaN|-?Infinity', re.DOTALL)


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
        value = json.loads(text, object_pairs_hook=partial(_unique, content))
    except StrictJSONError:
        raise
    except json.JSONDecodeError as error:
        raise _explain(content, text, error) from None
    except RecursionError:
        raise StrictJSONError("it is nested too deeply", f"nest at most {max_depth} levels") from None
    except ValueError as error:
        raise StrictJSONError(str(error), "write the number in fewer digits") from None
    if not isinstance(value, dict):
        raise StrictJSONError(
            "the top of the file is not an object", "put the task between { and }", place_at(content, 0)
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
    if (nul := content.find(0)) >= 0:
        raise StrictJSONError(
            "it holds NUL bytes, as a copy onto a full disk leaves them",
            "free some space and copy it again",
            place_at(content, nul),
        )
    try:
        return content.decode()
    except UnicodeDecodeError as error:
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
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        places = places_of_key(content, twice)
        second = places[1] if len(places) == 2 else None  # noqa: PLR2004 - with more, one cannot tell which
        raise StrictJSONError(f"the key {twice!r} stands twice in one object", "keep one of the two", second)
    return result


def places_of_key(content: bytes, key: str) -> list[Place]:
    """Return where a key is written, at whatever depth, as far as it is spelt plainly."""
    pattern = re.escape(json.dumps(key, ensure_ascii=False).encode(errors="replace")) + rb"\s*:"
    return [place_at(content, match.start()) for match in re.finditer(pattern, content)]


def _explain(content: bytes, text: str, error: json.JSONDecodeError) -> StrictJSONError:
    byte = len(text[: error.pos].encode())
    cut = not text[error.pos :].strip() or error.msg.startswith("Unterminated string")
    if cut:
        return StrictJSONError(
            f"the file ends in the middle ({error.msg})",
            "its upload was cut off, or its writer died: copy it again",
            place_at(content, byte),
        )
    return StrictJSONError(f"it is not JSON: {error.msg}", "mend it there", place_at(content, byte))
