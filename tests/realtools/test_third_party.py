"""The same against a model server that others wrote, so that ours cannot agree with us by mistake.

`llmock` of @copilotkit/aimock speaks all four wire formats; its journal says whether it took each request for
a good one. It knows no vendor's own words for a failure, no hang and no tool call of these tools: ours plays
those.
"""

from __future__ import annotations

import json
import subprocess
import time
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.timeout(240)

GREETING = "Hello from somebody else's server."
NO_KEY = {"error": {"message": "invalid api key", "type": "authentication_error"}, "status": 401}
FIXTURES = {
    "fixtures": [
        {"match": {"userMessage": "PERIWINKLE"}, "response": {"content": GREETING}},
        {"match": {"userMessage": "MARIGOLD"}, "response": NO_KEY},
    ]
}


@pytest.fixture
def llmock(host: Any, bin_folder: Path) -> Iterator[str]:
    """Its address; it fails every request that it does not know."""
    fixtures, said = host.folder / "fixtures.json", host.folder / "llmock.out"
    fixtures.write_text(json.dumps(FIXTURES))
    with said.open("wb") as out:
        process = subprocess.Popen(
            [bin_folder / "llmock", "-p", "0", "-f", str(fixtures), "--strict", "--validate-on-load"],
            env={"PATH": f"{bin_folder}:/usr/local/bin:/usr/bin:/bin"},
            stdout=out,
            stderr=subprocess.STDOUT,
        )
    try:
        yield _address(process, said)
    finally:
        process.kill()
        process.wait()


def _address(process: subprocess.Popen[bytes], said: Path) -> str:
    end_s = time.monotonic() + 60
    while "listening on " not in said.read_text():
        assert process.poll() is None, said.read_text()
        assert time.monotonic() < end_s, said.read_text()
        time.sleep(0.05)
    return said.read_text().partition("listening on ")[2].split()[0]


def test_the_answer_of_another_server_is_the_answer(llmock: str, rig: Any) -> None:
    """It understood every request of the tool's main conversation, and the tool and we understood it."""
    rig.drop("hello", "Say hello to PERIWINKLE.")
    result = rig.result("hello", 150)
    assert (result["state"], result["outcome"]) == ("succeeded", "success"), result["reason"]
    assert result["output"]["text"] == GREETING
    assert result["tool_session_id"]
    assert {(call["status"], call["fixture"]["match"]["userMessage"]) for call in _calls(llmock)} == {
        (200, "PERIWINKLE")
    }


def test_another_server_refuses_the_key(llmock: str, rig: Any) -> None:
    """Its 401 is `auth` as ours is."""
    rig.drop("locked", "Say hello to MARIGOLD.")
    result = rig.result("locked", 150)
    assert (result["state"], result["outcome"]) == ("failed", "auth"), result["reason"]
    assert {call["status"] for call in _calls(llmock)} == {401}


def _calls(llmock: str) -> list[dict[str, Any]]:
    """Return what became of each model call: its status, and the fixture that it matched."""
    with urllib.request.urlopen(f"{llmock}/__aimock/journal", timeout=20) as answer:  # noqa: S310 (on this machine)
        journal = json.loads(answer.read())
    calls = [entry["response"] for entry in journal if entry["method"] == "POST"]
    assert calls
    return calls
