"""A tool that meets its provider's limit: parked, and going on by itself, with all tasks of the tool."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from conftest import Host

CLAUDE = r"""#!/bin/bash
# prints what claude prints: at a limit until @FOLDER@/open is there, then an answer
echo "$AISPOOL_TASK_ID $(basename "$AISPOOL_ATTEMPT") $*" >> @FOLDER@/calls
cat > /dev/null
echo '{"type":"system","subtype":"init","session_id":"00000000-0000-4000-8000-000000000001"}'
if [ ! -e @FOLDER@/open ]; then
    echo '{"subtype":"api_retry","retry_delay_ms":@WAIT@,"error_status":429,"error":"rate_limit"}'
    @THEN@
fi
echo '{"type":"assistant","message":{"content":[{"type":"text","text":"the answer"}]}}'
echo '{"type":"result","subtype":"success","is_error":false,"result":"the answer","usage":{"input_tokens":3,'\
'"output_tokens":2},"total_cost_usd":0.5,"session_id":"00000000-0000-4000-8000-000000000001"}'
"""
GIVE_UP = (
    'echo \'{"type":"result","subtype":"success","is_error":true,"api_error_status":429,'
    '"result":"API Error: 429 rate limit"}\'; exit 1'
)


def claude(host: Host, wait_ms: int, then: str) -> None:
    text = CLAUDE.replace("@WAIT@", str(wait_ms)).replace("@THEN@", then)
    path = host.program("claude", text.replace("@FOLDER@", str(host.folder)))
    host.tools(extra=f'[tools.claude]\npath = "{path}"\n')


def ask(host: Host, task_id: str) -> None:
    host.drop(task_id, "", tool="claude", parameters={"prompt": "What is it?"})


def test_a_limit_parks_the_tool_and_ends_by_itself(host: Host) -> None:
    """No retry is used up, the other task of the tool waits too, other tools go on; then both succeed."""
    claude(host, 2000, GIVE_UP)
    host.start(slots=3)
    ask(host, "first")
    status = host.wait_for_state("first", "deferred")
    assert "limit" in status["reason"]
    assert status["next_attempt_at"]
    ask(host, "second")
    assert "rate limited until" in host.why("second", "rate limited")
    host.drop("other", "finish")
    assert host.result("other")["state"] == "succeeded"
    (host.folder / "open").touch()
    assert host.results("first", "second") == {"first": "succeeded", "second": "succeeded"}
    first = host.result("first")
    assert [a["outcome"] for a in first["attempts"]] == ["rate_limit", "success"]
    assert first["output"]["text"] == "the answer"
    assert first["usage"] == {"input_tokens": 3, "output_tokens": 2, "cost_usd": 0.5}


def test_a_tool_that_sleeps_at_a_long_limit_is_ended_and_parked(host: Host) -> None:
    """It says that it waits for ten minutes: its slot is free at once, and the time is known."""
    claude(host, 600_000, "exec sleep 600")
    host.start(slots=1)
    ask(host, "first")
    status = host.wait_for_state("first", "deferred")
    due = dt.datetime.fromisoformat(status["next_attempt_at"])
    ahead_s = (due - dt.datetime.now(dt.UTC)).total_seconds()
    assert 500 < ahead_s < 601
    host.drop("other", "finish")
    assert host.result("other")["state"] == "succeeded"
    host.cancel("first")
    assert host.result("first")["state"] == "cancelled"
