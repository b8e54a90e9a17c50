"""What both clients share: a request as a value, when it is repeated, and what its answer means."""

from __future__ import annotations

import json
import random
import uuid
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar
from urllib.parse import quote

import httpx
from pydantic import BaseModel, ValidationError

from agent.client.errors import ClientError, error_of
from agent.client.models import Problem

if TYPE_CHECKING:
    from collections.abc import Mapping

Model = TypeVar("Model", bound=BaseModel)

PREFIX: Final = "/api/v1"
RETRIES: Final = 4
TIMEOUT_S: Final = 30.0
FIRST_WAIT_S: Final = 0.2
MOST_WAIT_S: Final = 10.0
_WORTH_REPEATING: Final = frozenset({429, 502, 503, 504})
_FILE_FIELD: Final = "files"


@dataclass(frozen=True, slots=True)
class Call(Generic[Model]):
    """One request, and what its answer is.

    Args:
        path: below /api/v1.
        query: None is left out; a list is repeated.
        safe: to be repeated when it is not known whether it arrived.
    """

    method: str
    path: str
    answer: type[Model]
    query: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    content: bytes | None = None
    files: Mapping[str, bytes] = field(default_factory=dict)
    safe: bool = True

    def options(self) -> dict[str, Any]:
        """Return what httpx is called with."""
        found: dict[str, Any] = {
            "method": self.method,
            "url": PREFIX + self.path,
            "params": [pair for name, value in self.query.items() for pair in _pairs(name, value)],
            "headers": dict(self.headers),
        }
        if self.files:
            task = ("task", (None, self.content or b"", "application/json"))
            found["files"] = [task, *((_FILE_FIELD, item) for item in self.files.items())]
        elif self.content is not None:
            found["content"] = self.content
            found["headers"]["Content-Type"] = "application/json"
        return found


def _pairs(name: str, value: Any) -> list[tuple[str, str]]:
    if value is None:
        return []
    values = value if isinstance(value, list | tuple) else [value]
    return [(name, _text(each)) for each in values]


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


def segment(text: str) -> str:
    """Return a name as a part of a path."""
    return quote(text, safe="")


def body(model: BaseModel) -> bytes:
    """Return a request's body."""
    return model.model_dump_json(exclude_unset=True).encode()


def encoded(task: Mapping[str, Any] | bytes | str) -> bytes:
    """Return a task file's bytes: as they are, or made of its fields."""
    if isinstance(task, bytes):
        return task
    return task.encode() if isinstance(task, str) else json.dumps(dict(task), ensure_ascii=False).encode()


def new_key() -> str:
    """Return an idempotency key that nobody has used."""
    return uuid.uuid4().hex


def keyed(call: Call[Model], key: str | None) -> Call[Model]:
    """Return a call that drops a task at most once, however often it is sent."""
    return replace(call, headers={**call.headers, "Idempotency-Key": key or new_key()})


def is_worth_repeating(call: Call[Any], response: httpx.Response) -> bool:
    """Tell whether a later try may be answered otherwise."""
    refused = response.status_code == httpx.codes.TOO_MANY_REQUESTS
    return response.status_code in _WORTH_REPEATING and (call.safe or refused)


def wait_s(tries: int, response: httpx.Response | None) -> float:
    """Return how long to wait before the next try: what the server says, else longer each time."""
    said = response.headers.get("Retry-After", "") if response is not None else ""
    if said.isdecimal():
        return min(float(said), MOST_WAIT_S)
    return min(FIRST_WAIT_S * 2.0**tries, MOST_WAIT_S) * random.uniform(0.5, 1.0)  # noqa: S311 - only spread


def understood(call: Call[Model], response: httpx.Response) -> Model:
    """Return what an answer says.

    Raises:
        ProblemError: the server refused.
        ClientError: something else answered.
    """
    check(response)
    try:
        return call.answer.model_validate_json(response.content)
    except ValidationError as error:
        raise ClientError(
            f"{response.url} does not answer as this client knows it: is the server of another version? "
            f"({error.error_count()} fields differ)"
        ) from None


def check(response: httpx.Response) -> None:
    """Return when the server did what it was asked.

    Raises:
        ProblemError: the server refused.
        ClientError: something else answered.
    """
    if response.is_success:
        return
    try:
        problem = Problem.model_validate_json(response.content)
    except ValidationError:
        raise ClientError(
            f"{response.url} answered {response.status_code}: is that the address of `aispool serve`?"
        ) from None
    raise error_of(problem)


def unreachable(url: httpx.URL, error: Exception) -> str:
    """Say that a server does not answer."""
    return f"{url} does not answer ({str(error) or type(error).__name__}): does `aispool serve` run there?"


@dataclass(slots=True)
class Event:
    """One server-sent event."""

    name: str = "message"
    data: str = ""
    event_id: str | None = None


class Events:
    """Makes events of the lines of a stream."""

    def __init__(self) -> None:
        self._event = Event()

    def feed(self, line: str) -> Event | None:
        """Take a line without its line break; return the event that it ends."""
        if not line:
            done, self._event = self._event, Event()
            return done if done.data else None
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "event":
            self._event.name = value
        elif name == "data":
            self._event.data += ("\n" if self._event.data else "") + value
        elif name == "id":
            self._event.event_id = value
        return None
