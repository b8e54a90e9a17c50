"""Login links: `/login?key=…`, printed for whoever started the server; one use, a short life.

Other users of the machine reach 127.0.0.1 too, so nobody is let in without a key; the link is how the first
browser gets in without a token (Jupyter does the same).
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from agent.web.security.credentials import Credential, digest, folder_of, new_secret, take_away, write
from agent.web.security.identity import SCOPES
from spool.records import utc_now

if TYPE_CHECKING:
    from spool.workspace import Workspace

LIFETIME: Final = timedelta(minutes=10)
MAX_KEY_CHARS: Final = 100


class LinkRecord(Credential):
    """configs/tokens/.links/DIGEST.json."""


class Links:
    """The login links of a workspace that were not used yet."""

    def __init__(self, workspace: Workspace) -> None:
        self.folder = folder_of(workspace, ".links")

    def create(self, name: str) -> str:
        """Make a link for a user of this machine, who may do everything; return its key."""
        self.sweep()
        now = utc_now()
        key = new_secret()
        record = LinkRecord(name=name, scopes=SCOPES, created_at=now, expires_at=now + LIFETIME)
        write(record, self.folder, digest(key))
        return key

    def use(self, key: str) -> LinkRecord | None:
        """Use up a link; None when it was used, has expired, or never was one."""
        if len(key) > MAX_KEY_CHARS:
            return None
        name = digest(key)
        record = LinkRecord.of(self.folder, name)
        if record is None or not take_away(self.folder, name) or record.is_expired(utc_now()):
            return None
        return record

    def sweep(self) -> None:
        """Remove what has expired."""
        now = utc_now()
        for name, record in list(LinkRecord.all(self.folder)):
            if record.is_expired(now):
                take_away(self.folder, name)
