"""The one Protocol of all providers, with what goes in, what comes out, and what can go wrong."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal, Protocol

from spool.records import Usage

if TYPE_CHECKING:
    from pydantic import BaseModel

Speaker = Literal["system", "user", "assistant"]

Kind = Literal[
    "auth",
    "rate_limit",
    "quota",
    "timeout",
    "server",
    "network",
    "bad_request",
    "unknown_model",
    "too_long",
    "invalid_answer",
    "refused",
    "breaker_open",
    "unavailable",
]
"""What went wrong with a call, in the same words for every provider.

- `invalid_answer`: not the provider's own format, or twice not what the schema wants.
- `refused`: the model declined to answer (a content filter, say).
- `unavailable`: there is no way to ask: no key, no server, no such host.
"""

PASSING: Final[frozenset[Kind]] = frozenset({"rate_limit", "timeout", "server", "network"})
"""Failures that the same request may not meet a moment later."""

OUTAGES: Final[frozenset[Kind]] = frozenset({"timeout", "server", "network"})
"""Failures of the provider itself, which its circuit breaker counts."""

OF_THE_KEY: Final[frozenset[Kind]] = frozenset({"auth", "quota", "rate_limit"})
"""Failures that another key of the same provider may not meet."""


class ProviderError(Exception):
    """A call failed; the message says what, where and what to do, and holds no secret.

    Args:
        kind: what went wrong.
        message: for people.
        retry_after_s: when the provider says that a limit ends.
        usage: what the failed call has cost all the same.
        another_key: the provider has another key, which may be tried at once.
    """

    def __init__(
        self,
        kind: Kind,
        message: str,
        *,
        retry_after_s: float | None = None,
        usage: Usage | None = None,
        another_key: bool = False,
    ) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.retry_after_s = retry_after_s
        self.usage = usage or Usage()
        self.another_key = another_key


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation."""

    role: Speaker
    text: str


@dataclass(frozen=True, slots=True)
class Request:
    """What a role is asked.

    Args:
        messages: in order; system messages stand first.
        schema: what the answer must be; None for plain text.
        temperature: None for the model's own, and for models that refuse one.
        max_tokens: of the answer; None for the provider's default.
        model: None for the provider's default.
        timeout_s: of one call; None for the provider's own.
        key: names this request for ever (`ID.analyst`): a provider that leaves something behind, such as a
            task in a spool, finds it again by this name instead of asking twice.
    """

    messages: tuple[Message, ...]
    schema: type[BaseModel] | None = None
    temperature: float | None = None
    max_tokens: int | None = None
    model: str | None = None
    timeout_s: float | None = None
    key: str | None = None


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back.

    Args:
        text: as the model wrote it.
        parsed: an instance of the request's schema; None when it had none, and before it was checked.
        model: that answered, by its own account.
        family: of the model, such as `qwen`: models of one family err alike.
        duration_s: of the call that succeeded.
        cut: it ends where the tokens did.
    """

    text: str
    provider: str
    model: str
    family: str
    usage: Usage = field(default_factory=Usage)
    duration_s: float = 0.0
    parsed: BaseModel | None = None
    cut: bool = False


class Provider(Protocol):
    """Something that answers. It makes one attempt a call: patience is the caller's business."""

    @property
    def name(self) -> str:
        """Its name in roles.toml."""
        ...

    def family(self, model: str | None = None) -> str:
        """Return the family of a model, or of the default one."""
        ...

    def complete(self, request: Request) -> Reply:
        """Answer; the text is not checked against the schema here.

        Raises:
            ProviderError: it did not answer.
        """
        ...

    def models(self) -> tuple[str, ...]:
        """Return the models that it lists; empty where it has no list.

        Raises:
            ProviderError: it did not answer.
        """
        ...
