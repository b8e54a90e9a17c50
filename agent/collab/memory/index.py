"""The index over the entries: SQLite FTS5, brought up to date from the files before each search."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from agent.collab.derived import Derived, transaction
from spool.files import read_regular
from spool.names import is_task_id
from spool.strictjson import StrictJSONError, parse_object

if TYPE_CHECKING:
    import sqlite3
    from pathlib import Path

NAME: Final = ".index.sqlite"
MOST_WORDS: Final = 32

_SUFFIX: Final = ".json"
_FILE_BYTES: Final = 1 << 20
_TABLES: Final = {
    "files": "CREATE TABLE files (id TEXT PRIMARY KEY, stamp TEXT NOT NULL)",
    "entries": "CREATE VIRTUAL TABLE entries "
    "USING fts5(id UNINDEXED, words, tokenize = 'unicode61 remove_diacritics 2')",
}
_COMMON_TEXT: Final = (
    "a al and are as at be by can como con cual de del do does el ella en es esta este esto for from "
    "hace has have how i in is it la las lo los me mi mis my no not of on or para pero por porque "
    "que se si sin so su sus the their this to tu un una was what when where which why will with y "
    "yo you your"
)
_COMMON: Final = frozenset(_COMMON_TEXT.split())
"""English and Spanish words that say nothing of a question's subject."""


def search(folder: Path, query: str) -> list[str]:
    """Return the ids of the entries that have words of the query, the best first (BM25)."""
    words = _words(query)
    if not words:
        return []
    expression = " OR ".join(f'"{word}"' for word in words)

    def find(database: sqlite3.Connection) -> list[str]:
        _refresh(database, folder)
        order = "SELECT id FROM entries WHERE words MATCH ? ORDER BY rank, id DESC"
        return [memory_id for (memory_id,) in database.execute(order, (expression,))]

    return _file(folder).use(find)


def drop(folder: Path) -> None:
    """Remove the index.

    Raises:
        OSError: it cannot be removed.
    """
    _file(folder).drop()


def _file(folder: Path) -> Derived:
    return Derived(folder / NAME, 1, _TABLES)


def _words(query: str) -> list[str]:
    words = dict.fromkeys(re.findall(r"\w+", query.casefold()))
    telling = [word for word in words if len(word) > 1 and _plain(word) not in _COMMON]
    return (telling or list(words))[:MOST_WORDS]


def _plain(word: str) -> str:
    return word.translate(str.maketrans("áéíóúü", "aeiouu"))


def _refresh(database: sqlite3.Connection, folder: Path) -> None:
    present = _stamps(folder)
    known = dict(database.execute("SELECT id, stamp FROM files"))
    changed = [memory_id for memory_id, stamp in present.items() if known.get(memory_id) != stamp]
    gone = [memory_id for memory_id in known if memory_id not in present]
    if not changed and not gone:
        return
    with transaction(database):
        for memory_id in (*gone, *changed):
            database.execute("DELETE FROM entries WHERE id = ?", (memory_id,))
            database.execute("DELETE FROM files WHERE id = ?", (memory_id,))
        for memory_id in changed:
            words = _text(folder / (memory_id + _SUFFIX))
            database.execute("INSERT INTO files VALUES (?, ?)", (memory_id, present[memory_id]))
            database.execute("INSERT INTO entries VALUES (?, ?)", (memory_id, words))


def _stamps(folder: Path) -> dict[str, str]:
    """Return what tells one content of each entry's file from another."""
    found: dict[str, str] = {}
    with os.scandir(folder) as entries:
        for entry in entries:
            stem = entry.name.removesuffix(_SUFFIX)
            if entry.name.endswith(_SUFFIX) and is_task_id(stem):
                with suppress(FileNotFoundError):
                    status = entry.stat(follow_symlinks=False)
                    found[stem] = f"{status.st_mtime_ns} {status.st_size} {status.st_ino}"
    return found


def _text(path: Path) -> str:
    """Return what an entry is found by; nothing of a file that cannot be read."""
    try:
        fields = parse_object(read_regular(path, _FILE_BYTES))
    except (OSError, StrictJSONError):
        return ""
    wanted = (fields.get(name) for name in ("text", "host", "domain", "source"))
    return "\n".join(value for value in wanted if isinstance(value, str))
