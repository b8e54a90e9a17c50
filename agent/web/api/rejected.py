"""Files that could not be accepted, and why."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Final

from fastapi import APIRouter
from fastapi import Path as InPath

from agent.client.models import Rejected, RejectedPage
from agent.service.errors import ServiceError
from agent.web.api.parameters import Cursor, Host, Limit, Now, Reader
from agent.web.context import Context
from spool.files import NotRegularError, TooLargeError, read_regular
from spool.view import RejectedFile, rejected

routes = APIRouter(tags=["Rejected files"])

_MOST_BYTES: Final = 1 << 20


@routes.get("/rejected", summary="List files that could not be accepted")
def list_rejected(
    context: Now, _identity: Reader, host: Host = None, cursor: Cursor = None, limit: Limit = 50
) -> RejectedPage:
    """List what was refused, here and on all hosts, with why and what to do, by name."""
    found = sorted(_all(context, host), key=lambda one: _key(*one))
    names = [_key(*one) for one in found]
    if cursor is not None and cursor not in names:
        raise ServiceError("not_found", f"{cursor!r} is no cursor: use `next` of an answer", field="cursor")
    begin = names.index(cursor) + 1 if cursor is not None else 0
    page = found[begin : begin + limit]
    more = begin + limit < len(found)
    return RejectedPage(
        rejected=tuple(_of(where, file) for where, file in page),
        next=_key(*page[-1]) if more else None,
        total=len(found),
    )


@routes.get("/rejected/{name}", summary="Say why a file was not accepted")
def get_rejected(
    context: Now,
    _identity: Reader,
    name: Annotated[str, InPath(min_length=1, max_length=255, examples=["broken.json"])],
    host: Host = None,
) -> Rejected:
    """Say why a file was not accepted, where it is wrong, and what to do."""
    for where, file in _all(context, host):
        if file.name == name:
            return _of(where, file)
    raise ServiceError("not_found", f"no file {name!r} was rejected: the list names those that were")


def _all(context: Context, host: str | None) -> list[tuple[str | None, RejectedFile]]:
    return [(place.host, file) for place in context.desk.places(host) for file in rejected(place.workspace)]


def _key(host: str | None, file: RejectedFile) -> str:
    return f"{host or ''}/{file.name}"


def _of(host: str | None, file: RejectedFile) -> Rejected:
    return Rejected(
        name=file.name,
        path=str(file.path),
        explanation=str(file.explanation),
        host=host,
        error=_error(file.explanation),
    )


def _error(path: Path) -> dict[str, Any] | None:
    try:
        document = json.loads(read_regular(path, _MOST_BYTES))
    except (OSError, NotRegularError, TooLargeError, ValueError):
        return None  # the paths are told all the same
    return document if isinstance(document, dict) else None
