"""What every page and every route is given.

A page registers so, in a module of `agent.web.pages`:

    def register(context: Context) -> None:
        @ui.page("/tasks")
        async def tasks(request: Request) -> None:
            identity = who(request)          # the gate let nobody in who is not known
            identity.require("read")
            ...
            ui.button("Cancel", on_click=lambda: identity.require("operate") or ...)

and is named in `agent.web.pages.register`. `identity.require(SCOPE)` stands before every action, also in the
handlers of a page that is open already: it notices a session that has ended. `identity.name` is the `by` of
the actions of `agent.service`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from agent.web.security.identity import SCOPES, ForbiddenError, Identity, LoggedOutError, Scope, who

if TYPE_CHECKING:
    from agent.service.index import Index
    from agent.service.live import Live
    from agent.service.places import Desk
    from agent.web.security.access import Access

__all__ = ["SCOPES", "Context", "ForbiddenError", "Identity", "LoggedOutError", "Scope", "Settings", "who"]


@dataclass(frozen=True, slots=True)
class Settings:
    """Where the server listens, and how it is reached.

    Args:
        host: the address that is bound.
        port: that is bound.
        tls: the server itself speaks TLS.
        proxy: the name under which a proxy in front of us is reached.
        proxy_addresses: where it connects from: its forwarded headers are believed; nobody else is let in.
        names: further names in a Host header that are ours.
    """

    host: str = "127.0.0.1"
    port: int = 8377
    tls: bool = False
    proxy: str | None = None
    proxy_addresses: tuple[str, ...] = ("127.0.0.1", "::1")
    names: tuple[str, ...] = ()

    @property
    def secure(self) -> bool:
        """Tell whether browsers reach us through TLS, so that cookies may say Secure."""
        return self.tls or self.proxy is not None


@dataclass(frozen=True, slots=True)
class Context:
    """The parts that a page or a route works with; one for each server.

    Args:
        desk: the workspace, and the mirrors of the hosts: what actions are done on.
        index: the lists, from a derived index.
        live: tells when something changed: `await context.live.changed(since_revision)`.
        access: tokens, sessions, login links.
        settings: where the server listens.
    """

    desk: Desk
    index: Index
    live: Live
    access: Access
    settings: Settings
