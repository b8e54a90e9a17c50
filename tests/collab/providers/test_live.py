"""The real providers: `AISPOOL_LIVE=1 scripts/test -m live`, with their keys in the environment.

It costs what a few hundred tokens cost. Without AISPOOL_LIVE nothing is asked, whatever keys are set.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from agent.collab.providers.caller import Patience
from agent.collab.providers.definition import load_definitions
from agent.collab.providers.examine import examine
from agent.collab.providers.registry import open_providers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agent.collab.providers.ready import Providers
    from spool.workspace import Workspace

pytestmark = [pytest.mark.live, pytest.mark.timeout(300)]
NAMES = ("qwen", "gemini", "anthropic", "openai", "openrouter")


@pytest.fixture(params=NAMES)
def live(request: pytest.FixtureRequest, workspace: Workspace) -> Iterator[tuple[Providers, str]]:
    """The providers of this environment, and the name of one that is ready."""
    name = str(request.param)
    keys = load_definitions(workspace)[name].key_env
    if os.environ.get("AISPOOL_LIVE") != "1" or not any(os.environ.get(key) for key in keys):
        pytest.skip(f"cannot run here: no live key for {name}: set AISPOOL_LIVE=1 and {' or '.join(keys)}")
    with open_providers(workspace) as providers:
        yield providers, name


def test_it_lists_its_default_model(live: tuple[Providers, str]) -> None:
    """Model names age; what it lists stands in the message."""
    providers, name = live
    (found,) = (one for one in examine(providers) if one.name == name)
    assert found.state == "answers", found.problem


def test_it_answers(live: tuple[Providers, str], ask: Any) -> None:
    """A few words, and what they cost in tokens."""
    providers, name = live
    answered = providers.caller.ask(
        providers.choices([name]), ask("Answer with the one word: pong", max_tokens=200), Patience(tries=2)
    )
    assert "pong" in answered.reply.text.lower()
    assert answered.reply.usage.output_tokens


def test_it_answers_in_a_form(live: tuple[Providers, str], ask: Any, verdict: Any) -> None:
    """In its own way to demand one, or after one repair."""
    providers, name = live
    request = ask("Is `ls -l` safe to run? Give one short reason.", schema=verdict, max_tokens=1000)
    answered = providers.caller.ask(providers.choices([name]), request, Patience(tries=2))
    assert isinstance(answered.reply.parsed, verdict)
