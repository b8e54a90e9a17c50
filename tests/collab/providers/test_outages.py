"""Every way in which a provider fails, and what the caller makes of it."""

from __future__ import annotations

import json
import socket
import threading
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from agent.collab.providers import http
from agent.collab.providers.base import ProviderError
from agent.collab.providers.caller import Choice, GaveUpError, Patience
from agent.collab.providers.failures import failure_of, wait_of

NOON = datetime(2026, 11, 20, 12, 0, 0, tzinfo=UTC)
EMPTY = {
    "openai": {"choices": []},
    "anthropic": {"content": [], "stop_reason": "end_turn"},
    "gemini": {"candidates": []},
}
HTML = b"<html><body><h1>Sign in to the hotel's network</h1></body></html>"


def outages(fault: Any, wire: str) -> dict[str, tuple[Any, str]]:
    """What the server does → what it is called."""
    page = {"Content-Type": "text/html"}
    return {
        "reset": (fault(reset=True), "network"),
        "hang": (fault(hang=True), "timeout"),
        "truncated": (fault(truncated=True), "network"),
        "500": (fault(error="server_error"), "server"),
        "503": (fault(status=503, body=b"no capacity"), "server"),
        "504": (fault(status=504, body=b""), "timeout"),
        "529": (fault(status=529, body=b'{"error": {"message": "Overloaded"}}'), "server"),
        "HTML": (fault(status=200, body=HTML, headers=page), "server"),
        "502 in HTML": (fault(status=502, body=HTML, headers=page), "server"),
        "not an object": (fault(status=200, body=b"[1, 2]"), "server"),
        "no answer in it": (fault(status=200, body=json.dumps(EMPTY[wire]).encode()), "server"),
        "no JSON": (fault(status=200, body=b""), "server"),
    }


NAMES = sorted(outages(lambda **_: None, "openai"))


@pytest.mark.parametrize("name", NAMES)
def test_an_outage_is_tried_again_and_then_given_up(
    server: Any, provider: Any, caller: Any, ask: Any, fault: Any, wire: str, name: str, slept: list[float]
) -> None:
    """Three tries with growing pauses; the error says what happened, where, and nothing of the key."""
    server.rule, kind = outages(fault, wire)[name]
    with pytest.raises(GaveUpError) as caught:
        caller(provider(wire)).ask([Choice("p")], ask(timeout_s=0.4 if name == "hang" else 30.0))
    assert caught.value.kind == kind
    assert [call.error for call in caught.value.calls] == [kind] * 3
    assert len(server.calls) == 3 or name == "hang"  # it may have hung before it wrote the call down
    assert slept == [1.125, 2.25]
    assert "secret" not in str(caught.value)
    assert str(caught.value).startswith("p: ")


@pytest.mark.parametrize("name", NAMES)
def test_an_outage_that_passes_leaves_no_trace_but_its_call(
    server: Any, provider: Any, caller: Any, ask: Any, fault: Any, wire: str, name: str
) -> None:
    """The second try answers."""
    trouble, kind = outages(fault, wire)[name]
    server.rule = lambda call: trouble if call.number == 1 else "well"
    limit_s = 2.0 if name == "hang" else 30.0
    answered = caller(provider(wire)).ask([Choice("p")], ask(timeout_s=limit_s))
    assert answered.reply.text == "well"
    assert (answered.calls[0].error, answered.calls[-1].error) == (kind, None)


def test_nobody_listens(provider: Any, caller: Any, ask: Any, wire: str) -> None:
    """A refused connection names the address."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    with pytest.raises(GaveUpError, match=f"no answer from {url}") as caught:
        caller(provider(wire, base_url=url)).ask([Choice("p")], ask())
    assert caught.value.kind == "network"
    assert len(caught.value.calls) == 3


def test_a_name_that_nobody_knows(provider: Any, ask: Any) -> None:
    """A host that does not exist (RFC 6761) is a failure of the network."""
    with pytest.raises(ProviderError) as caught:
        provider(base_url="https://nowhere.invalid/v1").complete(ask(timeout_s=5.0))
    assert caught.value.kind == "network"


def test_an_endless_answer_is_not_read_to_its_end(
    server: Any, provider: Any, ask: Any, fault: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More than the limit is nobody's answer."""
    monkeypatch.setattr(http, "MAX_BODY_BYTES", 1 << 20)
    server.rule = fault(status=200, body=b" " * (1 << 22))
    with pytest.raises(ProviderError, match="larger than 1 MiB") as caught:
        provider().complete(ask())
    assert caught.value.kind == "server"


def test_an_answer_that_drips_is_late(provider: Any, ask: Any) -> None:
    """Each byte comes in time, the whole does not."""
    stop = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def drip() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(1 << 16)
                connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n")
                while not stop.wait(0.02):
                    try:
                        connection.sendall(b" ")
                    except OSError:
                        return

        thread = threading.Thread(target=drip)
        thread.start()
        one = provider(base_url=f"http://127.0.0.1:{listener.getsockname()[1]}")
        with pytest.raises(ProviderError, match=r"has not answered in 0\.5 s") as caught:
            one.complete(ask(timeout_s=0.5))
        stop.set()
        one.http.close()
        thread.join()
    assert caught.value.kind == "timeout"


def test_a_redirect_is_not_followed(server: Any, provider: Any, ask: Any, fault: Any, wire: str) -> None:
    """A key goes where its owner sent it: the address is named, and not asked."""
    server.rule = fault(status=302, headers={"Location": "http://elsewhere.example/v1"})
    with pytest.raises(
        ProviderError, match=r"points to http://elsewhere\.example/v1: put that into base_url"
    ):
        provider(wire).complete(ask())
    assert len(server.calls) == 1


@pytest.mark.parametrize("error", ["auth", "forbidden"])
def test_a_refused_key_is_not_tried_again(
    server: Any, provider: Any, caller: Any, ask: Any, fault: Any, wire: str, error: str
) -> None:
    """In the vendors' own words."""
    server.rule = fault(error=error)
    with pytest.raises(GaveUpError, match="check its key") as caught:
        caller(provider(wire)).ask([Choice("p")], ask())
    assert (caught.value.kind, len(server.calls)) == ("auth", 1)


def test_a_used_up_account_is_not_tried_again(
    server: Any, provider: Any, caller: Any, ask: Any, fault: Any, wire: str
) -> None:
    """In the vendors' own words: quota, not a limited rate."""
    server.rule = fault(error="quota")
    with pytest.raises(GaveUpError) as caught:
        caller(provider(wire)).ask([Choice("p")], ask())
    assert (caught.value.kind, len(server.calls)) == ("quota", 1)


def test_a_question_that_is_too_long(
    server: Any, provider: Any, caller: Any, ask: Any, fault: Any, wire: str
) -> None:
    """It will not get shorter by itself."""
    server.rule = fault(error="context_too_long")
    with pytest.raises(GaveUpError, match="ask less at once") as caught:
        caller(provider(wire)).ask([Choice("p")], ask())
    assert (caught.value.kind, len(server.calls)) == ("too_long", 1)


def test_the_wait_that_is_asked_for_is_kept(
    server: Any, provider: Any, caller: Any, ask: Any, fault: Any, wire: str, slept: list[float]
) -> None:
    """429 with Retry-After in seconds, in the vendors' own words."""
    trouble = fault(error="rate_limit", retry_after_s=7)
    server.rule = lambda call: trouble if call.number == 1 else "well"
    assert caller(provider(wire)).ask([Choice("p")], ask()).reply.text == "well"
    assert 7 <= slept[0] <= 9


def test_the_date_that_is_asked_for_is_kept(
    server: Any, provider: Any, caller: Any, ask: Any, fault: Any, wire: str, slept: list[float]
) -> None:
    """429 with Retry-After as an HTTP date (RFC 9110)."""
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=40), usegmt=True)
    trouble = fault(status=429, headers={"Retry-After": date})
    server.rule = lambda call: trouble if call.number == 1 else "well"
    assert caller(provider(wire)).ask([Choice("p")], ask()).reply.text == "well"
    assert 30 < slept[0] <= 43


def test_a_limit_that_ends_too_late_is_not_waited_for(
    server: Any, provider: Any, caller: Any, ask: Any, fault: Any, slept: list[float]
) -> None:
    """The error says when it ends."""
    server.rule = fault(status=429, headers={"Retry-After": "7200"})
    with pytest.raises(GaveUpError) as caught:
        caller(provider()).ask([Choice("p")], ask(), Patience(total_s=600))
    assert (caught.value.kind, caught.value.retry_after_s, slept) == ("rate_limit", 7200.0, [])


@pytest.mark.parametrize(
    ("headers", "wait_s"),
    [
        ({}, None),
        ({"retry-after": "3"}, 3.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after": "0"}, 0.0),
        ({"retry-after": "Fri, 20 Nov 2026 12:01:30 GMT"}, 90.0),
        ({"retry-after": "Fri, 20 Nov 2026 11:00:00 GMT"}, 0.0),
        ({"retry-after": "20 Nov 2026 12:00:10 -0000"}, 10.0),
        ({"retry-after": "3", "retry-after-ms": "250"}, 0.25),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "1e300"}, None),
    ],
)
def test_what_retry_after_says(headers: dict[str, str], wait_s: float | None) -> None:
    """Seconds, a date, or nothing that can be used."""
    assert wait_of(headers, NOON) == wait_s


def test_a_wait_that_stands_only_in_the_words() -> None:
    """Gemini puts it into the body."""
    text = '{"error": {"code": 429, "message": "Please retry in 17.5s.", "status": "RESOURCE_EXHAUSTED"}}'
    error = failure_of("g", 429, {}, text)
    assert (error.kind, error.retry_after_s) == ("rate_limit", 17.5)


def test_an_answer_that_twice_fits_nothing(
    server: Any, provider: Any, caller: Any, ask: Any, verdict: Any, wire: str
) -> None:
    """One repair round, told what was wrong; then it is over, and both calls are known for what they were."""
    server.rule = '{"safe": "perhaps"}'
    with pytest.raises(GaveUpError, match="safe: ") as caught:
        caller(provider(wire)).ask([Choice("p")], ask(schema=verdict))
    assert caught.value.kind == "invalid_answer"
    assert [call.error for call in caught.value.calls] == ["invalid_answer"] * 2
    assert [call.usage.input_tokens for call in caught.value.calls] == [11, 11]
    assert len(server.calls) == 2
    assert "cannot be used: safe: Input should be a valid boolean" in server.calls[1].prompt
    assert '{"safe": "perhaps"}' in server.calls[1].text


def test_an_answer_that_is_repaired(
    server: Any, provider: Any, caller: Any, ask: Any, verdict: Any, wire: str
) -> None:
    """The second answer counts, the first is known for what it was."""
    server.rule = lambda call: "I think it is safe." if call.number == 1 else {"safe": True}
    answered = caller(provider(wire)).ask([Choice("p")], ask(schema=verdict))
    assert answered.reply.parsed == verdict(safe=True)
    assert [call.error for call in answered.calls] == ["invalid_answer", None]
