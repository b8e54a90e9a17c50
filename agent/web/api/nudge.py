"""The lists are looked at before a request that reads, and after one that changes something."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

    from agent.service.live import Live

_READS: Final = frozenset({"GET", "HEAD", "OPTIONS"})


class Nudge:
    """Has the index looked at: before a request that reads when nobody looked for long, after any other."""

    def __init__(self, app: ASGIApp, live: Live) -> None:
        self.app = app
        self.live = live

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, after or before a look."""
        reads = scope["type"] != "http" or scope["method"] in _READS
        if reads:
            await self.live.fresh()
        try:
            await self.app(scope, receive, send)
        finally:
            if not reads:
                self.live.look()
