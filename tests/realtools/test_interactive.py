"""What each real tool does in its own terminal: it asks a person, is answered, goes on, and is left.

| in its terminal | claude | codex | gemini | qwen | opencode |
| --- | --- | --- | --- | --- | --- |
| its question is told, `aispool answer` is typed | yes | yes | yes | yes | yes |
| says that it is done, keeps its answer and usage | yes | yes | yes | yes | no: it has no hook |
| goes on by itself after a kill | yes | yes | yes | yes | no: it tells its conversation headless alone |

What the model's server does wrong is played headless: a terminal gives the person what failed, and waits.
"""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from agent.launchers.tmux import socket_path

pytestmark = pytest.mark.timeout(240)

SEEN_WITHIN_S = 2.0


def test_a_question_is_seen_and_its_answer_typed_and_the_tool_goes_on(rig: Any) -> None:
    """No first-run dialog comes before it; the answer is Enter, which consents, and later the way out."""
    rig.model.play(tool=rig.kit.ask(rig.cwd), then={"text": "The file is written."})
    rig.drop("asks", "Make the file made.txt.", interactive=True)
    shown_s, told_s = _first_seen(rig)
    assert told_s - shown_s < SEEN_WITHIN_S
    status = rig.host.status("asks")
    assert rig.kit.question in status["question"], status
    assert not (rig.cwd / "made.txt").exists()

    rig.aispool("answer", "asks", "")
    rig.host.wait((rig.cwd / "made.txt").exists, "it did what it asked for", 60)
    rig.host.wait(lambda: "The file is written." in _pane(rig), "it answered in its terminal", 60)
    if rig.kit.tells_its_end:
        rig.host.wait(lambda: "it is done" in (_status(rig).get("question") or ""), "it waits for more", 30)
    rig.aispool("answer", "asks", rig.kit.leave)
    if not rig.kit.tells_its_end:
        # nothing says that it is ready, so that nobody's answer is typed: a person types in the terminal
        _tmux(rig, "send-keys", "-t", "task-asks", "-l", rig.kit.leave)
        rig.host.wait(lambda: rig.kit.leave in _pane(rig), "the words are there", 10)
        _tmux(rig, "send-keys", "-t", "task-asks", "Enter")
    result = rig.result("asks", 60)
    assert result["state"] == "succeeded", result["reason"]
    if rig.kit.tells_its_end:
        assert result["output"]["text"] == "The file is written."
        assert result["usage"]["output_tokens"]
    rig.host.wait(lambda: not rig.tool_processes("asks"), "nothing of it runs", 10)


def _first_seen(rig: Any) -> tuple[float, float]:
    """Return when the question was first on the screen, and when status.json told of it."""
    seen: dict[str, float] = {}

    def both() -> bool:
        if "shown" not in seen and re.search(rig.kit.asks, _pane(rig)):
            seen["shown"] = rig.host.clock()
        if "told" not in seen and _status(rig).get("state") == "waiting_input":
            seen["told"] = rig.host.clock()
        return len(seen) == 2

    try:
        rig.host.wait(both, "it asks", 100)
    except BaseException:
        print(seen, _status(rig), _pane(rig), sep="\n")  # noqa: T201 (for the report of the failure)
        raise
    return seen["shown"], seen["told"]


def _keeps(rig: Any, words: str) -> bool:
    """Tell whether one of the tool's transcripts holds some words."""
    # os.walk: claude makes and removes folders meanwhile
    walked = os.walk(rig.host.ws.configs / "runners" / rig.kit.name)
    kept = [Path(folder) / name for folder, _, names in walked for name in names if name.endswith(".jsonl")]
    return any(words in path.read_text() for path in kept)


def _status(rig: Any) -> dict[str, Any]:
    return rig.host.status("asks") or {}


def _pane(rig: Any) -> str:
    return _tmux(rig, "capture-pane", "-p", "-t", "task-asks")


def _tmux(rig: Any, *words: str) -> str:
    command = ["tmux", "-S", str(socket_path(rig.host.ws.root)), *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=20, check=False).stdout


def test_a_conversation_in_a_terminal_goes_on_after_a_kill_and_ends_with_a_cancel(rig: Any) -> None:
    """Wrapper and tool are killed at once; the next attempt sends what was said before, unasked."""
    rig.model.play(text="I know it now.")
    rig.drop("asks", "Remember the word PERIWINKLE.", interactive=True)
    rig.host.wait(lambda: "I know it now." in _pane(rig), "it answered", 60)
    if rig.kit.tells_its_end:
        rig.host.wait(lambda: "it is done" in (_status(rig).get("question") or ""), "it waits for more", 30)
        # claude writes its transcript a second later: killed before, there is nothing to go on with
        rig.host.wait(lambda: _keeps(rig, "I know it now."), "it wrote down what it answered", 30)
    before = len(rig.model.requests())
    rig.kill_attempt("asks")
    if not rig.kit.tells_its_end:
        # opencode says nowhere which conversation its terminal holds, and would send nothing there
        assert rig.result("asks", 60)["state"] == "lost"
        return
    rig.host.wait(lambda: "Continue where you stopped" in str(rig.model.requests()[before:]), "goes on", 60)
    assert "PERIWINKLE" in str(rig.model.requests()[before:])
    rig.aispool("cancel", "asks")
    result = rig.result("asks", 60)
    assert [attempt["state"] for attempt in result["attempts"]] == ["lost", "cancelled"], result["attempts"]
    rig.host.wait(lambda: not rig.tool_processes("asks"), "nothing of it runs", 10)
