"""The three wire formats, over real HTTP."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from agent.collab.providers import schemas
from agent.collab.providers.base import Message, ProviderError, Request

if TYPE_CHECKING:
    from collections.abc import Callable

MODES = ("json_schema", "json_object", "tool", "prompt")


def test_a_question_is_answered(server: Any, provider: Callable[..., Any], ask: Any, wire: str) -> None:
    """Text, model, tokens and family come back; the question arrives as it was asked."""
    server.rule = "All is well."
    reply = provider(wire).complete(ask(temperature=0.3, max_tokens=100))
    assert (reply.text, reply.provider, reply.model, reply.family) == (
        "All is well.",
        "p",
        "qwen3-max",
        "qwen",
    )
    assert (reply.usage.input_tokens, reply.usage.output_tokens, reply.usage.cost_usd) == (11, 7, None)
    (call,) = server.calls
    assert (call.system, call.prompt, call.temperature, call.max_tokens) == (
        "You are careful.", "Is it safe?", 0.3, 100,
    )  # fmt: skip


def test_what_is_not_said_is_not_sent(server: Any, provider: Callable[..., Any], ask: Any, wire: str) -> None:
    """No temperature and no limit unless somebody wants one; Anthropic's format alone demands a limit."""
    provider(wire).complete(ask())
    (call,) = server.calls
    assert call.temperature is None
    assert call.max_tokens == (4096 if wire == "anthropic" else None)


def test_a_conversation_keeps_its_turns(server: Any, provider: Callable[..., Any], wire: str) -> None:
    """The model's own words go back as its own."""
    turns = (Message("user", "one"), Message("assistant", "two"), Message("user", "three"))
    provider(wire).complete(Request(turns))
    (call,) = server.calls
    roles = [turn.get("role") for turn in call.body.get("messages", call.body.get("contents"))]
    assert roles == ["user", "model" if wire == "gemini" else "assistant", "user"]
    assert call.prompt == "three"


@pytest.mark.parametrize("mode", MODES)
def test_each_way_to_demand_a_shape(
    server: Any, provider: Callable[..., Any], ask: Any, verdict: Any, wire: str, mode: str
) -> None:
    """Whatever the way, the object comes back as text that fits the schema."""
    server.rule = {"safe": True, "reasons": ["it only reads"]}
    reply = provider(wire, schema_mode=mode).complete(ask(schema=verdict))
    assert schemas.parse(reply.text, verdict) == verdict(safe=True, reasons=("it only reads",))
    (call,) = server.calls
    in_words = mode in {"prompt", "json_object"} or (wire == "anthropic" and mode == "json_schema")
    assert ('"safe"' in call.system) == in_words
    assert (call.schema is not None) == (not in_words)
    assert (call.demanded == "verdict") == (mode == "tool")


def test_the_price_of_a_call(provider: Callable[..., Any], ask: Any, wire: str) -> None:
    """Dollars follow from the tokens where the price is known."""
    prices = {"default": {"input": 1.0, "output": 2.0}, "qwen3-max": {"input": 10.0, "output": 100.0}}
    assert provider(wire, prices=prices).complete(ask()).usage.cost_usd == pytest.approx(810e-6)


def test_the_models_that_are_listed(server: Any, provider: Callable[..., Any], wire: str) -> None:
    """Each format has its list."""
    assert list(provider(wire).models()) == server.models[wire]


def test_without_a_model_the_first_listed_is_asked(
    server: Any, provider: Callable[..., Any], ask: Any
) -> None:
    """Models that do not chat are passed over; the list is read once."""
    server.models["openai"] = ["nomic-embed-text", "smollm2:135m", "qwen3:8b"]
    one = provider(model=None)
    assert [one.complete(ask()).model, one.complete(ask()).family] == ["smollm2:135m", "smollm"]
    assert server.listed == ["/v1/models"]


def test_a_server_without_models_is_said_so(server: Any, provider: Callable[..., Any], ask: Any) -> None:
    """What to do comes with it."""
    server.models["openai"] = []
    with pytest.raises(ProviderError, match="lists no model: load one") as caught:
        provider(model=None).complete(ask())
    assert caught.value.kind == "unavailable"


@pytest.mark.parametrize("status", [400, 404])
def test_an_unknown_model_is_named_with_those_that_are_listed(
    server: Any, provider: Callable[..., Any], ask: Any, fault: Any, wire: str, status: int
) -> None:
    """The model, and what there is instead."""
    body = b'{"error": {"message": "The model `old-1` does not exist", "code": "model_not_found"}}'
    server.rule = fault(status=status, body=body)
    with pytest.raises(ProviderError) as caught:
        provider(wire, model="old-1").complete(ask())
    assert caught.value.kind == "unknown_model"
    assert "no model 'old-1'" in caught.value.message
    assert all(model in caught.value.message for model in server.models[wire])


def test_a_model_that_wants_no_temperature(
    server: Any, provider: Callable[..., Any], ask: Any, fault: Any
) -> None:
    """It is asked again without one, and from then on never with one."""

    def rule(call: Any) -> Any:
        refusal = b'{"error": {"message": "Unsupported value: temperature does not support 0.3"}}'
        return fault(status=400, body=refusal) if call.temperature is not None else "well"

    server.rule = rule
    one = provider()
    assert [one.complete(ask(temperature=0.3)).text for _ in range(2)] == ["well", "well"]
    assert [call.temperature for call in server.calls] == [0.3, None, None]


def test_a_model_that_wants_the_newer_limit(
    server: Any, provider: Callable[..., Any], ask: Any, fault: Any
) -> None:
    """`max_tokens` becomes `max_completion_tokens`."""

    def rule(call: Any) -> Any:
        said = (
            b'{"error": {"message": "Unsupported parameter: max_tokens. Use max_completion_tokens instead."}}'
        )
        return fault(status=400, body=said) if "max_tokens" in call.body else "well"

    server.rule = rule
    assert provider().complete(ask(max_tokens=50)).text == "well"
    assert server.calls[-1].body["max_completion_tokens"] == 50


def test_a_mode_that_is_refused_gives_way_to_a_weaker_one(
    server: Any, provider: Callable[..., Any], ask: Any, verdict: Any, fault: Any
) -> None:
    """json_schema, then json_object, then words alone."""

    def rule(call: Any) -> Any:
        if "response_format" in call.body:
            return fault(status=400, body=b'{"error": {"message": "response_format is not supported"}}')
        return {"safe": False}

    server.rule = rule
    reply = provider(schema_mode="json_schema").complete(ask(schema=verdict))
    assert schemas.parse(reply.text, verdict) == verdict(safe=False)
    kinds = [call.body.get("response_format", {}).get("type") for call in server.calls]
    assert kinds == ["json_schema", "json_object", None]


def test_what_else_is_refused_is_not_sent_again(
    server: Any, provider: Callable[..., Any], ask: Any, fault: Any, wire: str
) -> None:
    """A bad request stays one."""
    server.rule = fault(status=400, body=b'{"error": {"message": "messages: at least one is required"}}')
    with pytest.raises(ProviderError) as caught:
        provider(wire).complete(ask(temperature=0.3))
    assert (caught.value.kind, len(server.calls)) == ("bad_request", 1)


REFUSALS = {
    "openai": {
        "choices": [{"message": {"role": "assistant", "refusal": "I cannot"}, "finish_reason": "stop"}]
    },
    "anthropic": {"type": "message", "content": [], "stop_reason": "refusal"},
    "gemini": {"promptFeedback": {"blockReason": "SAFETY"}},
}


def test_a_model_that_declines(
    server: Any, provider: Callable[..., Any], ask: Any, fault: Any, wire: str
) -> None:
    """It is `refused`, which nobody repeats."""
    server.rule = fault(status=200, body=json.dumps(REFUSALS[wire]).encode())
    with pytest.raises(ProviderError, match="declined to answer") as caught:
        provider(wire).complete(ask())
    assert caught.value.kind == "refused"


CUTS = {
    "openai": {"model": "m", "choices": [{"message": {"content": "half"}, "finish_reason": "length"}]},
    "anthropic": {"content": [{"type": "text", "text": "half"}], "stop_reason": "max_tokens"},
    "gemini": {"candidates": [{"content": {"parts": [{"text": "half"}]}, "finishReason": "MAX_TOKENS"}]},
}


def test_an_answer_that_was_cut_is_known_as_cut(
    server: Any, provider: Callable[..., Any], ask: Any, fault: Any, wire: str
) -> None:
    """The tokens ended before the answer did."""
    server.rule = fault(status=200, body=json.dumps(CUTS[wire]).encode())
    reply = provider(wire).complete(ask())
    assert (reply.text, reply.cut, reply.usage.input_tokens) == ("half", True, None)


SILENT = {
    "openai": {
        "choices": [{"message": {"content": ""}, "finish_reason": "length"}],
        "usage": {"prompt_tokens": 5, "completion_tokens": 50},
    },
    "anthropic": {
        "content": [],
        "stop_reason": "max_tokens",
        "usage": {"input_tokens": 5, "output_tokens": 50},
    },
    "gemini": {
        "candidates": [{"content": {}, "finishReason": "MAX_TOKENS"}],
        "usageMetadata": {"promptTokenCount": 5, "thoughtsTokenCount": 50},
    },
}


def test_a_model_that_thinks_all_its_tokens_away_is_given_more(
    server: Any, provider: Callable[..., Any], ask: Any, fault: Any, wire: str
) -> None:
    """Once, by much; what the first try used is counted."""
    silent = fault(status=200, body=json.dumps(SILENT[wire]).encode())
    server.rule = lambda call: silent if (call.max_tokens or 0) < 200 else "well"
    reply = provider(wire).complete(ask(max_tokens=50))
    assert (reply.text, reply.usage.input_tokens, reply.usage.output_tokens) == ("well", 16, 57)
    assert [call.max_tokens for call in server.calls] == [50, 200]
    server.rule = silent
    with pytest.raises(ProviderError, match="p: the tokens ended before it said anything") as caught:
        provider(wire).complete(ask(max_tokens=50))
    assert (caught.value.kind, len(server.calls)) == ("invalid_answer", 4)


def test_what_only_this_provider_knows(
    server: Any, provider: Callable[..., Any], ask: Any, wire: str
) -> None:
    """Laid into each request, table by table."""
    body = {"enable_thinking": False, "generationConfig": {"thinkingConfig": {"thinkingBudget": 0}}}
    provider(wire, body=body).complete(ask(temperature=0.5))
    (call,) = server.calls
    assert call.body["enable_thinking"] is False
    assert call.body["generationConfig"]["thinkingConfig"] == {"thinkingBudget": 0}
    assert call.temperature == 0.5


def test_thoughts_are_not_the_answer(server: Any, provider: Callable[..., Any], ask: Any, fault: Any) -> None:
    """Gemini may send both."""
    parts = [{"text": "hm, let me see", "thought": True}, {"text": "Yes."}]
    body = {"candidates": [{"content": {"parts": parts}, "finishReason": "STOP"}]}
    server.rule = fault(status=200, body=json.dumps(body).encode())
    assert provider("gemini").complete(ask()).text == "Yes."
