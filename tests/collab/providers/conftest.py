from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from pydantic import BaseModel

from agent.collab.credentials import Secret
from agent.collab.providers.base import Message, Request
from agent.collab.providers.caller import Caller
from agent.collab.providers.definition import ProviderDefinition
from agent.collab.providers.http import Http
from agent.collab.providers.keys import KeyRing
from agent.collab.providers.remote import RemoteProvider
from agent.collab.providers.standing import Standing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

WIRES = ("openai", "anthropic", "gemini")
KEY = "sk-a-secret-that-nobody-must-see-0123456789"


class Verdict(BaseModel):
    """What the tests ask for."""

    safe: bool
    reasons: tuple[str, ...] = ()


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """This machine's own proxies and keys are not the tests'."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture(params=WIRES)
def wire(request: pytest.FixtureRequest) -> str:
    """Each wire format in turn."""
    return str(request.param)


@pytest.fixture
def provider(server: Any) -> Iterator[Callable[..., RemoteProvider]]:
    """Make a provider that asks the scripted server."""
    made: list[RemoteProvider] = []

    def make(wire: str = "openai", *, keys: tuple[str, ...] = (KEY,), **options: Any) -> RemoteProvider:
        given = {
            "name": "p",
            "kind": wire,
            "base_url": server.base_url(wire),
            "model": "qwen3-max",
            **options,
        }
        definition = ProviderDefinition.model_validate(given)
        ring = KeyRing(tuple(Secret(key, f"KEY #{number}") for number, key in enumerate(keys, 1)))
        one = RemoteProvider(definition, Http(definition.name, definition.url({})), ring)
        made.append(one)
        return one

    yield make
    for one in made:
        one.http.close()


@pytest.fixture
def slept() -> list[float]:
    """How long each caller of this test has slept, in order."""
    return []


@pytest.fixture
def caller(clock: Any, slept: list[float]) -> Callable[..., Caller]:
    """Make a caller of some providers whose time passes only when it sleeps."""

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        clock.advance(seconds)

    def make(*providers: Any) -> Caller:
        by_name = {one.name: one for one in providers}
        standings = {
            one.name: Standing(one.definition, None, lambda: float(clock.now().timestamp()))
            for one in providers
        }
        return Caller(by_name, standings, clock=clock, sleep=sleep, chance=lambda: 0.5)

    return make


@pytest.fixture
def ask() -> Callable[..., Request]:
    """Make a request of one system and one user message."""

    def make(text: str = "Is it safe?", **options: Any) -> Request:
        return Request((Message("system", "You are careful."), Message("user", text)), **options)

    return make


@pytest.fixture
def verdict() -> type[Verdict]:
    """The schema of the tests."""
    return Verdict
