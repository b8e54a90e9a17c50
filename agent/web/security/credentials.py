"""Files that hold who may come in: one record a file, named by an id or a digest, never by a secret.

    configs/tokens/ID.json                a token: its digest, scopes and expiry
    configs/tokens/.sessions/DIGEST.json  a browser that is logged in; DIGEST is that of its cookie
    configs/tokens/.links/DIGEST.json     a login link that was printed and not used yet

All are 0600. Removing a file revokes what it stands for, at once and for a server that runs. Secrets have 256
random bits, so that a plain SHA-256 is enough to keep them (RFC 6749, section 10.10, asks for 160).
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from datetime import datetime  # noqa: TC003 - pydantic reads it
from pathlib import Path  # noqa: TC003 - public signatures
from typing import TYPE_CHECKING, Final, Self

from agent.web.security.identity import Scope, scopes_of
from spool.files import make_folder
from spool.records import DamagedError, Record, Utc

if TYPE_CHECKING:
    from collections.abc import Iterator

    from spool.workspace import Workspace

FOLDER: Final = "tokens"
SECRET_BYTES: Final = 32
_SUFFIX: Final = ".json"


class Credential(Record):
    """What every record of this folder says.

    Args:
        name: of the one who comes in with it, for the audit log.
        expires_at: when it ends; null: never.
    """

    name: str
    scopes: tuple[Scope, ...]
    created_at: Utc
    expires_at: Utc | None = None

    def is_expired(self, now: datetime) -> bool:
        """Tell whether it has ended by itself."""
        return self.expires_at is not None and now >= self.expires_at

    def granted(self) -> frozenset[Scope]:
        """Return its scopes."""
        return scopes_of(self.scopes)

    @classmethod
    def all(cls, folder: Path) -> Iterator[tuple[str, Self]]:
        """Yield the id and the record of each file; what is damaged lets nobody in and is left out."""
        try:
            names = sorted(os.listdir(folder))
        except FileNotFoundError:
            return
        for name in names:
            if name.startswith(".") or not name.endswith(_SUFFIX):
                continue
            record = cls.of(folder, name.removesuffix(_SUFFIX))
            if record is not None:
                yield name.removesuffix(_SUFFIX), record

    @classmethod
    def of(cls, folder: Path, name: str) -> Self | None:
        """Return one record; None when there is none that can be read."""
        try:
            return cls.read(file_of(folder, name))
        except (DamagedError, OSError):
            return None


def file_of(folder: Path, name: str) -> Path:
    """Return the file of a record."""
    return folder / (name + _SUFFIX)


def folder_of(workspace: Workspace, name: str = "") -> Path:
    """Return the folder of a kind of record."""
    return workspace.configs / FOLDER / name if name else workspace.configs / FOLDER


def write(record: Credential, folder: Path, name: str) -> None:
    """Put a record for good; its file is readable by its owner only."""
    make_folder(folder)
    record.write(file_of(folder, name))


def take_away(folder: Path, name: str) -> bool:
    """Remove a record; tell whether it was us who did, when several try at once."""
    try:
        file_of(folder, name).unlink()
    except FileNotFoundError:
        return False
    return True


def new_secret() -> str:
    """Return 256 random bits, in letters that a URL and a cookie may hold."""
    return secrets.token_urlsafe(SECRET_BYTES)


def digest(secret: str) -> str:
    """Return what is kept of a secret."""
    return hashlib.sha256(secret.encode()).hexdigest()


def same(one: str, other: str) -> bool:
    """Compare without telling by the time it takes how far they agree."""
    return hmac.compare_digest(one.encode(), other.encode())
