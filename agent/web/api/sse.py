"""Server-sent events: what changes, as it changes.

Each event's id says where it ends, so that a reader whose connection broke goes on there (Last-Event-ID). A
reader that does not ask for events (Accept: text/event-stream, as every EventSource does) gets those that
there are now, and the end: a program that reads to the end of an answer does not hang.
"""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Annotated, Any, Final

from fastapi import Depends, Request
from fastapi.responses import StreamingResponse

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

MEDIA_TYPE: Final = "text/event-stream"
KEEP_ALIVE_S: Final = 15.0
"""A comment is sent so often while there is nothing to say: proxies cut what is silent."""


def _is_wanted(request: Request) -> bool:
    return MEDIA_TYPE in request.headers.get("accept", "")


Follows = Annotated[bool, Depends(_is_wanted)]
"""Whether who asks wants what is still to come."""


def event(name: str, data: Mapping[str, Any], event_id: str | int | None = None) -> str:
    """Return one event as it stands on the wire."""
    lines = [f"event: {name}", f"data: {json.dumps(data, ensure_ascii=False)}"]
    if event_id is not None:
        lines.insert(0, f"id: {event_id}")
    return "\n".join(lines) + "\n\n"


def stream(events: AsyncIterator[str]) -> StreamingResponse:
    """Return the answer that sends events until there are no more."""
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(_kept_alive(events), media_type=MEDIA_TYPE, headers=headers)


async def _kept_alive(events: AsyncIterator[str]) -> AsyncIterator[str]:
    """Yield the events, and comments while there are none."""
    yield ": hello\n\n"
    waiting: asyncio.Task[str] | None = None
    try:
        while True:
            waiting = waiting or asyncio.ensure_future(anext(events))
            done, _ = await asyncio.wait({waiting}, timeout=KEEP_ALIVE_S)
            if not done:
                yield ": still here\n\n"
                continue
            try:
                yield waiting.result()
            except StopAsyncIteration:
                return
            waiting = None
    finally:
        if waiting is not None:
            waiting.cancel()
