"""Idempotency keys: the same key with the same bytes never makes two tasks, whatever dies in between.

The key decides the task's file name, and its id when it brings none, so that a repetition finds the first
one wherever it is by then: waiting, claimed, in session, over, pruned, or on its way to a host. What bytes a
key stood for is noted before the task is dropped, so that other bytes are refused; a lock keeps two
repetitions at the same moment apart.

    .cache/keys/DIGEST      holds the SHA-256 of what was asked for

These notes may be deleted: then only other bytes are no longer told from the first ones.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from agent.service.errors import ServiceError
from spool.files import make_folder, put, read_regular

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from spool.workspace import Workspace

MOST_KEY_CHARS: Final = 255
KEPT_S: Final = 30 * 86_400
_ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_NOTE_BYTES: Final = 4096
_SWEEPING: Final = "00"
"""One key in 256 makes us look for old ones."""


@dataclass(frozen=True, slots=True)
class Key:
    """One key of one person; `digest` stands for both."""

    digest: str

    @classmethod
    def of(cls, key: str, by: str | None) -> Key:
        """Return it.

        Raises:
            ServiceError: it cannot be a key.
        """
        if not key.strip() or len(key) > MOST_KEY_CHARS or not key.isprintable():
            raise ServiceError(
                "invalid",
                f"the idempotency key must be 1 to {MOST_KEY_CHARS} printable characters: use a new UUID",
                field="key",
            )
        return cls(hashlib.sha256(json.dumps([by, key]).encode()).hexdigest())

    @property
    def ulid(self) -> str:
        """Return 26 characters like those of a ULID, always the same for this key."""
        value = int(self.digest, 16) & ((1 << 128) - 1)
        return "".join(_ALPHABET[value >> shift & 31] for shift in range(125, -1, -5))

    @contextmanager
    def alone(self, workspace: Workspace) -> Iterator[Path]:
        """Keep out whoever uses the same key now; the note's place.

        Raises:
            OSError: the disk.
        """
        folder = workspace.root / ".cache" / "keys"
        make_folder(folder)
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        # one lock for many keys: it is never removed, so nobody holds a lock without a name
        descriptor = os.open(folder / f".lock-{self.digest[:2]}", flags, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield folder / self.digest
        finally:
            os.close(descriptor)


def asked(content: bytes, attachments: Mapping[str, bytes], host: str | None) -> str:
    """Return the digest of what a submission asks for."""
    parts = [hashlib.sha256(content).hexdigest(), host or ""]
    parts += [f"{hashlib.sha256(attachments[name]).hexdigest()} {name}" for name in sorted(attachments)]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def is_new(path: Path, what: str) -> bool:
    """Tell whether a key was never used; False when it stood for the same before.

    Raises:
        ServiceError: it stood for something else.
        OSError: the disk.
    """
    try:
        before = read_regular(path, _NOTE_BYTES).decode(errors="replace").strip()
    except FileNotFoundError:
        return True
    if before != what:
        raise ServiceError(
            "conflict",
            "this idempotency key was used before for another task, other files or another host: "
            "use a new key for a new task",
            field="key",
        )
    return False


def note(path: Path, what: str) -> None:
    """Note what a key stands for, before its task is dropped.

    Raises:
        OSError: the disk.
    """
    put(path, f"{what}\n".encode())
    if path.name.startswith(_SWEEPING):
        sweep(path.parent, time.time())


def sweep(folder: Path, now_s: float) -> None:
    """Forget the keys that were noted long ago; others may do so at the same time."""
    for path in folder.iterdir():
        with suppress(FileNotFoundError):
            if not path.name.startswith(".") and path.lstat().st_mtime < now_s - KEPT_S:
                path.unlink()
