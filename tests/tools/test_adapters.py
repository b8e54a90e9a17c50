"""Every adapter against what the real tools printed: tests/tools/golden."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from agent.tools.adapter import Said
from agent.tools.adapters import ADAPTERS
from agent.tools.report import SENTENCES, Outcome, Report

GOLDEN = Path(__file__).parent / "golden"
CASES = sorted(path.parent for path in GOLDEN.glob("*/*/expected.json"))
WHEN_UNSAID = datetime(2026, 11, 22, 0, 33, tzinfo=UTC)
CLOCK_SLACK_S = 90.0

SAID_ELSEWHERE_S = {
    "codex/usage-limit": 7200.0,
    "gemini/http-429-retry-after": 7.0,
    "gemini/quota": 8 * 3600 + 24 * 60 + 32.0,
    "qwen/http-429-retry-after": 7.0,
}
"""Waits that stand in a sentence or on stderr, which expected.json leaves out."""


def case_name(case: Path) -> str:
    return f"{case.parent.name}/{case.name}"


def said_of(case: Path, config_dir: Path | None = None, **changes: Any) -> Said:
    exit_ = json.loads((case / "exit.json").read_text())
    expected = json.loads((case / "expected.json").read_text())
    started = exit_.get("started_utc")
    began = datetime.fromisoformat(started) if started else WHEN_UNSAID
    fields: dict[str, Any] = {
        "exit_code": exit_["exit_code"],
        "signal": exit_["signal"],
        "ended_by": "timeout" if exit_["killed_by_us"] and expected["outcome"] == "timed_out" else None,
        "stdout": (case / "stdout").read_bytes(),
        "stderr": (case / "stderr").read_bytes(),
        "interactive": False,
        "finished_at": began + timedelta(seconds=exit_["duration_s"]),
        "config_dir": config_dir,
        **changes,
    }
    return Said(**fields)


def kept_by_the_tool(case: Path, folder: Path) -> Path:
    """Lay the files that the tool left behind to where it leaves them."""
    if (case / "rollout.jsonl").exists():
        session = json.loads((case / "expected.json").read_text())["session_id"]
        target = folder / "sessions/2026/11/22" / f"rollout-2026-11-22T00-00-00-{session}.jsonl"
        target.parent.mkdir(parents=True)
        shutil.copy(case / "rollout.jsonl", target)
    if (case / "api-log.json").exists():
        (folder / "api").mkdir()
        shutil.copy(case / "api-log.json", folder / "api")
    return folder


@pytest.mark.parametrize("case", CASES, ids=case_name)
def test_what_a_real_run_came_to(case: Path, tmp_path: Path) -> None:
    """Outcome, answer, usage, conversation and wait of every recorded run."""
    expected = json.loads((case / "expected.json").read_text())
    report = ADAPTERS[case.parent.name].read(said_of(case, kept_by_the_tool(case, tmp_path)))
    assert report.outcome == expected["outcome"], report.reason
    assert report.text == (expected["text"] or "")
    usage = report.usage
    known = (usage.input_tokens, usage.output_tokens)
    assert known == (expected["input_tokens"], expected["output_tokens"])
    assert usage.cost_usd == (None if expected["cost_usd"] is None else pytest.approx(expected["cost_usd"]))
    assert report.tool_session_id == expected["session_id"]
    wait_s = SAID_ELSEWHERE_S.get(case_name(case), expected["retry_after_s"])
    slack_s = 1.0 if wait_s is not None and wait_s < 60 else CLOCK_SLACK_S
    assert report.retry_after_s == (None if wait_s is None else pytest.approx(wait_s, abs=slack_s))


@pytest.mark.parametrize("case", CASES, ids=case_name)
def test_a_reason_is_one_sentence_for_people(case: Path) -> None:
    report = ADAPTERS[case.parent.name].read(said_of(case))
    assert report.reason
    assert report.reason.isprintable(), "no line breaks and no control characters"
    assert len(report.reason) <= 400
    if report.outcome in SENTENCES and report.outcome is not Outcome.FAILED:
        assert report.reason.startswith(SENTENCES[report.outcome])


@pytest.mark.parametrize("case", CASES, ids=case_name)
@pytest.mark.parametrize(
    ("ended_by", "outcome"),
    [
        ("cancel", Outcome.CANCELLED),
        ("timeout", Outcome.TIMED_OUT),
        ("waiting_timeout", Outcome.TIMED_OUT),
        ("shutdown", Outcome.LOST),
        ("lost", Outcome.LOST),
    ],
)
def test_why_we_ended_it_wins(case: Path, ended_by: str, outcome: Outcome) -> None:
    """Whatever it had printed: gemini exits 0 when it is killed, and may have answered already."""
    report = ADAPTERS[case.parent.name].read(said_of(case, ended_by=ended_by))
    assert report.outcome is outcome
    assert report.retry_after_s is None


@pytest.mark.parametrize("case", CASES, ids=case_name)
def test_a_signal_is_never_success(case: Path) -> None:
    report = ADAPTERS[case.parent.name].read(said_of(case, exit_code=None, signal=9, ended_by=None))
    assert report.outcome not in (Outcome.SUCCESS, Outcome.REFUSED)


@pytest.mark.parametrize("case", CASES, ids=case_name)
def test_an_error_with_exit_code_0_is_no_success(case: Path) -> None:
    """The exit codes of these tools lie."""
    expected = json.loads((case / "expected.json").read_text())
    report = ADAPTERS[case.parent.name].read(said_of(case, exit_code=0, signal=None, ended_by=None))
    if expected["outcome"] not in ("success", "refused"):
        assert report.outcome not in (Outcome.SUCCESS, Outcome.REFUSED)


@pytest.mark.parametrize("case", CASES, ids=case_name)
@pytest.mark.parametrize("share", [0.0, 0.3, 0.7])
def test_output_of_which_the_middle_is_missing(case: Path, share: float) -> None:
    """It is read as far as possible, and never taken for more than it was."""
    whole = (case / "stdout").read_bytes()
    begin, end = int(len(whole) * share), int(len(whole) * (share + 0.2))
    cut = whole[:begin] + b"\n[aispool: 999999 bytes were left out here]\n" + whole[end:]
    expected = json.loads((case / "expected.json").read_text())
    report = ADAPTERS[case.parent.name].read(said_of(case, stdout=cut))
    assert isinstance(report, Report)
    # where the answer itself is missing, nobody can tell that it was empty
    if expected["outcome"] not in ("success", "refused", "no_answer"):
        assert report.outcome is not Outcome.SUCCESS
