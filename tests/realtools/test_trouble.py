"""What goes wrong while each real tool is in its own terminal, and going on with a talk on request."""

from __future__ import annotations

import re
import subprocess
from typing import Any

import pytest

from agent.launchers.tmux import socket_path

pytestmark = pytest.mark.timeout(240)

WORDLESS = {("gemini", "rate_limit"), ("gemini", "server_error"), ("opencode", "auth")}
"""In its terminal gemini asks again and again for minutes; opencode shows none of these words."""
TROUBLE = re.compile(r"\b(401|429|500|errors?|retry|retrying|limit|unauthori[sz]ed|failed)\b", re.IGNORECASE)


@pytest.mark.parametrize("error", ["auth", "rate_limit", "server_error"])
def test_a_failing_server_is_seen_in_the_terminal_and_the_task_can_be_ended(rig: Any, error: str) -> None:
    """The tool stays with the person who looks at it, nothing is taken for a success, and cancel ends it."""
    rig.model.play(error=error, **({"retry_after_s": 5} if error == "rate_limit" else {}))
    rig.drop("asks", "Say hello.", interactive=True)
    rig.host.wait(rig.model.requests, "it asked its server", 100)
    if (rig.kit.name, error) not in WORDLESS:
        rig.host.wait(lambda: TROUBLE.search(_pane(rig)), "its terminal tells of the trouble", 100)
    assert (rig.host.status("asks") or {})["state"] in {"running", "waiting_input"}
    rig.aispool("cancel", "asks")
    result = rig.result("asks", 60)
    assert (result["state"], result["outcome"]) == ("cancelled", "cancelled"), result["reason"]
    rig.host.wait(lambda: not rig.tool_processes("asks"), "nothing of it runs", 10)


def test_a_hang_in_the_terminal_ends_with_the_time_limit(rig: Any) -> None:
    """It is timed_out, and leaves nothing."""
    rig.model.play(hang=True)
    rig.drop("asks", "Say hello.", interactive=True, timeout=20)
    result = rig.result("asks", 100)
    assert (result["state"], result["outcome"]) == ("timed_out", "timed_out"), result["reason"]
    rig.host.wait(lambda: not rig.tool_processes("asks"), "nothing of it runs", 10)


def test_a_retry_with_resume_goes_on_with_the_conversation(rig: Any) -> None:
    """What was said before is sent again with the request to go on."""
    rig.model.play(text="I know it.", usage={"input": 11, "output": 7})
    rig.drop("talk", "Remember the word PERIWINKLE.")
    assert rig.result("talk", 120)["state"] == "succeeded"
    before = len(rig.model.requests())
    rig.model.play(text="I still know it.", usage={"input": 11, "output": 7})
    rig.aispool("retry", "--resume", "talk")
    second = rig.host.ws.results / "talk" / "attempts" / "002" / "exit"
    rig.host.wait(second.exists, "it ran again", 120)
    result = rig.result("talk", 60)
    assert (result["state"], result["output"]["text"]) == ("succeeded", "I still know it."), result["reason"]
    assert "PERIWINKLE" in str([request["body"] for request in rig.model.requests()[before:]])


def _pane(rig: Any) -> str:
    command = ["tmux", "-S", str(socket_path(rig.host.ws.root)), "capture-pane", "-p", "-t", "task-asks"]
    return subprocess.run(command, capture_output=True, text=True, timeout=20, check=False).stdout
