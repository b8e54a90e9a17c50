"""Browsers that are logged in: a cookie, of which configs/tokens/.sessions/ keeps a digest.

A session ends by itself after some days, with the token that opened it, and by logging out. It lies on disk
so that a server which was killed and started again still knows its browsers.
"""

from __future__ import annotations

import hashlib
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from agent.web.security.credentials import Credential, digest, folder_of, new_secret, take_away, write
from agent.web.security.identity import Identity
from spool.records import utc_now

if TYPE_CHECKING:
    from datetime import datetime

    from agent.web.security.identity import Scope
    from agent.web.security.tokens import Token, Tokens
    from spool.workspace import Workspace

LIFETIME: Final = timedelta(days=7)
MAX_COOKIE_CHARS: Final = 100


class SessionRecord(Credential):
    """configs/tokens/.sessions/DIGEST.json; `token_id` names the token it lives and dies with."""

    token_id: str | None = None


class Sessions:
    """The sessions of a workspace."""

    def __init__(self, workspace: Workspace, tokens: Tokens) -> None:
        self.folder = folder_of(workspace, ".sessions")
        self.tokens = tokens

    def open_with(self, token: Token) -> str:
        """Log a browser in with a token; return the cookie's value."""
        ends = utc_now() + LIFETIME
        if token.record.expires_at is not None:
            ends = min(ends, token.record.expires_at)
        return self._open(token.name, token.record.scopes, ends, token.token_id)

    def open_as(self, name: str, scopes: tuple[Scope, ...]) -> str:
        """Log a browser in as a user of this machine; return the cookie's value."""
        return self._open(name, scopes, utc_now() + LIFETIME, None)

    def _open(self, name: str, scopes: tuple[Scope, ...], ends: datetime, token_id: str | None) -> str:
        self.sweep()
        cookie = new_secret()
        record = SessionRecord(
            name=name, scopes=scopes, created_at=utc_now(), expires_at=ends, token_id=token_id
        )
        write(record, self.folder, digest(cookie))
        return cookie

    def identity(self, cookie: str) -> Identity | None:
        """Return who is logged in with this cookie; None when nobody is."""
        if len(cookie) > MAX_COOKIE_CHARS:
            return None
        session = digest(cookie)
        record = self._standing(session)
        if record is None:
            return None
        return Identity(
            record.name,
            record.granted(),
            session=session,
            csrf=csrf_of(cookie),
            lasts=lambda: self._standing(session) is not None,
        )

    def _standing(self, session: str) -> SessionRecord | None:
        record = SessionRecord.of(self.folder, session)
        if record is None or record.is_expired(utc_now()):
            return None
        if record.token_id is not None and self.tokens.find(record.token_id) is None:
            return None
        return record

    def close(self, session: str) -> None:
        """Log a browser out; every page it has open notices."""
        take_away(self.folder, session)

    def sweep(self) -> None:
        """Remove what has ended."""
        for session, _ in list(SessionRecord.all(self.folder)):
            if self._standing(session) is None:
                take_away(self.folder, session)


def csrf_of(cookie: str) -> str:
    """Return what a form of this session must hold: who cannot read the cookie cannot make it."""
    return hashlib.sha256(b"csrf " + cookie.encode()).hexdigest()
