"""What is left of a run: its memory, its label, its figures, its traces in the audit log."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from agent import audit
from agent.collab import feedback, labels, memory
from agent.collab.metrics import exposition, figures, read_runs

if TYPE_CHECKING:
    from pathlib import Path


def over(desk: Any, session: Path) -> Path:
    """Move a session where it goes when it is over."""
    target: Path = desk.workspace.results / session.name
    session.rename(target)
    return target


def test_what_a_run_found_is_there_for_the_next(desk: Any, brain: Any) -> None:
    """With its outcome, as data; and gone from the next prompt when it was forgotten."""
    desk.run(desk.ask("Shall I clean the cache?", "q1"))
    (kept,) = memory.read_all(desk.workspace)
    assert kept.entry.task_id == "q1"
    feedback.label(desk.workspace, "q1", good=False, by="person", who="ana")
    desk.run(desk.ask("Shall I clean the cache again?", "q2"))
    plan = brain.asked["plan"][-1].text
    line = next(line for line in plan.splitlines() if kept.id in line)
    assert json.loads(line)["outcome"] == "bad"
    memory.forget(desk.workspace, [each.id for each in memory.read_all(desk.workspace)], who="ana")
    desk.run(desk.ask("Shall I clean the cache at last?", "q3"))
    assert kept.id not in brain.asked["plan"][-1].text
    assert "It is to be done." not in brain.asked["plan"][-1].text


def test_the_figures_of_a_run(desk: Any, server: Any, brain: Any, validation: Any) -> None:
    """Calls, tokens and marks by role and provider, and the scores that the report shows."""
    server.usage = {"input": 100, "output": 20}
    brain.says["validation-executor"] = validation("safety", "risks")
    session = desk.ask()
    desk.run(session)
    report = desk.report(session)
    found = figures(read_runs(desk.workspace), labels.read_all(desk.workspace))
    assert found.damaged == ()
    assert sum(player.calls for player in found.players) == 8
    assert sum(player.input_tokens or 0 for player in found.players) == report["usage"]["input_tokens"] == 800
    (executor,) = [player for player in found.players if player.role == "executor"]
    assert (executor.provider, executor.pass_rate, executor.success_rate) == ("gemini", 0.6, 1.0)
    assert found.total.consensus == [report["consensus"]["percent"]]
    assert found.total.confidence == [report["confidence"]["percent"]]
    assert 'role="executor",provider="gemini"' in exposition(found)
    kept = json.loads((desk.workspace.root / "collab/metrics.json").read_text())
    assert kept["total"] == found.total.document()
    over(desk, session)
    assert figures(read_runs(desk.workspace), labels.read_all(desk.workspace)) == found


def test_the_label_of_a_run(desk: Any) -> None:
    """It holds what the report says, and makes an outcome for calibration."""
    session = desk.ask()
    desk.run(session)
    report = desk.report(session)
    over(desk, session)
    label = feedback.label(desk.workspace, "q", good=True, by="person", who="ana").label
    assert label is not None
    assert label.raw == report["confidence"]["raw"]
    assert {(role.role, role.provider) for role in label.roles} == {
        ("coordinator", "gemini"),
        ("analyst", "qwen"),
        ("executor", "gemini"),
        ("innovator", "qwen"),
        ("validator", "qwen"),
    }
    marked = {role.role: role.independent for role in label.roles if role.checks_made}
    assert marked == {"analyst": False, "executor": True, "innovator": False}
    (outcome,) = labels.read_all(desk.workspace).outcomes()
    assert outcome.good
    assert outcome.root * (label.safety or 0) == label.raw


def test_the_audit_log_of_a_run(desk: Any) -> None:
    """Who asked and what came of it, in a chain that holds, and no key in it."""
    desk.run(desk.ask())
    events = [entry.event for entry in audit.entries(desk.workspace) if entry.task_id == "q"]
    assert events[0] == "asked"
    assert events[-1] == "result"
    verdict = audit.verify(desk.workspace)
    assert verdict.bad is None
    assert b"k-qwen" not in (desk.workspace.logs / "audit.jsonl").read_bytes()
