"""SQLite files that are made from other files: caches, which anybody may delete at any time.

Whatever is wrong with one (damaged, of another version, in a folder that cannot be written), the caller gets
an empty one in main memory, and fills it from the files. One process at a time uses it, so that it can be
removed as a file.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class Derived:
    """One such file.

    Args:
        path: of the database; `path.lock` lies beside it.
        version: of the schema; a file of another one is made anew.
        tables: name → the statement that makes it.
    """

    path: Path
    version: int
    tables: dict[str, str]

    def use(self, work: Callable[[sqlite3.Connection], Answer]) -> Answer:
        """Return what the work finds; it is done again on an empty database when the file is no good.

        Raises:
            sqlite3.Error: the work itself is at fault.
        """
        with suppress(OSError, sqlite3.DatabaseError), self._alone(), closing(self.open()) as database:
            return work(database)
        with suppress(OSError):
            self.drop()
        with closing(sqlite3.connect(":memory:", isolation_level=None)) as database:
            self._make(database)
            return work(database)

    def drop(self) -> None:
        """Remove the file: deleted rows linger in a database's free pages.

        Raises:
            OSError: it cannot be removed.
        """
        with self._alone():
            for suffix in ("", "-journal", "-wal", "-shm"):
                self.path.with_name(self.path.name + suffix).unlink(missing_ok=True)

    def open(self) -> sqlite3.Connection:
        """Return a connection to the file, made anew when it is of another version; `use` is for most.

        Raises:
            OSError: it cannot be made.
            sqlite3.DatabaseError: it is damaged.
        """
        # never through a link, and for nobody else to read
        os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))
        database = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False)
        try:
            if not self._is_current(database):
                with transaction(database):
                    if not self._is_current(database):  # another made it in this moment
                        self._make(database)
                        database.execute(f"PRAGMA user_version = {self.version}")
        except BaseException:
            database.close()
            raise
        return database

    def _is_current(self, database: sqlite3.Connection) -> bool:
        (version,) = database.execute("PRAGMA user_version").fetchone()
        return bool(version == self.version)

    def _make(self, database: sqlite3.Connection) -> None:
        for name, statement in self.tables.items():
            database.execute(f"DROP TABLE IF EXISTS {name}")
            database.execute(statement)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(self.path.with_name(self.path.name + ".lock"), flags, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


@contextmanager
def transaction(database: sqlite3.Connection) -> Iterator[None]:
    """Make all changes inside or none."""
    database.execute("BEGIN IMMEDIATE")
    try:
        yield
        database.execute("COMMIT")
    except BaseException:
        database.rollback()
        raise
