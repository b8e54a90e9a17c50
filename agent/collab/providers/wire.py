"""What a wire format is: a module that writes requests and reads answers. Nothing in it talks to anybody."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from agent.collab.providers.base import ProviderError
from spool.records import Usage

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import BaseModel

    from agent.collab.providers.base import Message
    from agent.collab.providers.definition import SchemaMode


@dataclass(frozen=True, slots=True)
class Ask:
    """A request, with everything decided.

    Args:
        max_tokens: None leaves it to the provider where it may be left.
        schema: with `mode`, how the provider is told of it.
        room: how many times the limit that was asked for `max_tokens` is.
        newer_limit: the model wants its limit of tokens under the newer name (OpenAI's reasoning models).
    """

    messages: tuple[Message, ...]
    model: str
    temperature: float | None = None
    max_tokens: int | None = None
    schema: type[BaseModel] | None = None
    mode: SchemaMode = "prompt"
    room: int = 1
    newer_limit: bool = False


@dataclass(frozen=True, slots=True)
class Spoken:
    """What an answer holds.

    Args:
        model: by the provider's account; None when it does not say.
        cut: it ends where the tokens did.
    """

    text: str
    model: str | None = None
    usage: Usage = field(default_factory=Usage)
    cut: bool = False


class Wire(Protocol):
    """One wire format."""

    LISTING: str
    """The path below the base URL that lists the models."""

    def headers(self, key: str | None) -> dict[str, str]:
        """Return the headers of every request."""
        ...

    def call(self, ask: Ask) -> tuple[str, dict[str, Any]]:
        """Return the path below the base URL, and the document."""
        ...

    def spoken(self, document: Mapping[str, Any]) -> Spoken:
        """Read an answer.

        Raises:
            ProviderError: without the provider's name in front; it is no answer, or the model refused.
        """
        ...

    def models(self, document: Mapping[str, Any]) -> tuple[str, ...]:
        """Read the list of models."""
        ...


def pick(value: Any, *path: str | int) -> Any:
    """Return what lies at a path in a JSON value; None when nothing does."""
    for step in path:
        if isinstance(step, int):
            value = value[step] if isinstance(value, list) and -len(value) <= step < len(value) else None
        else:
            value = value.get(step) if isinstance(value, dict) else None
    return value


def count(value: Any) -> int | None:
    """Return a number of tokens; None for anything else."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def nothing(what: str) -> ProviderError:
    """Return the error for an answer without an answer in it: the server's fault, perhaps gone next time."""
    return ProviderError("server", f"it answered without an answer: {what}")


class SaidNothingError(ProviderError):
    """Its tokens ended before it said anything: models that think spend theirs on that first."""

    def __init__(self, usage: Usage, name: str = "it") -> None:
        what = f"{name}: the tokens ended before it said anything: give the role more max_tokens"
        super().__init__("invalid_answer", what, usage=usage)


def refused(why: str) -> ProviderError:
    """Return the error for a model that declined."""
    return ProviderError("refused", f"it declined to answer ({why}): ask in other words, or another provider")


def system_of(ask: Ask, more: str = "") -> str:
    """Return all system text in one piece."""
    texts = [message.text for message in ask.messages if message.role == "system"]
    return "\n\n".join(text for text in (*texts, more) if text)
