"""What routes are given: who is asking, and the parameters that several of them have.

Text of a URL is read strictly: a number is digits, true and false are the only booleans. What a schema in
openapi.json calls valid is accepted, and nothing else.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any, Final

from annotated_types import Ge, Le
from fastapi import Depends, Header, Path, Query, Request
from pydantic import BeforeValidator, WithJsonSchema

from agent.web.context import Context, Identity, Scope, who
from spool.records import utc_now

if TYPE_CHECKING:
    from collections.abc import Callable

_DIGITS: Final = re.compile(r"0|[1-9][0-9]{0,18}")
_SPAN: Final = re.compile(r"([1-9][0-9]{0,3})(min|m|h|d|w)")
_SPAN_S: Final = {"min": 60, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_RFC3339: Final = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
TASK_ID_PATTERN: Final = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"


def context_of(request: Request) -> Context:
    """Return the parts that the app works with."""
    context = request.app.state.context
    assert isinstance(context, Context)
    return context


def _with(scope: Scope) -> Callable[[Request], Identity]:
    def ask(request: Request) -> Identity:
        identity = who(request)
        identity.require(scope)
        return identity

    return ask


def known(request: Request) -> Identity:
    """Return who is asking, whatever they may do."""
    return who(request)


def digits(value: Any) -> Any:
    """Return the number that a URL's text is; what is no number is left for the error."""
    if isinstance(value, str):
        if not _DIGITS.fullmatch(value):
            raise ValueError("it is no whole number: write digits")
        return int(value)
    return value


def word(value: Any) -> Any:
    """Return the boolean that a URL's text is."""
    if isinstance(value, str):
        if value not in {"true", "false"}:
            raise ValueError("write true or false")
        return value == "true"
    return value


def moment(value: Any) -> Any:
    """Return the moment that a URL's text is: RFC 3339, or so long ago."""
    if not isinstance(value, str):
        return value
    if span := _SPAN.fullmatch(value):
        return utc_now() - timedelta(seconds=int(span[1]) * _SPAN_S[span[2]])
    if not _RFC3339.fullmatch(value):
        raise ValueError("write 2026-11-22T18:00:00Z, or how long ago: 90m, 12h, 7d")
    # datetime holds no leap second, and microseconds at most
    text = re.sub(r"(\.\d{6})\d+", r"\1", value.upper()).replace(":60", ":59", 1)
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except OverflowError:
        return datetime.min.replace(tzinfo=UTC) if text < "1000" else datetime.max.replace(tzinfo=UTC)


Now = Annotated[Context, Depends(context_of)]
Reader = Annotated[Identity, Depends(_with("read"))]
Submitter = Annotated[Identity, Depends(_with("submit"))]
Operator = Annotated[Identity, Depends(_with("operate"))]
Approver = Annotated[Identity, Depends(_with("approve"))]
Anyone = Annotated[Identity, Depends(known)]

TaskId = Annotated[
    str,
    Path(
        pattern=TASK_ID_PATTERN,
        description="A task's id; of a waiting file without one, its name.",
        examples=["nightly"],
    ),
]
Host = Annotated[
    str | None,
    Query(
        min_length=1, max_length=100,
        description="Where to look: a host's name, `any`, or `here` for the server's own workspace. "
        "Without it, everywhere, the own workspace first.",
        examples=["here"],
    ),
]  # fmt: skip
Limit = Annotated[
    int, Ge(1), Le(1000), BeforeValidator(digits), Query(description="So many at most.", examples=[50])
]
Cursor = Annotated[
    str | None,
    Query(min_length=1, max_length=2000, description="`next` of the page before.", examples=["10"]),
]
Flag = Annotated[bool, BeforeValidator(word)]
Moment = Annotated[
    datetime,
    BeforeValidator(moment),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "format": "date-time"},
                {"type": "string", "pattern": "^[1-9][0-9]{0,3}(min|m|h|d|w)$"},
            ],
            "examples": ["2026-11-22T18:00:00Z", "12h"],
        }
    ),
]
IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key", min_length=1, max_length=128, pattern=r"^[A-Za-z0-9._:-]+$",
        description="The same key with the same body never makes two: the second answer is about the first.",
        examples=["2026-11-22-nightly"],
    ),
]  # fmt: skip
