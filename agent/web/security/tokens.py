"""Bearer tokens: `ais_ID_SECRET`, shown once; configs/tokens/ID.json keeps a digest."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from agent.web.security.credentials import (
    Credential,
    digest,
    file_of,
    folder_of,
    new_secret,
    same,
    take_away,
    write,
)
from agent.web.security.identity import SCOPES, Identity
from spool.records import utc_now

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from agent.web.security.identity import Scope
    from spool.workspace import Workspace

PREFIX: Final = "ais"
_TOKEN: Final = re.compile(rf"{PREFIX}_([0-9a-f]{{12}})_([A-Za-z0-9_-]{{43}})")
_ID: Final = re.compile(r"[0-9a-f]{12}")


class TokenError(Exception):
    """A token cannot be made or found; the message says what to do."""


class TokenRecord(Credential):
    """configs/tokens/ID.json.

    Args:
        sha256: of the whole token.
        created_by: the user who made it.
    """

    sha256: str
    created_by: str


@dataclass(frozen=True, slots=True)
class Token:
    """A token as a list shows it; the secret is in nobody's hands but its owner's."""

    token_id: str
    record: TokenRecord

    @property
    def name(self) -> str:
        """The name that the audit log and the page show."""
        return f"token:{self.record.name}"


class Tokens:
    """The tokens of a workspace."""

    def __init__(self, workspace: Workspace) -> None:
        self.folder = folder_of(workspace)

    def create(
        self, name: str, scopes: Iterable[Scope], *, by: str, expires_at: datetime | None = None
    ) -> tuple[str, Token]:
        """Make a token; return what its owner is shown, once, and what is kept.

        Raises:
            TokenError: the name is taken or not printable, or there is no scope.
        """
        granted = frozenset(scopes)
        if not granted:
            raise TokenError(f"a token needs at least one scope: {', '.join(SCOPES)}")
        if not name or not name.isprintable() or len(name) > 100:  # noqa: PLR2004 - said in the message
            raise TokenError("a token's name has 1 to 100 printable characters: choose another")
        if any(token.record.name == name for token in self.all()):
            raise TokenError(f"there is a token {name!r} already: choose another name, or revoke it first")
        token_id = secrets.token_hex(6)
        secret = f"{PREFIX}_{token_id}_{new_secret()}"
        record = TokenRecord(
            name=name,
            scopes=tuple(scope for scope in SCOPES if scope in granted),
            created_at=utc_now(),
            expires_at=expires_at,
            sha256=digest(secret),
            created_by=by,
        )
        write(record, self.folder, token_id)
        return secret, Token(token_id, record)

    def all(self) -> list[Token]:
        """Return all tokens, also those that have expired, by age."""
        found = (Token(token_id, record) for token_id, record in TokenRecord.all(self.folder))
        return sorted(found, key=lambda token: (token.record.created_at, token.token_id))

    def usable(self, now: datetime | None = None) -> list[Token]:
        """Return the tokens that let somebody in."""
        moment = now or utc_now()
        return [token for token in self.all() if not token.record.is_expired(moment)]

    def revoke(self, which: str) -> Token:
        """Remove a token, by its id or its name.

        Raises:
            TokenError: there is none.
        """
        for token in self.all():
            if which in {token.token_id, token.record.name} and take_away(self.folder, token.token_id):
                return token
        raise TokenError(f"there is no token {which!r}: `aispool token list` shows all")

    def find(self, token_id: str, now: datetime | None = None) -> Token | None:
        """Return a token that lets somebody in; None when it was revoked or has expired."""
        if not _ID.fullmatch(token_id):
            return None
        record = TokenRecord.of(self.folder, token_id)
        return Token(token_id, record) if record and not record.is_expired(now or utc_now()) else None

    def check(self, text: str, now: datetime | None = None) -> Token | None:
        """Return the token that this text is; None when it is none of ours."""
        match = _TOKEN.fullmatch(text)
        token = self.find(match.group(1), now) if match else None
        return token if token and same(token.record.sha256, digest(text)) else None

    def identity(self, text: str) -> Identity | None:
        """Return who comes with this token; None when it is none of ours."""
        token = self.check(text)
        if token is None:
            return None
        token_id = token.token_id
        return Identity(token.name, token.record.granted(), lasts=lambda: self.find(token_id) is not None)

    def path(self, token: Token) -> str:
        """Return where a token's record lies."""
        return str(file_of(self.folder, token.token_id))
