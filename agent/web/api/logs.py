"""What a task prints, as it prints it."""

from __future__ import annotations

import asyncio
import codecs
from collections.abc import AsyncIterator
from typing import Annotated, Final

from annotated_types import Ge, Le
from fastapi import APIRouter, Header, Query
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import Response
from pydantic import BeforeValidator

from agent.client.models import LogPart
from agent.service import logs
from agent.web.api import schemas, sse
from agent.web.api.parameters import Host, Now, Reader, TaskId, digits
from agent.web.context import Identity

routes = APIRouter(tags=["Logs"])

POLL_S: Final = 0.25
"""A file that grows says so to nobody: it is looked at so often."""
MOST_BYTES: Final = 1 << 20
_LARGEST: Final = (1 << 52) - 1

Offset = Annotated[
    int,
    Ge(0),
    Le(_LARGEST),
    BeforeValidator(digits),
    Query(
        description="Where to begin: `next_offset` of the piece before. 0: the beginning of what is kept.",
        examples=[0],
    ),
]
Most = Annotated[
    int,
    Ge(16),
    Le(MOST_BYTES),
    BeforeValidator(digits),
    Query(description="So many bytes at most.", examples=[65536]),
]
LastEventId = Annotated[
    Annotated[int, Ge(0), Le(_LARGEST), BeforeValidator(digits)] | None,
    Header(
        alias="Last-Event-ID", examples=[0],
        description="The id of the last event that arrived: it goes on there. It wins over `offset`.",
    ),
]  # fmt: skip


@routes.get("/tasks/{task_id}/log", summary="Get a piece of a task's output")
def get_log(
    context: Now,
    _identity: Reader,
    task_id: TaskId,
    host: Host = None,
    offset: Offset = 0,
    most_bytes: Most = 65536,
) -> LogPart:
    """Get what a task printed behind an offset: both streams in their order, escapes and all.

    Offsets stay right when the log rotates and when the task ends; bytes that are no UTF-8 become U+FFFD.
    """
    source = logs.log(context.desk, task_id, host)
    return read(source, offset, most_bytes)


@routes.get(
    "/tasks/{task_id}/log/stream", summary="Follow a task's output", response_class=Response,
    responses={200: schemas.events("`output` (its id: next_offset), at the end `over`.")},
)  # fmt: skip
def follow_log(
    context: Now,
    identity: Reader,
    task_id: TaskId,
    follows: sse.Follows,
    host: Host = None,
    offset: Offset = 0,
    last_event_id: LastEventId = None,
) -> Response:
    """Follow what a task prints, as server-sent events, until it is over; rotation does not disturb it.

    Without `Accept: text/event-stream` it ends with what is there now.
    """
    source = logs.log(context.desk, task_id, host)
    begin = offset if last_event_id is None else last_event_id
    return sse.stream(_follow(source, identity, begin, follows=follows))


async def _follow(
    source: logs.LogSource, identity: Identity, offset: int, *, follows: bool
) -> AsyncIterator[str]:
    while await run_in_threadpool(identity.may, "read"):
        part = await run_in_threadpool(read, source, offset)
        if part.text:
            yield sse.event("output", part.model_dump(), part.next_offset)
        offset = part.next_offset
        if part.over:
            yield sse.event("over", {"offset": offset}, offset)
            return
        if not part.text:
            if not follows:
                return
            await asyncio.sleep(POLL_S)


def read(source: logs.LogSource, offset: int, most_bytes: int = logs.PIECE_BYTES) -> LogPart:
    """Return what follows an offset; a character is never cut in two.

    Raises:
        OSError: it cannot be read.
    """
    content, behind, over = source.read(offset, most_bytes)
    cut = _unfinished(content)
    if cut == len(content) and content:
        # a character's first bytes alone: what follows tells whether the rest will still come
        following, _, ended = source.read(behind, most_bytes)
        if not following and not ended:
            return LogPart(offset=offset, next_offset=offset, text="", over=False)
        again, _, _ = source.read(offset, most_bytes)
        if len(again) == len(content):
            cut = 0
        else:
            return read(source, offset, most_bytes)
    text = content[: len(content) - cut].decode(errors="replace")
    return LogPart(offset=offset, next_offset=behind - cut, text=text, over=over and not cut)


def _unfinished(content: bytes) -> int:
    """Return how many bytes at the end begin a character that is not whole."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    decoder.decode(content[-3:])
    pending, _ = decoder.getstate()
    return len(pending)
