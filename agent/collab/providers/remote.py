"""A model behind HTTP: one wire format, some keys, and what each model has shown not to take."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeVar

from agent.collab.credentials import hidden
from agent.collab.providers import anthropic, gemini, openai
from agent.collab.providers.base import ProviderError, Reply, Request
from agent.collab.providers.concessions import MOST_CONCESSIONS, Concessions, ask_of
from agent.collab.providers.families import family_of
from agent.collab.providers.wire import SaidNothingError, Spoken, Wire
from agent.config import merged
from spool.records import Usage

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from agent.collab.providers.definition import ProviderDefinition
    from agent.collab.providers.http import Http
    from agent.collab.providers.keys import Keys

T = TypeVar("T")

WIRES: Final[dict[str, Wire]] = {"openai": openai, "gemini": gemini, "anthropic": anthropic}
LISTING_TIMEOUT_S: Final = 20.0
_SHOWN_MODELS: Final = 12
_NO_CHAT: Final = re.compile(r"embed|rerank|whisper|tts|speech|moderation|dall-e|imagen|veo", re.IGNORECASE)


@dataclass(slots=True)
class RemoteProvider:
    """A provider that is asked over HTTP. Threads may share it."""

    definition: ProviderDefinition
    http: Http
    keys: Keys
    clock: Callable[[], float] = time.monotonic
    _conceded: dict[str, Concessions] = field(default_factory=dict)
    _default: str | None = None

    @property
    def name(self) -> str:
        """Its name in roles.toml."""
        return self.definition.name

    def family(self, model: str | None = None) -> str:
        """Return the family of a model, or of the default one; it asks nobody."""
        named = model or self.definition.model or self._default
        return self.definition.family or (family_of(named) if named else None) or self.name

    def models(self, timeout_s: float = LISTING_TIMEOUT_S) -> tuple[str, ...]:
        """Return the models that it lists.

        Raises:
            ProviderError: it does not answer.
        """
        wire = WIRES[self.definition.kind]
        return self._exchange(wire.LISTING, None, timeout_s, wire.models)

    def complete(self, request: Request) -> Reply:
        """Answer.

        Raises:
            ProviderError: it did not.
        """
        begun_s = self.clock()
        model = request.model or self.default_model()
        spoken, used = self._spoken(request, model)
        answered = spoken.model or model
        cost_usd = self.definition.cost_usd((answered, model), used.input_tokens, used.output_tokens)
        return Reply(
            text=spoken.text,
            provider=self.name,
            model=answered,
            family=self.family(answered),
            usage=Usage(input_tokens=used.input_tokens, output_tokens=used.output_tokens, cost_usd=cost_usd),
            duration_s=self.clock() - begun_s,
            cut=spoken.cut,
        )

    def _spoken(self, request: Request, model: str) -> tuple[Spoken, Usage]:
        """Ask, and ask again without what the model refuses; return its answer, and what all of it used."""
        wire = WIRES[self.definition.kind]
        timeout_s = request.timeout_s or self.definition.call_timeout_s
        conceded = self._conceded.setdefault(model, Concessions())
        used = Usage(input_tokens=0, output_tokens=0)
        for left in reversed(range(MOST_CONCESSIONS + 1)):
            ask = ask_of(request, model, self.definition, conceded)
            path, body = wire.call(ask)
            try:
                spoken = self._exchange(path, merged(body, self.definition.body), timeout_s, wire.spoken)
            except ProviderError as error:
                if error.kind == "unknown_model":
                    raise self._unknown(model, error) from None
                if not left or not conceded.concede(ask, error):
                    raise
                used = _sum(used, error.usage) if isinstance(error, SaidNothingError) else used
            else:
                return spoken, _sum(used, spoken.usage)
        raise AssertionError

    def default_model(self) -> str:
        """Return the model that is asked when nobody names one: the definition's, else the first listed.

        Raises:
            ProviderError: it does not answer, or lists none.
        """
        if self.definition.model:
            return self.definition.model
        if self._default is None:
            found = default_of(self.models())
            if found is None:
                raise ProviderError(
                    "unavailable",
                    f"{self.name} lists no model: load one there (`ollama pull qwen3`, say), or name one "
                    f"with model = … in [providers.{self.name}] of configs/roles.toml",
                )
            self._default = found
        return self._default

    def _exchange(
        self,
        path: str,
        body: Mapping[str, Any] | None,
        timeout_s: float,
        read: Callable[[Mapping[str, Any]], T],
    ) -> T:
        """Send one request with one key, and read what comes back; no error holds the key."""
        key = self.keys.take()
        headers = WIRES[self.definition.kind].headers(key.reveal() if key else None)
        secrets = (key,) if key else ()
        try:
            document = self.http.json(
                path,
                body,
                headers={**self.definition.headers, **headers},
                secrets=secrets,
                timeout_s=timeout_s,
            )
        except ProviderError as error:
            if key is not None:
                error.another_key = self.keys.failed(key, error)
            raise
        try:
            return read(document)
        except SaidNothingError as error:
            raise SaidNothingError(error.usage, self.name) from None
        except ProviderError as error:
            raise ProviderError(error.kind, f"{self.name}: {hidden(error.message, secrets)}") from None

    def unknown_model(self, model: str, listed: tuple[str, ...]) -> str:
        """Say that a model is not there, and which are."""
        shown = ", ".join(listed[:_SHOWN_MODELS]) + (" …" if len(listed) > _SHOWN_MODELS else "")
        return (
            f"{self.name} has no model {model!r} (any more); it lists {shown or 'none'}: name one of them "
            f"with model = … in [providers.{self.name}] of configs/roles.toml"
        )

    def _unknown(self, model: str, error: ProviderError) -> ProviderError:
        try:
            listed = self.models()
        except ProviderError:
            return error
        return ProviderError("unknown_model", self.unknown_model(model, listed))


def default_of(listed: tuple[str, ...]) -> str | None:
    """Return the model that is taken when nobody names one: the first that chats; None when none does."""
    return next((model for model in listed if not _NO_CHAT.search(model)), None)


def is_listed(model: str, listed: tuple[str, ...]) -> bool:
    """Tell whether a model is in a list, which may have it with a date or `latest` behind its name."""
    dated = re.compile(rf"{re.escape(model)}(?:[-:@](?:latest|\d{{6,8}}|\d{{4}}-\d\d-\d\d))?")
    return any(dated.fullmatch(name) for name in listed)


def _sum(one: Usage, other: Usage) -> Usage:
    """Add up tokens; what one of them does not say is not known of the sum."""
    pairs = ((one.input_tokens, other.input_tokens), (one.output_tokens, other.output_tokens))
    given, made = (None if a is None or b is None else a + b for a, b in pairs)
    return Usage(input_tokens=given, output_tokens=made)
