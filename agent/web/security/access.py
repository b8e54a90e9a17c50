"""Tokens, sessions, login links and failed attempts, together: what the gate and the login page ask."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.audit import append
from agent.web.security.attempts import Attempts
from agent.web.security.links import Links
from agent.web.security.sessions import Sessions
from agent.web.security.tokens import Tokens

if TYPE_CHECKING:
    from agent.web.security.identity import Identity
    from spool.workspace import Workspace


class Access:
    """Who may come in to one workspace."""

    def __init__(self, workspace: Workspace, attempts: Attempts | None = None) -> None:
        self.workspace = workspace
        self.tokens = Tokens(workspace)
        self.sessions = Sessions(workspace, self.tokens)
        self.links = Links(workspace)
        self.attempts = attempts or Attempts()

    def log_in_with_token(self, text: str, address: str) -> str | None:
        """Open a session for who has a token; return the cookie's value, None when it is no token."""
        token = self.tokens.check(text)
        if token is None:
            self._refuse(address, "token")
            return None
        append(self.workspace, "login", who=token.name, address=address, by="token")
        return self.sessions.open_with(token)

    def log_in_with_link(self, key: str, address: str) -> str | None:
        """Open a session for who has a login link; return the cookie's value, None when it is used up."""
        link = self.links.use(key)
        if link is None:
            self._refuse(address, "link")
            return None
        append(self.workspace, "login", who=link.name, address=address, by="link")
        return self.sessions.open_as(link.name, link.scopes)

    def log_out(self, identity: Identity) -> None:
        """End the session of one who asks."""
        if identity.session is not None:
            self.sessions.close(identity.session)
            append(self.workspace, "logout", who=identity.name)

    def _refuse(self, address: str, by: str) -> None:
        """Count a failed login; in the audit log stands who failed too often: a line for many tries."""
        if self.attempts.failed(address):
            append(self.workspace, "login-refused", who="nobody", address=address, by=by)
