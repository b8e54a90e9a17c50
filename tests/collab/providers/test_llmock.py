"""Against a model server that others wrote, so that ours cannot agree with us by mistake.

It validates each request, fails on demand with Retry-After, and judges afterwards how the client coped. Time
is real here: the pauses are what it judges.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import pytest
from pydantic import BaseModel

from agent.collab.credentials import Secret
from agent.collab.providers.caller import Caller, Choice, GaveUpError, Patience
from agent.collab.providers.definition import ProviderDefinition
from agent.collab.providers.http import Http
from agent.collab.providers.keys import KeyRing
from agent.collab.providers.remote import RemoteProvider
from agent.collab.providers.schemas import name_of
from agent.collab.providers.standing import Standing
from agent.collab.records import Integration, Plan, Response, Validation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

QUICK = Patience(tries=3, first_delay_s=0.2)
MODELS = {"openai": "gpt-4o-mini", "anthropic": "claude-sonnet-4-6", "gemini": "gemini-2.5-pro"}


@pytest.fixture
def judged(llmock: Any) -> Iterator[Callable[..., Caller]]:
    """Make a caller of the judging server; at the end its verdict must be clean, warnings included."""
    made: list[RemoteProvider] = []

    def make(*wires: str, **options: Any) -> Caller:
        for wire in wires:
            given = {"name": wire, "kind": wire, "base_url": llmock.base_url(wire), "model": MODELS[wire]}
            definition = ProviderDefinition.model_validate({**given, **options})
            keys = KeyRing((Secret("test-key", "KEY"),))
            made.append(RemoteProvider(definition, Http(wire, definition.url({})), keys))
        standings = {one.name: Standing(one.definition, None) for one in made}
        return Caller({one.name: one for one in made}, standings)

    yield make
    for one in made:
        one.http.close()
    verdict = llmock.verdict()
    assert verdict["calls"] > 0
    assert verdict["findings"] == []


def test_a_plain_question(judged: Any, ask: Any, wire: str) -> None:
    """It takes the request for a good one, and we its answer."""
    reply = judged(wire).ask([Choice(wire)], ask(temperature=0.3, max_tokens=200)).reply
    assert reply.text
    assert (reply.usage.input_tokens or 0) > 0
    assert (reply.usage.output_tokens or 0) > 0


class Finding(BaseModel):
    """What it fills by itself."""

    severity: Literal["low", "high"]
    places: tuple[str, ...]
    certain: bool
    count: int | None = None


@pytest.mark.parametrize("mode", ["json_schema", "tool"])
def test_it_understands_a_schema(judged: Any, ask: Any, wire: str, mode: str) -> None:
    """And fills it, so that ours accepts what it made without a repair."""
    if (wire, mode) in {("anthropic", "json_schema"), ("gemini", "json_schema")}:
        mode = "tool"  # the first is told in words, the second in a field that this server does not read
    answered = judged(wire, schema_mode=mode).ask([Choice(wire)], ask(schema=Finding), QUICK)
    assert isinstance(answered.reply.parsed, Finding)
    assert len(answered.calls) == 1


@pytest.mark.parametrize("schema", [Plan, Response, Validation, Integration])
@pytest.mark.parametrize("mode", ["json_schema", "tool"])
def test_the_forms_of_the_pipeline(
    llmock: Any, judged: Any, ask: Any, wire: str, mode: str, schema: Any
) -> None:
    """It takes each of them for a good request, and its way to answer is read."""
    sample = SAMPLES[schema]
    call = {"name": name_of(schema), "arguments": sample.model_dump(mode="json")}
    as_text = {"type": "reply", "text": sample.model_dump_json()}
    llmock.behave({"type": "reply", "tool_calls": [call]} if mode == "tool" else as_text)
    answered = judged(wire, schema_mode=mode).ask([Choice(wire)], ask(schema=schema), QUICK)
    assert answered.reply.parsed == sample
    assert len(answered.calls) == 1


SAMPLES: dict[Any, Any] = {
    Plan: Plan.model_validate(
        {
            "understanding": "u",
            "assignments": [{"role": "analyst", "task": "t"}],
            "questions": [{"key": "k", "text": "q?", "answers": ["yes", "no"]}],
        }
    ),
    Response: Response(text="t"),
    Validation: Validation.model_validate({"checks": [{"name": "c", "passed": True}]}),
    Integration: Integration(summary="s"),
}


@pytest.mark.parametrize("status", [429, 500, 503, 529])
def test_a_failure_with_a_time_to_wait(llmock: Any, judged: Any, ask: Any, wire: str, status: int) -> None:
    """It looks at its clock whether we waited as long as it asked for."""
    llmock.behave({"type": "fail", "status": status, "retry_after": 1.0})
    answered = judged(wire).ask([Choice(wire)], ask(), QUICK)
    assert [call.error is None for call in answered.calls] == [False, True]


@pytest.mark.parametrize("status", [500, 502, 503, 408])
def test_failures_without_one(llmock: Any, judged: Any, ask: Any, wire: str, status: int) -> None:
    """Pauses that grow."""
    llmock.behave({"type": "fail", "status": status, "times": 2, "retry_after": None})
    assert len(judged(wire).ask([Choice(wire)], ask(), QUICK).calls) == 3


def test_429_with_retry_after_and_then_503(llmock: Any, judged: Any, ask: Any, wire: str) -> None:
    """One after the other."""
    llmock.behave({"type": "fail", "status": 429, "retry_after": 1.0}, {"type": "fail", "status": 503})
    answered = judged(wire).ask([Choice(wire)], ask(), QUICK)
    assert [call.error for call in answered.calls] == ["rate_limit", "server", None]


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422])
def test_what_cannot_succeed_is_not_tried_again(
    llmock: Any, judged: Any, ask: Any, wire: str, status: int
) -> None:
    """One request."""
    llmock.behave({"type": "fail", "status": status, "times": None})
    with pytest.raises(GaveUpError):
        judged(wire).ask([Choice(wire)], ask(), QUICK)
    posted = [request for request in llmock.requests() if request["method"] == "POST"]
    assert len(posted) == 1


def test_giving_up_comes_after_some_tries(llmock: Any, judged: Any, ask: Any, wire: str) -> None:
    """Not at once, and not never."""
    llmock.behave({"type": "fail", "status": 503, "times": None})
    with pytest.raises(GaveUpError) as caught:
        judged(wire).ask([Choice(wire)], ask(), QUICK)
    assert len(caught.value.calls) == 3


def test_a_slow_answer_is_waited_for(llmock: Any, judged: Any, ask: Any, wire: str) -> None:
    """Within the time that a call has."""
    llmock.behave({"type": "delay", "seconds": 0.5})
    assert judged(wire).ask([Choice(wire)], ask(), QUICK).reply.text


def test_a_fallback_over_three_wires(llmock: Any, judged: Any, ask: Any) -> None:
    """Two providers are down, the third answers."""
    down = {"type": "fail", "status": 503, "times": None}
    llmock.behave({**down, "match": {"provider": "openai"}}, {**down, "match": {"provider": "gemini"}})
    caller = judged("openai", "gemini", "anthropic")
    choices = [Choice("openai"), Choice("gemini", fallback=True), Choice("anthropic", fallback=True)]
    answered = caller.ask(choices, ask(), QUICK)
    assert [call.provider for call in answered.calls] == ["openai"] * 3 + ["gemini"] * 3 + ["anthropic"]


def test_its_models(judged: Any, wire: str) -> None:
    """Listed in each format."""
    assert judged(wire).providers[wire].models()
