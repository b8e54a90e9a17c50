"""One line of the log, and the names of its files."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from spool.files import read_regular

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from spool.workspace import Workspace

NAME: Final = "audit.jsonl"
HEAD: Final = ".audit.head"
LOCK: Final = ".audit.lock"
MENDED: Final = "mended"
NOTHING_BEFORE: Final = "0" * 64
LINE_BYTES: Final = 1 << 20
"""No entry is longer."""

OWN: Final = frozenset({"n", "at", "event", "who", "task_id", "prev"})
"""Fields that every entry has; all others are its details."""


class AuditError(Exception):
    """An entry cannot be written; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry.

    Args:
        n: from 1, without gaps.
        at: UTC, ISO 8601.
        prev: the digest of the line before it.
        sha256: of its own line, without the line break.
        details: all other fields.
    """

    n: int
    at: str
    event: str
    who: str
    task_id: str | None
    prev: str
    sha256: str
    details: dict[str, Any]

    def document(self) -> dict[str, Any]:
        """Return it as `--json` has it."""
        own = {"n": self.n, "at": self.at, "event": self.event, "who": self.who, "task_id": self.task_id}
        return {**own, "sha256": self.sha256, "details": self.details}


def parse(line: bytes) -> Entry | None:
    """Return what a line without its line break says; None when it is no entry."""
    try:
        fields = json.loads(line)
        own = {name: fields.pop(name) for name in OWN}
    except (ValueError, RecursionError, TypeError, AttributeError, KeyError):
        return None
    entry = Entry(**own, sha256=digest(line), details=fields)
    texts = all(isinstance(own[name], str) for name in ("at", "event", "who", "prev"))
    return entry if type(entry.n) is int and texts and isinstance(entry.task_id, str | None) else None


def digest(content: bytes) -> str:
    """Return the SHA-256, in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def files(workspace: Workspace) -> list[Path]:
    """Return the log's files in the order of the chain."""
    full = [
        name
        for name in os.listdir(workspace.logs)
        if name.startswith("audit-") and name.endswith(".jsonl") and name[6:-6].isdecimal()
    ]
    paths = [workspace.logs / name for name in sorted(full, key=lambda name: int(name[6:-6]))]
    current = workspace.logs / NAME
    return [*paths, current] if current.exists() else paths


def head(workspace: Workspace) -> tuple[int, str] | None:
    """Return number and digest of the last entry that was acknowledged; None when nothing says so."""
    try:
        number, sha256 = read_regular(workspace.logs / HEAD, 256).decode().split()
        return int(number), sha256
    except (FileNotFoundError, ValueError):
        return None


def contradicts(noted: tuple[int, str] | None, last: Entry | None) -> bool:
    """Tell whether the head knows of an entry that is not there.

    After a crash it may be behind the last entry, never ahead of it.
    """
    if noted is None:
        return False
    number, sha256 = noted
    return last is None or number > last.n or (number == last.n and sha256 != last.sha256)


@contextmanager
def alone(workspace: Workspace) -> Iterator[None]:
    """Keep every other writer out, threads of this process included."""
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    with _held(os.open(workspace.logs / LOCK, flags, 0o600), fcntl.LOCK_EX):
        yield


@contextmanager
def unwritten(workspace: Workspace) -> Iterator[None]:
    """Keep writers out for a moment, in a workspace that may be read only."""
    try:
        descriptor = os.open(workspace.logs / LOCK, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        yield  # nobody has ever written
        return
    with _held(descriptor, fcntl.LOCK_SH):
        yield


@contextmanager
def _held(descriptor: int, kind: int) -> Iterator[None]:
    try:
        fcntl.flock(descriptor, kind)
        yield
    finally:
        os.close(descriptor)
