"""Who is asked, in which order, and what counts: with real HTTP, and time that passes only in sleeps."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from agent.collab.providers.base import ProviderError
from agent.collab.providers.caller import Choice, GaveUpError, Patience


def test_the_first_is_asked(server: Any, provider: Any, caller: Any, ask: Any) -> None:
    """Of two that are idle, in the order of the role; with the model that the choice names."""
    asked = caller(provider(name="a"), provider(name="b")).ask([Choice("b", "m1"), Choice("a")], ask())
    assert (asked.reply.provider, asked.reply.model, server.calls[0].model) == ("b", "m1", "m1")
    (call,) = asked.calls
    assert (call.provider, call.model, call.error, call.usage.output_tokens) == ("b", "m1", None, 7)


def test_a_fallback_answers_when_the_first_cannot(
    server: Any, provider: Any, caller: Any, ask: Any, fault: Any, slept: list[float]
) -> None:
    """After three tries of a server that fails, and both are told of."""
    server.rule = lambda call: fault(error="server_error") if call.model == "m1" else "from the other"
    answered = caller(provider(name="a"), provider(name="b")).ask(
        [Choice("a", "m1"), Choice("b", "m2", fallback=True)], ask()
    )
    assert (answered.reply.provider, answered.reply.text) == ("b", "from the other")
    assert [(call.provider, call.error) for call in answered.calls] == [("a", "server")] * 3 + [("b", None)]
    assert len(slept) == 2


@pytest.mark.parametrize("error", ["auth", "quota", "context_too_long", "bad_request"])
def test_a_fallback_answers_at_once_when_trying_again_is_no_use(
    server: Any, provider: Any, caller: Any, ask: Any, fault: Any, slept: list[float], error: str
) -> None:
    """One call, no pause, the next."""
    server.rule = lambda call: fault(error=error) if call.model == "m1" else "from the other"
    answered = caller(provider(name="a"), provider(name="b")).ask(
        [Choice("a", "m1"), Choice("b", "m2", fallback=True)], ask()
    )
    assert (answered.reply.provider, len(answered.calls), slept) == ("b", 2, [])


def test_a_fallback_answers_instead_of_a_long_wait(
    server: Any, provider: Any, caller: Any, ask: Any, fault: Any, slept: list[float]
) -> None:
    """A limit that ends in ten minutes is not waited for while somebody else is ready."""
    limited = fault(status=429, headers={"Retry-After": "600"})
    server.rule = lambda call: limited if call.model == "m1" else "from the other"
    answered = caller(provider(name="a"), provider(name="b")).ask(
        [Choice("a", "m1"), Choice("b", "m2", fallback=True)], ask()
    )
    assert (answered.reply.provider, slept) == ("b", [])


def test_an_answer_that_twice_fits_nothing_goes_to_the_fallback(
    server: Any, provider: Any, caller: Any, ask: Any, verdict: Any
) -> None:
    """A model that cannot write the form does not cost the role."""
    server.rule = lambda call: "no idea" if call.model == "m1" else {"safe": True}
    answered = caller(provider(name="a"), provider(name="b")).ask(
        [Choice("a", "m1"), Choice("b", "m2", fallback=True)], ask(schema=verdict)
    )
    assert answered.reply.parsed == verdict(safe=True)
    assert [call.error for call in answered.calls] == ["invalid_answer", "invalid_answer", None]


def test_everybody_fails(server: Any, provider: Any, caller: Any, ask: Any, fault: Any) -> None:
    """The error tells of each, and its kind is the one that may pass."""
    server.rule = lambda call: fault(error="auth" if call.model == "m1" else "overloaded")
    with pytest.raises(GaveUpError, match=r"a: HTTP 401.*; b: HTTP 503") as caught:
        caller(provider(name="a"), provider("openai", name="b")).ask(
            [Choice("a", "m1"), Choice("b", "m2", fallback=True)], ask()
        )
    assert caught.value.kind == "server"
    assert len(caught.value.calls) == 4


def test_nobody_is_named(caller: Any, ask: Any) -> None:
    """An empty list is said so."""
    with pytest.raises(GaveUpError, match="nobody to ask"):
        caller().ask([], ask())


def test_the_time_is_up(
    server: Any, provider: Any, caller: Any, ask: Any, fault: Any, slept: list[float]
) -> None:
    """Nothing is begun that could begin only after it."""
    server.rule = fault(error="rate_limit", retry_after_s=20)
    with pytest.raises(GaveUpError) as caught:
        caller(provider()).ask([Choice("p")], ask(), Patience(tries=99, total_s=100))
    assert caught.value.kind == "rate_limit"
    assert sum(slept) <= 100
    assert len(server.calls) == 5


def test_keys_are_used_in_turn(server: Any, provider: Any, caller: Any, ask: Any) -> None:
    """Each of three carries a third of the calls."""
    asking = caller(provider(keys=("key-1", "key-2", "key-3")))
    for _ in range(6):
        asking.ask([Choice("p")], ask())
    keys = [call.headers["authorization"].removeprefix("Bearer ") for call in server.calls]
    assert keys == ["key-1", "key-2", "key-3"] * 2


@pytest.mark.parametrize("error", ["auth", "quota", "rate_limit"])
def test_another_key_is_tried_at_once(
    server: Any, provider: Any, caller: Any, ask: Any, fault: Any, slept: list[float], error: str
) -> None:
    """A key that is refused or used up rests; nobody waits while another is good."""

    def rule(call: Any) -> Any:
        good = call.headers["authorization"].endswith("good")
        return "well" if good else fault(error=error, retry_after_s=60)

    server.rule = rule
    asking = caller(provider(keys=("bad-1", "bad-2", "good")))
    answered = asking.ask([Choice("p")], ask())
    assert answered.reply.text == "well"
    assert [call.error for call in answered.calls] == [error, error, None]
    assert slept == []
    asking.ask([Choice("p")], ask())
    assert [call.headers["authorization"][7:] for call in server.calls] == ["bad-1", "bad-2", "good", "good"]


def test_all_keys_are_refused(server: Any, provider: Any, caller: Any, ask: Any, fault: Any) -> None:
    """Each is tried once, and then it is over."""
    server.rule = fault(error="auth")
    with pytest.raises(GaveUpError) as caught:
        caller(provider(keys=("bad-1", "bad-2"))).ask([Choice("p")], ask())
    assert (caught.value.kind, len(server.calls)) == ("auth", 2)


def test_calls_spread_by_load(server: Any, provider: Any, caller: Any, ask: Any) -> None:
    """Two at once go to two providers, though both name the same one first."""
    both, go = threading.Barrier(2), threading.Event()

    def rule(_call: Any) -> str:
        go.set()
        both.wait(30)
        return "well"

    server.rule = rule
    asking = caller(provider(name="a"), provider(name="b"))
    replies: list[Any] = []
    threads = [
        threading.Thread(target=lambda: replies.append(asking.ask([Choice("a"), Choice("b")], ask()).reply))
        for _ in range(2)
    ]
    threads[0].start()
    assert go.wait(30)
    threads[1].start()
    for thread in threads:
        thread.join()
    assert sorted(reply.provider for reply in replies) == ["a", "b"]


def test_a_limit_per_minute_sends_the_rest_elsewhere(provider: Any, caller: Any, ask: Any) -> None:
    """Two a minute here, and the others there: nobody waits."""
    asking = caller(provider(name="a", requests_per_minute=2), provider(name="b"))
    names = [asking.ask([Choice("a"), Choice("b", fallback=True)], ask()).reply.provider for _ in range(4)]
    assert names == ["a", "a", "b", "b"]


def test_a_limit_per_minute_is_waited_for(
    provider: Any, caller: Any, ask: Any, slept: list[float], clock: Any
) -> None:
    """The third call begins a minute after the first."""
    asking = caller(provider(requests_per_minute=2))
    asking.ask([Choice("p")], ask())
    clock.advance(10)
    asking.ask([Choice("p")], ask())
    asking.ask([Choice("p")], ask())
    assert slept == [50.0]


def test_an_open_breaker_spares_the_provider(
    server: Any, provider: Any, caller: Any, ask: Any, fault: Any, clock: Any
) -> None:
    """Five outages in a row, and the next calls go elsewhere without trying it; later one tries."""
    server.rule = lambda call: fault(error="server_error") if call.model == "m1" else "from the other"
    asking = caller(provider(name="a"), provider(name="b"))
    choices = [Choice("a", "m1"), Choice("b", "m2", fallback=True)]
    for _ in range(2):
        asking.ask(choices, ask())
    before = len(server.calls)
    answered = asking.ask(choices, ask())
    assert [call.provider for call in answered.calls] == ["b"]
    assert len(server.calls) == before + 1
    server.rule = "I am back"
    clock.advance(60)
    assert asking.ask(choices, ask()).reply.provider == "a"


def test_an_open_breaker_is_waited_for_when_there_is_nobody_else(
    server: Any, provider: Any, caller: Any, ask: Any, fault: Any, slept: list[float]
) -> None:
    """Its next try is the one that answers."""
    server.rule = lambda call: fault(reset=True) if call.number <= 5 else "well"
    asking = caller(provider())
    with pytest.raises(GaveUpError):
        asking.ask([Choice("p")], ask())
    assert asking.ask([Choice("p")], ask()).reply.text == "well"
    assert len(server.calls) == 6
    assert max(slept) > 25


def test_a_failure_that_is_no_outage_leaves_the_breaker_closed(
    server: Any, provider: Any, caller: Any, ask: Any, fault: Any
) -> None:
    """Who refuses us is up."""
    server.rule = fault(error="bad_request")
    asking = caller(provider())
    for _ in range(8):
        with pytest.raises(GaveUpError):
            asking.ask([Choice("p")], ask())
    assert len(server.calls) == 8


def test_a_bug_is_not_taken_for_a_failure(provider: Any, caller: Any, ask: Any, clock: Any) -> None:
    """What is no ProviderError passes through, and the limits know that the call is over."""
    one = provider()
    asking = caller(one)
    one.http.json = _broken
    with pytest.raises(ZeroDivisionError):
        asking.ask([Choice("p")], ask())
    clock.advance(61)
    assert asking.standings["p"].load() == 0


def _broken(*_: Any, **__: Any) -> Any:
    raise ZeroDivisionError


def test_a_key_is_never_sent_in_the_open(provider: Any, ask: Any) -> None:
    """Plain http to another machine: nothing leaves, and the ways out are named."""
    with pytest.raises(
        ProviderError, match=r"not sent over plain http .* use https, or an ssh tunnel"
    ) as caught:
        provider(base_url="http://192.0.2.1:9/v1").complete(ask())
    assert caught.value.kind == "unavailable"
