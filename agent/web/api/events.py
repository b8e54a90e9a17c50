"""That something changed, as it changes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Final

from annotated_types import Ge, Le
from fastapi import APIRouter, Header
from fastapi.responses import Response
from pydantic import BeforeValidator

from agent.web.api import schemas, sse
from agent.web.api.parameters import Now, Reader, digits
from agent.web.context import Context, Identity

routes = APIRouter(tags=["Server"])

_CHECK_S: Final = 30.0
_LARGEST: Final = (1 << 63) - 1


@routes.get(
    "/events", summary="Follow what changes", response_class=Response,
    responses={200: schemas.events("`changed` (revision, also the id) when a task did.")},
)  # fmt: skip
def follow_events(
    context: Now,
    identity: Reader,
    follows: sse.Follows,
    last_event_id: Annotated[
        Annotated[int, Ge(0), Le(_LARGEST), BeforeValidator(digits)] | None,
        Header(
            alias="Last-Event-ID",
            examples=[0],
            description="The last revision that arrived: what changed since is told at once.",
        ),
    ] = None,
) -> Response:
    """Follow, as server-sent events, that something of the workspace or of a host changed.

    With `Accept: text/event-stream` it does not end; without, it tells the revision and ends.
    """
    since = context.index.revision if last_event_id is None else last_event_id
    return sse.stream(_changes(context, identity, since, follows=follows))


async def _changes(context: Context, identity: Identity, since: int, *, follows: bool) -> AsyncIterator[str]:
    yield sse.event("revision", {"revision": context.index.revision}, context.index.revision)
    while follows and identity.may("read"):
        revision = await context.live.changed(since, _CHECK_S)
        if revision != since:
            yield sse.event("changed", {"revision": revision}, revision)
        since = revision
