"""After a request that changes something the lists are looked at at once, so that who asks next sees it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

    from agent.service.live import Live

_READS: Final = frozenset({"GET", "HEAD", "OPTIONS"})


class Nudge:
    """Has the index looked at when a request was not only to read."""

    def __init__(self, app: ASGIApp, live: Live) -> None:
        self.app = app
        self.live = live

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, then look."""
        try:
            await self.app(scope, receive, send)
        finally:
            if scope["type"] == "http" and scope["method"] not in _READS:
                self.live.look()
