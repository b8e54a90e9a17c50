"""What each real tool comes to without a terminal, whatever the model's server does."""

from __future__ import annotations

import os
import signal
from datetime import datetime
from typing import Any

import pytest

pytestmark = pytest.mark.timeout(240)


def test_a_key_that_is_not_accepted_is_said_and_a_retry_with_a_good_one_succeeds(rig: Any) -> None:
    """401 is `auth` and not tried again; then the answer alone stands in the result and in its file."""
    rig.model.play(error="auth")
    rig.drop("hello", "Say hello.", parameters={"output": "results/hello.md"})
    locked = rig.result("hello", 120)
    assert (locked["state"], locked["outcome"]) == ("failed", "auth"), locked["reason"]
    assert len(locked["attempts"]) == 1
    assert not locked["output"]["text"]
    assert not (rig.host.ws.results / "hello.md").exists()

    rig.model.play(text="Hello from the model.", usage={"input": 11, "output": 7})
    rig.aispool("retry", "hello")
    path = rig.host.ws.results / "hello" / "result.json"
    rig.host.wait(lambda: len((rig.host.read(path) or {}).get("attempts", [])) > 1, "it ran again", 120)
    result = rig.result("hello")
    assert (result["state"], result["outcome"]) == ("succeeded", "success"), result["reason"]
    assert result["output"]["text"] == "Hello from the model."
    assert (rig.host.ws.results / "hello.md").read_text().strip() == "Hello from the model."
    assert (result["usage"]["input_tokens"], result["usage"]["output_tokens"]) == (11, 7)
    assert (result["usage"]["cost_usd"] or 0) > 0 or not rig.kit.tells_money
    assert result["tool_session_id"]
    assert "Say hello." in str(rig.model.requests()[-1]["body"])


def test_a_failing_server_is_said(rig: Any) -> None:
    """500 is `server_error`, however often the tool asks by itself."""
    rig.model.play(error="server_error")
    rig.drop("broken", "Say hello.")
    result = rig.result("broken", rig.kit.failing_s)
    assert (result["state"], result["outcome"]) == ("failed", "server_error"), result["reason"]


def test_a_rate_limit_parks_the_tool_alone_and_ends_by_itself(rig: Any) -> None:
    """The task is deferred with the time, others of the tool wait, other tools go on, both succeed later."""
    rig.model.play(error="rate_limit", retry_after_s=5)
    rig.drop("limited", "Say hello.")

    def deferred() -> dict[str, Any] | None:
        status = rig.host.status("limited")
        return status if status is not None and status["state"] == "deferred" else None

    status = rig.host.wait(deferred, "the limit is met", rig.kit.limited_s)
    asked = len(rig.model.requests())
    assert status["attempts"][-1]["outcome"] == "rate_limit", status["reason"]
    assert datetime.fromisoformat(status["next_attempt_at"])
    assert status["attempts"][-1]["retry_after_s"] is not None
    rig.drop("second", "Say hello too.")
    rig.host.shell("other", "echo went on")
    assert rig.result("other", 30)["state"] == "succeeded"
    if rig.host.status("limited")["state"] == "deferred":
        assert rig.host.status("second") is None
        assert len(rig.model.requests()) == asked
    rig.model.play(text="Hello at last.")
    for task_id in ("limited", "second"):
        result = rig.result(task_id, 150)
        assert (result["state"], result["output"]["text"]) == ("succeeded", "Hello at last."), result[
            "reason"
        ]


def test_a_hang_ends_with_the_time_limit_and_leaves_nothing(rig: Any) -> None:
    """It is timed_out, whatever exit code the tool finds for that."""
    rig.model.play(hang=True)
    rig.drop("hung", "Say hello.", timeout=15)
    result = rig.result("hung", 60)
    assert (result["state"], result["outcome"]) == ("timed_out", "timed_out"), result["reason"]
    rig.host.wait(lambda: not rig.tool_processes("hung"), "nothing of it runs", 10)


def test_a_cancel_is_cancelled_and_leaves_nothing(rig: Any) -> None:
    """Ended by us is never a success, also where the tool then exits with 0."""
    _hang(rig, "stopped")
    rig.aispool("cancel", "stopped")
    result = rig.result("stopped", 60)
    assert (result["state"], result["outcome"]) == ("cancelled", "cancelled"), result["reason"]
    rig.host.wait(lambda: not rig.tool_processes("stopped"), "nothing of it runs", 10)


def test_a_tool_that_somebody_killed_is_killed(rig: Any) -> None:
    """SIGKILL of the tool is `killed`, with the signal in the reason."""
    _hang(rig, "shot")
    os.kill(rig.started("shot")["tool_pid"], signal.SIGKILL)
    result = rig.result("shot", 60)
    assert (result["state"], result["outcome"]) == ("failed", "killed"), result["reason"]
    assert "SIGKILL" in result["reason"]


def test_a_lost_session_goes_on_with_its_conversation(rig: Any) -> None:
    """Wrapper and tool killed at once: the next attempt sends what was said before, and the answer counts."""
    rig.model.play(first=[{"tool": rig.kit.look(rig.cwd)}], hang=True)
    rig.drop("lost", "Remember the word PERIWINKLE, then look at seen.txt.")
    rig.host.wait(lambda: _conversations(rig) >= 2, "it brought its tool's result", 90)
    before = len(rig.model.requests())
    rig.model.play(text="I went on.")
    rig.kill_attempt("lost")
    result = rig.result("lost", 150)
    states = [attempt["state"] for attempt in result["attempts"]]
    assert states == ["lost", "succeeded"], result["attempts"]
    assert result["output"]["text"] == "I went on."
    later = str([request["body"] for request in rig.model.requests()[before:]])
    assert "PERIWINKLE" in later
    assert "Continue where you stopped" in later


def _hang(rig: Any, task_id: str) -> None:
    rig.model.play(hang=True)
    rig.drop(task_id, "Say hello.")
    rig.host.wait(lambda: _conversations(rig) >= 1, "it asked the model", 90)


def _conversations(rig: Any) -> int:
    """Count the requests of the main conversation, which are the ones that offer tools."""
    return sum(bool(request["body"].get("tools")) for request in rig.model.requests())
