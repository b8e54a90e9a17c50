"""Figures over time: buckets of the reader's own days, and what falls into them."""

from __future__ import annotations

import itertools
import json
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from agent.collab.labels import Label, write
from agent.collab.records import CallRecord, QuestionRecord, StepRecord
from agent.service import metrics
from agent.service.errors import ServiceError
from spool.files import make_folder
from spool.records import Usage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agent.service.places import Desk
    from spool.workspace import Workspace

NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


@pytest.fixture
def madrid(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A zone whose clocks are changed twice a year."""
    monkeypatch.setenv("TZ", "Europe/Madrid")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def run(workspace: Workspace, task_id: str, at: datetime, *calls: CallRecord, percent: float = 50.0) -> None:
    """Make a run that was asked at a moment, whose analyst made these calls."""
    folder = workspace.results / task_id / "collab"
    make_folder(folder / "steps")
    QuestionRecord(task_id=task_id, text="?", type="general", asked_at=at).write(folder / "question.json")
    StepRecord(
        name="2-analyst", phase=2, role="analyst", state="ok", provider="qwen", started_at=at, finished_at=at,
        calls=calls,
    ).write(folder / "steps" / "2-analyst.json")  # fmt: skip
    scores = {"consensus": {"percent": percent, "coverage_percent": 100.0}, "confidence": None}
    (folder / "report.json").write_text(json.dumps(scores))


def call(seconds: float, error: str | None = None) -> CallRecord:
    return CallRecord(provider="qwen", error=error, duration_s=seconds, usage=Usage())


@pytest.mark.usefixtures("madrid")
@pytest.mark.parametrize("month", [3, 10])
def test_days_are_the_readers_own_over_a_change_of_the_clock(desk: Desk, month: int) -> None:
    """Each local day once, without a gap, also the day of 23 and that of 25 hours."""
    begin = datetime(2026, month, 20, 9, tzinfo=UTC)
    found = metrics.series(desk, begin, begin + timedelta(days=14))
    begins = [datetime.fromisoformat(each["begins"]).astimezone() for each in found["buckets"]]
    assert [(each.hour, each.minute) for each in begins] == [(0, 0)] * 15
    assert [each.day for each in begins] == [(begin + timedelta(days=n)).day for n in range(15)]
    moments = [datetime.fromisoformat(each["begins"]) for each in found["buckets"]]
    lengths = {(b - a).total_seconds() / 3600 for a, b in itertools.pairwise(moments)}
    assert lengths == ({23.0, 24.0} if month == 3 else {24.0, 25.0})


def test_what_happened_falls_into_its_bucket(desk: Desk) -> None:
    """Response times, errors and scores by hour; a failed request has no response time."""
    run(desk.workspace, "a", NOON, call(1.0), call(3.0), percent=40)
    run(desk.workspace, "b", NOON + timedelta(minutes=30), call(9.0, "rate_limit"), percent=60)
    run(desk.workspace, "c", NOON + timedelta(hours=2), call(5.0), percent=90)
    run(desk.workspace, "elsewhen", NOON - timedelta(days=9), call(7.0))
    found = metrics.series(desk, NOON - timedelta(hours=3), NOON + timedelta(hours=4))
    assert found["bucket"] == "hour"
    by_hour = {each["begins"]: each for each in found["buckets"]}
    one = by_hour["2026-11-20T12:00:00.000Z"]
    assert (one["runs"], one["consensus_percent_mean"], one["confidence_percent_mean"]) == (2, 50.0, None)
    assert one["roles"]["analyst"]["response_s_p50"] == 2.0
    assert one["providers"]["qwen"]["errors"] == {"rate_limit": 1}
    assert one["providers"]["qwen"]["success_rate"] == pytest.approx(2 / 3)
    assert by_hour["2026-11-20T13:00:00.000Z"]["roles"] == {}
    assert by_hour["2026-11-20T14:00:00.000Z"]["consensus_percent_mean"] == 90.0
    assert found["total"]["runs"] == 3
    assert sum(each["runs"] for each in found["buckets"]) == 3


def test_the_curve_needs_labels_that_had_a_score(desk: Desk) -> None:
    """What people saw counts as shown only when it was calibrated."""
    for number in range(4):
        write(
            desk.workspace,
            Label(
                task_id=f"r{number}", good=number > 1, by="person", who="me", labelled_at=NOON,
                raw=number / 4, root=number / 4, safety=1.0, shown_percent=25.0 * number,
                calibrated=number == 3, consensus_percent=None,
            ),
        )  # fmt: skip
    curve = metrics.series(desk)["curve"]
    assert (curve["labels"], curve["needed"], curve["method"]) == (4, 50, None)
    assert curve["consensus"] == []
    assert [(p["score"], p["good"]) for p in curve["raw"]] == [
        (0.0, 0.0),
        (0.25, 0.0),
        (0.5, 1.0),
        (0.75, 1.0),
    ]
    assert [p["score"] for p in curve["shown"]] == [0.75]


@pytest.mark.parametrize("length", [timedelta(0), timedelta(days=-1), timedelta(days=9999)])
def test_what_is_no_span_is_refused(desk: Desk, length: timedelta) -> None:
    """And said which way round it must be."""
    with pytest.raises(ServiceError) as refused:
        metrics.series(desk, NOON - length, NOON)
    assert refused.value.kind == "invalid"
