"""The index over the entries: SQLite FTS5, made from the files and brought up to date before each search.

It is a cache. Whatever is wrong with it (damaged, of another version, in a folder that cannot be written),
the search is answered from an index in main memory, made for the purpose. One process at a time uses it, so
that it can be removed as a file.
"""

from __future__ import annotations

import fcntl
import os
import re
import sqlite3
from contextlib import closing, contextmanager, suppress
from typing import TYPE_CHECKING, Final

from spool.files import read_regular
from spool.names import is_task_id
from spool.strictjson import StrictJSONError, parse_object

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NAME: Final = ".index.sqlite"
LOCK: Final = ".index.lock"
VERSION: Final = 1
MOST_WORDS: Final = 32

_SUFFIX: Final = ".json"
_FILE_BYTES: Final = 1 << 20
_SCHEMA: Final = """
CREATE TABLE files (id TEXT PRIMARY KEY, stamp TEXT NOT NULL);
CREATE VIRTUAL TABLE entries USING fts5(id UNINDEXED, words, tokenize = 'unicode61 remove_diacritics 2');
"""
_COMMON_TEXT: Final = (
    "a al and are as at be by can como con cual de del do does el ella en es esta este esto for from "
    "hace has have how i in is it la las lo los me mi mis my no not of on or para pero por porque "
    "que se si sin so su sus the their this to tu un una was what when where which why will with y "
    "yo you your "
)
_COMMON: Final = frozenset(_COMMON_TEXT.split())
"""English and Spanish words that say nothing of a question's subject."""


def search(folder: Path, query: str) -> list[str]:
    """Return the ids of the entries that have words of the query, the best first (BM25)."""
    words = _words(query)
    if not words:
        return []
    expression = " OR ".join(f'"{word}"' for word in words)
    with suppress(OSError, sqlite3.DatabaseError):
        return _by_file(folder, expression)
    with suppress(OSError):
        drop(folder)
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as database:
        database.executescript(_SCHEMA)
        return _found(database, folder, expression)


def _by_file(folder: Path, expression: str) -> list[str]:
    with _alone(folder), closing(_open(folder / NAME)) as database:
        return _found(database, folder, expression)


def drop(folder: Path) -> None:
    """Remove the index.

    Raises:
        OSError: it cannot be removed.
    """
    with _alone(folder):
        for name in (NAME, f"{NAME}-journal"):
            (folder / name).unlink(missing_ok=True)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(folder / LOCK, flags, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _words(query: str) -> list[str]:
    words = dict.fromkeys(re.findall(r"\w+", query.casefold()))
    telling = [word for word in words if len(word) > 1 and _plain(word) not in _COMMON]
    return (telling or list(words))[:MOST_WORDS]


def _plain(word: str) -> str:
    return word.translate(str.maketrans("áéíóúü", "aeiouu"))


def _open(path: Path) -> sqlite3.Connection:
    # never through a link, and for nobody else to read
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))
    database = sqlite3.connect(path, isolation_level=None)
    try:
        (version,) = database.execute("PRAGMA user_version").fetchone()
        if version != VERSION:
            database.execute("BEGIN IMMEDIATE")
            for name in ("files", "entries"):
                database.execute(f"DROP TABLE IF EXISTS {name}")
            for statement in filter(str.strip, _SCHEMA.split(";")):
                database.execute(statement)
            database.execute(f"PRAGMA user_version = {VERSION}")
            database.execute("COMMIT")
    except BaseException:
        database.close()
        raise
    return database


def _found(database: sqlite3.Connection, folder: Path, expression: str) -> list[str]:
    _refresh(database, folder)
    rows = database.execute(
        "SELECT id FROM entries WHERE words MATCH ? ORDER BY rank, id DESC", (expression,)
    )
    return [memory_id for (memory_id,) in rows]


def _refresh(database: sqlite3.Connection, folder: Path) -> None:
    present = _stamps(folder)
    known = dict(database.execute("SELECT id, stamp FROM files"))
    changed = [memory_id for memory_id, stamp in present.items() if known.get(memory_id) != stamp]
    gone = [memory_id for memory_id in known if memory_id not in present]
    if not changed and not gone:
        return
    database.execute("BEGIN IMMEDIATE")
    for memory_id in (*gone, *changed):
        database.execute("DELETE FROM entries WHERE id = ?", (memory_id,))
        database.execute("DELETE FROM files WHERE id = ?", (memory_id,))
    for memory_id in changed:
        words = _text(folder / (memory_id + _SUFFIX))
        database.execute("INSERT INTO files VALUES (?, ?)", (memory_id, present[memory_id]))
        database.execute("INSERT INTO entries VALUES (?, ?)", (memory_id, words))
    database.execute("COMMIT")


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
