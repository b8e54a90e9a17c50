"""The index's SQLite file: rows of tasks, stamps of folders, and one number that grows with every change.

    meta      revision; complete: 1 once everything was read; purged: the revision up to which traces are gone
    folder    host, kind → stamp
    task      one row a name below tasks/, held/, sessions/, results/ of every host, and the revision that it
              came with. What is gone leaves a trace (stamp empty) for an hour, so that other processes learn
              of it. `hidden` is 0 for what is shown: not for traces, not for what is no task, and of a task
              that moves only where it came to last
    label     of a row

WAL: readers never wait for a writer, and a killed process leaves nothing to mend. Write-ahead files and a
shared memory need a local disk, so for a workspace on a network file system the index lies on one.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from agent.collab.derived import Derived, transaction
from agent.launchers.place import private_folder, short_hash
from agent.service.scanning import Known
from spool.files import make_folder
from spool.locks import is_network

if TYPE_CHECKING:
    import sqlite3

    from spool.workspace import Workspace

VERSION: Final = 1
NAME: Final = "tasks.sqlite"
_TABLES: Final = {
    "meta": "CREATE TABLE meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID",
    "folder": "CREATE TABLE folder (host TEXT, kind TEXT, stamp TEXT NOT NULL, PRIMARY KEY (host, kind))"
    " WITHOUT ROWID",
    "task": "CREATE TABLE task (key INTEGER PRIMARY KEY, host TEXT NOT NULL, kind TEXT NOT NULL,"
    " name TEXT NOT NULL, stamp TEXT NOT NULL, task_id TEXT NOT NULL, rank INTEGER NOT NULL,"
    " hidden INTEGER NOT NULL, state TEXT NOT NULL, tool TEXT NOT NULL, task_group TEXT,"
    " changed_at TEXT NOT NULL, started_at TEXT NOT NULL, finished_at TEXT NOT NULL,"
    " duration_s REAL NOT NULL, words TEXT NOT NULL, document TEXT NOT NULL, at INTEGER NOT NULL)",
    "label": "CREATE TABLE label (key INTEGER, label TEXT, PRIMARY KEY (label, key)) WITHOUT ROWID",
}
_INDEXES: Final = (
    "CREATE INDEX IF NOT EXISTS task_name ON task (host, kind, name, stamp)",
    "CREATE INDEX IF NOT EXISTS task_at ON task (at, host, kind, name, stamp)",
    "CREATE INDEX IF NOT EXISTS task_id ON task (host, task_id)",
    "CREATE INDEX IF NOT EXISTS task_changed ON task (hidden, changed_at, task_id)",
    "CREATE INDEX IF NOT EXISTS task_state ON task (hidden, host, state, tool, task_group)",
    "CREATE INDEX IF NOT EXISTS label_key ON label (key)",
)
_RANKS: Final = {"results": 3, "sessions": 2, "tasks": 1, "held": 0}
_WORDS: Final = ("task_id", "tool", "reason", "source_name", "question", "host", "group", "command")
_MOST_WORDS_CHARS: Final = 2000
_TRACES_MS: Final = 3_600_000


def default_folder(workspace: Workspace) -> Path:
    """Return where the index lies: in the workspace, or on this machine when that is on the network.

    Raises:
        OSError: the folder cannot be made.
        LaunchError: the folder below /tmp is not ours alone.
    """
    if not is_network(workspace.root):
        folder = workspace.root / ".cache"
        make_folder(folder)
        return folder
    parent = Path(f"/tmp/aispool-cache-{os.getuid()}")  # noqa: S108 - checked
    private_folder(parent)
    folder = parent / short_hash(str(workspace.root.resolve()))
    make_folder(folder)
    return folder


def file_in(folder: Path) -> Derived:
    """Return the index's file in a folder."""
    return Derived(folder / NAME, VERSION, _TABLES)


def connect(derived: Derived) -> sqlite3.Connection:
    """Return a connection; indexes and the first revision are made with the tables.

    Raises:
        OSError: the file cannot be made.
        sqlite3.DatabaseError: it is damaged.
    """
    database = derived.open()
    try:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = NORMAL")
        database.execute("PRAGMA cache_size = -8000")
        if not _is_ready(database):  # who only reads never waits for who writes
            with transaction(database):
                for statement in _INDEXES:
                    database.execute(statement)
                first = (("complete", 0), ("purged", 0), ("revision", _now_ms()))
                database.executemany("INSERT OR IGNORE INTO meta VALUES (?, ?)", first)
    except BaseException:
        database.close()
        raise
    return database


def _is_ready(database: sqlite3.Connection) -> bool:
    return database.execute("SELECT 1 FROM meta WHERE name = 'revision'").fetchone() is not None


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def meta(database: sqlite3.Connection, name: str) -> int:
    """Return the revision, or whether everything was read once."""
    ((value,),) = database.execute("SELECT value FROM meta WHERE name = ?", (name,))
    return int(value)


def next_revision(database: sqlite3.Connection) -> int:
    """Return the next revision: a time in milliseconds, so that it grows also when the file is made anew."""
    return max(meta(database, "revision") + 1, _now_ms())


def set_meta(database: sqlite3.Connection, name: str, value: int) -> None:
    """Note a number."""
    database.execute("UPDATE meta SET value = ? WHERE name = ?", (value, name))


def load(database: sqlite3.Connection, known: dict[str, Known], since: int) -> None:
    """Learn what others found since a revision; our own host is the empty name."""
    if since < meta(database, "purged"):
        known.clear()
        since = -1
    select = "SELECT host, kind, name, stamp FROM task WHERE at > ?"
    for host, kind, name, stamp in database.execute(select, (since,)):
        names = known.setdefault(host, Known()).of(kind)
        if stamp:
            names[name] = stamp
        else:
            names.pop(name, None)
    for one in known.values():
        one.folders.clear()
    for host, kind, stamp in database.execute("SELECT host, kind, stamp FROM folder"):
        known.setdefault(host, Known()).folders[kind] = stamp


def purge(database: sqlite3.Connection) -> None:
    """Forget the traces that are older than an hour."""
    until = _now_ms() - _TRACES_MS
    database.execute("DELETE FROM task WHERE stamp = '' AND at <= ?", (until,))
    set_meta(database, "purged", max(until, meta(database, "purged")))


def put_row(
    database: sqlite3.Connection, where: tuple[str, str, str], stamp: str, row: dict[str, Any] | None, at: int
) -> None:
    """Replace one row.

    Args:
        database: in a transaction.
        where: host, kind and name.
        stamp: empty for a name that is gone.
        row: see `agent.service.listing.row`; None for what is no task.
        at: the revision with which readers see it.
    """
    before = database.execute(
        "SELECT key, task_id FROM task WHERE host = ? AND kind = ? AND name = ?", where
    ).fetchone()
    if before is not None:
        database.execute("DELETE FROM label WHERE key = ?", before[:1])
        database.execute("DELETE FROM task WHERE key = ?", before[:1])
    host, kind, name = where
    shown = row or {"task_id": name, "state": "", "tool": "", "labels": []}
    text = "\n".join(str(shown[field]) for field in _WORDS if shown.get(field))[:_MOST_WORDS_CHARS]
    values = (
        *(*where, stamp, shown["task_id"], -1 if row is None else _RANKS[kind], row is None),
        *(shown["state"], shown["tool"], shown.get("group")),
        *(shown.get(moment) or "" for moment in ("changed_at", "started_at", "finished_at")),
        *(-1.0 if shown.get("duration_s") is None else shown["duration_s"],),
        *("\n".join((text, *shown["labels"])).casefold(), json.dumps(row) if row else "", at),
    )
    marks = ", ".join("?" * len(values))
    cursor = database.execute(f"INSERT INTO task VALUES (NULL, {marks})", values)  # noqa: S608 - marks only
    labels = ((cursor.lastrowid, label) for label in dict.fromkeys(shown["labels"]))
    database.executemany("INSERT INTO label VALUES (?, ?)", labels)
    for task_id in {shown["task_id"], before[1] if before else shown["task_id"]}:
        settle(database, host, task_id)


def settle(database: sqlite3.Connection, host: str, task_id: str) -> None:
    """Show of each task only where it came to last: results before sessions before tasks."""
    last = "(rank < 0 OR rank < (SELECT max(rank) FROM task WHERE host = ?1 AND task_id = ?2))"
    database.execute(
        f"UPDATE task SET hidden = {last} WHERE host = ?1 AND task_id = ?2 AND hidden != {last}",  # noqa: S608
        (host, task_id),
    )


def put_folder(database: sqlite3.Connection, host: str, kind: str, stamp: str) -> None:
    """Note that all names of a folder are known as of this stamp."""
    database.execute("INSERT OR REPLACE INTO folder VALUES (?, ?, ?)", (host, kind, stamp))


def forget_host(database: sqlite3.Connection, host: str, at: int) -> None:
    """Leave only traces of a host whose mirror is gone."""
    database.execute("DELETE FROM label WHERE key IN (SELECT key FROM task WHERE host = ?)", (host,))
    database.execute(
        "UPDATE task SET stamp = '', rank = -1, hidden = 1, document = '', words = '', at = ? WHERE host = ?",
        (at, host),
    )
    database.execute("DELETE FROM folder WHERE host = ?", (host,))
