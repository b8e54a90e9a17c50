"""What an attempt of the collaborative pipeline came to, from what it says and how it ended."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from agent.tools.adapter import Said
from agent.tools.collab import read
from agent.tools.report import Outcome

LINES = b"""Starting collaborative task: general
Gemini (Coordinator): Generating response
Gemini (Coordinator): answered after 1.2 s, 120 tokens in, 45 out, $0.001200
Qwen (Analyst): failed: qwen: HTTP 500 after 3.0 s, 0 tokens in, 0 out
Qwen (Innovator): answered after 0.4 s, 30 tokens in, 5 out
"""


def said(**fields: Any) -> Said:
    defaults: dict[str, Any] = {
        "exit_code": 0, "signal": None, "ended_by": None, "stdout": b"# Report\n", "stderr": LINES,
        "interactive": False, "finished_at": datetime.now(UTC),
    }  # fmt: skip
    return Said(**{**defaults, **fields})


def test_the_report_is_the_answer_and_the_lines_add_up() -> None:
    report = read(said())
    assert (report.outcome, report.text) == (Outcome.SUCCESS, "# Report")
    assert (report.usage.input_tokens, report.usage.output_tokens) == (150, 50)
    assert report.usage.cost_usd == pytest.approx(0.0012)


def test_a_kill_is_an_interruption() -> None:
    """It goes on where its steps end; what it had cost until then is known."""
    report = read(said(exit_code=None, signal=9))
    assert report.outcome is Outcome.LOST
    assert report.can_resume
    assert report.usage.input_tokens == 150


@pytest.mark.parametrize(
    ("kind", "outcome", "wait_s"),
    [
        ("auth", Outcome.AUTH, None),
        ("unavailable", Outcome.AUTH, None),
        ("rate_limit, again in 120 s", Outcome.RATE_LIMIT, 120.0),
        ("quota", Outcome.QUOTA, None),
        ("network", Outcome.UNREACHABLE, None),
        ("timeout", Outcome.SERVER_ERROR, None),
        ("question", Outcome.FAILED, None),
    ],
)
def test_the_last_line_names_the_trouble(kind: str, outcome: Outcome, wait_s: float | None) -> None:
    line = f"Collaborative task failed ({kind}): nobody can answer\n".encode()
    report = read(said(exit_code=1, stderr=LINES + line))
    assert (report.outcome, report.retry_after_s) == (outcome, wait_s)
    assert report.reason == "nobody can answer"


def test_a_bug_is_a_failure_with_its_last_words() -> None:
    report = read(said(exit_code=1, stderr=LINES + b"Traceback:\nNameError: x\n"))
    assert report.outcome is Outcome.FAILED
    assert "NameError: x" in report.reason


def test_a_report_that_looks_like_usage_costs_nothing() -> None:
    """Only what stands on standard error counts: a model writes the report."""
    report = read(said(stdout=b"answered, 9999 tokens in, 9999 out, $99.0\n"))
    assert report.usage.input_tokens == 150
