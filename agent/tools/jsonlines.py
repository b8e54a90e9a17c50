"""Finds the JSON in what a tool printed: among noise, over several lines, and where the middle was left out.

A value begins at the start of a line. One that does not parse is skipped: a torn line costs only itself.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MAX_TRANSCRIPT_BYTES = 64 * 1024 * 1024
_LEFT_OUT = re.compile(r"\[aispool: \d+ bytes were left out here\]")
_START = re.compile(r"^[ \t]*(?=[{\[])", re.MULTILINE)
_DECODER = json.JSONDecoder()

Object = dict[str, Any]


def text_of(data: bytes) -> str:
    """Return a stream as text; bytes that are no UTF-8 are replaced."""
    return data.decode("utf-8", "replace")


def is_cut(text: str) -> bool:
    """Tell whether the wrapper kept only the beginning and the end."""
    return _LEFT_OUT.search(text) is not None


def objects(text: str) -> list[Object]:
    """Return every JSON object, those inside a list included, in the order in which they were printed."""
    return list(_objects(text))


def _objects(text: str) -> Iterator[Object]:
    at = 0
    while (start := _START.search(text, at)) is not None:
        try:
            value, at = _DECODER.raw_decode(text, start.end())
        except (ValueError, RecursionError):
            at = text.find("\n", start.end()) + 1
            if not at:
                return
            continue
        yield from (
            item for item in (value if isinstance(value, list) else [value]) if isinstance(item, dict)
        )


def scraps(text: str, *names: str) -> Object:
    """Return the last value of each name in text that does not parse: strings, numbers, true, false, null."""
    found: Object = {}
    for name in names:
        pattern = rf'"{re.escape(name)}"\s*:\s*("(?:[^"\\]|\\.)*"|true|false|null|-?\d[\d.eE+-]*)'
        for match in re.finditer(pattern, text):
            try:
                found[name] = json.loads(match.group(1))
            except ValueError:
                continue
    return found


def transcript(folder: Path | None, pattern: str, session_id: str | None) -> list[Object]:
    """Return the lines of the conversation that a tool kept; empty when it kept none.

    Args:
        folder: the tool's private configuration folder.
        pattern: of the files below it; the newest that names the conversation is taken, else the newest.
        session_id: the conversation.
    """
    files = _newest_last(folder, pattern)
    wholly = [file for file in files if session_id and session_id in file.name]
    # gemini names a file by its beginning alone; codex's ids of one minute begin alike
    short = (session_id or "").partition("-")[0]
    named = wholly or [file for file in files if short and short in file.name]
    chosen = named or ([] if session_id else files)
    if not chosen:
        return []
    try:
        with chosen[-1].open("rb") as stream:
            return objects(text_of(stream.read(MAX_TRANSCRIPT_BYTES)))
    except OSError:
        return []


def _newest_last(folder: Path | None, pattern: str) -> list[Path]:
    if folder is None:
        return []
    found: list[tuple[float, Path]] = []
    for file in folder.glob(pattern):
        try:
            if file.is_file() and not file.is_symlink():
                found.append((file.stat().st_mtime, file))
        except OSError:
            continue  # it went away while we looked
    return [file for _, file in sorted(found)]


def at(value: Any, *path: str) -> Any:
    """Return what lies below these names; None where one is missing."""
    for name in path:
        if not isinstance(value, dict):
            return None
        value = value.get(name)
    return value


def text_at(value: Any, *path: str) -> str:
    """Return the text below these names; empty when there is none."""
    found = at(value, *path)
    return found if isinstance(found, str) else ""


def count_at(value: Any, *path: str) -> int | None:
    """Return the whole number below these names, or None."""
    found = at(value, *path)
    if isinstance(found, bool) or not isinstance(found, int | float):
        return None
    return int(found)


def number_at(value: Any, *path: str) -> float | None:
    """Return the number below these names, or None."""
    found = at(value, *path)
    if isinstance(found, bool) or not isinstance(found, int | float):
        return None
    return float(found)


def list_at(value: Any, *path: str) -> list[Any]:
    """Return the list below these names; empty when there is none."""
    found = at(value, *path)
    return found if isinstance(found, list) else []
