from __future__ import annotations

import json
import shutil
import sqlite3
import statistics
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from collab.numbers.made import NOON, call, step, usage, verdict
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from agent.collab import feedback, labels, runs
from agent.collab.metrics import document, exposition, figures, read_runs
from agent.collab.metrics.sums import quantile
from agent.collab.scores import Factors

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from agent.collab.metrics import Figures, Player
    from spool.workspace import Workspace


def measured(workspace: Workspace, **options: Any) -> Figures:
    return figures(read_runs(workspace), labels.read_all(workspace), **options)


def player(found: Figures, role: str, provider: str) -> Player:
    (only,) = [each for each in found.players if (each.role, each.provider) == (role, provider)]
    return only


def test_a_role_and_provider(workspace: Workspace, run_of: Callable[..., Path]) -> None:
    """Times of what was answered, errors by kind, tokens and money, and the validator's marks."""
    calls = [
        call("qwen", "qwen-max", "rate_limit", 0.1),
        call("qwen", "qwen-max", "server", 0.2),
        call("qwen", "qwen-max", "rate_limit", 0.1),
        call("qwen", "qwen-max", duration_s=4.0),
    ]
    run_of("r1", [step("2-analyst", "analyst", calls=calls), verdict("analyst", 3, 4)])
    run_of(
        "r2",
        [step("2-analyst", "analyst", calls=[call("qwen", "qwen-max", duration_s=2.0, usage=usage(None))])],
    )
    shown = player(measured(workspace), "analyst", "qwen").document()
    assert shown == {
        "role": "analyst",
        "provider": "qwen",
        "model": "qwen-max",
        "calls": 5,
        "success_rate": 0.4,
        "errors": {"rate_limit": 2, "server": 1},
        "response_s_p50": 3.0,
        "response_s_p95": pytest.approx(3.9),
        "input_tokens": 200,
        "output_tokens": 40,
        "cost_usd": 0.01,
        "unknown_cost": 1,
        "checks_passed": 3,
        "checks_made": 4,
        "pass_rate": 0.75,
    }


def test_a_fallback_counts_for_who_answered(workspace: Workspace, run_of: Callable[..., Path]) -> None:
    """The failures of the first stay with the first, the marks go to the second."""
    calls = [call("qwen", "qwen-max", "timeout"), call("gemini", "flash")]
    run_of("r1", [step("2-analyst", "analyst", "gemini", "flash", calls=calls), verdict("analyst", 5, 5)])
    found = measured(workspace)
    first, second = player(found, "analyst", "qwen"), player(found, "analyst", "gemini")
    assert (first.success_rate, first.pass_rate, first.cost_usd) == (0.0, None, None)
    assert (second.success_rate, second.pass_rate) == (1.0, 1.0)


def test_scores_by_day(workspace: Workspace, run_of: Callable[..., Path]) -> None:
    """A run without consensus does not count as 0."""
    run_of("r1", consensus=90.0)
    run_of("r2", consensus=70.0)
    run_of("r3", consensus=None)
    run_of("r4", consensus=50.0, asked_at=NOON + timedelta(days=2))
    found = measured(workspace)
    days = [day.document() for day in found.days]
    assert [(day["day"], day["runs"], day["consensus_percent_mean"]) for day in days] == [
        ("2026-11-20", 3, 80.0),
        ("2026-11-22", 1, 50.0),
    ]
    assert days[0]["runs_without_consensus"] == 1
    assert found.total.document()["consensus_percent_mean"] == 70.0
    later = measured(workspace, since=NOON + timedelta(days=1))
    assert (later.total.runs, len(later.days)) == (1, 1)


def test_the_scores_are_judged_by_the_labels(workspace: Workspace, run_of: Callable[..., Path]) -> None:
    """Whether good runs scored above bad ones; and nothing is claimed of scores that nobody was shown."""
    for number in range(10):
        share = 0.95 if number < 6 else 0.3
        run_of(f"r{number}", consensus=100 * share, factors=Factors(share, share, share, share))
        feedback.label(workspace, f"r{number}", good=number < 5, by="person", who="ana")
    found = measured(workspace).calibration.document()
    assert (found["labels"], found["good"], found["method"]) == (10, 5, None)
    assert found["consensus"]["auroc"] == pytest.approx(0.9)
    assert found["raw_confidence"]["brier"] == pytest.approx((5 * 0.05**2 + 0.95**2 + 4 * 0.3**2) / 10)
    assert found["shown_confidence"] == {"labels": 0, "auroc": None, "ece": None, "brier": None}


def test_only_what_changed_is_read_again(
    workspace: Workspace, run_of: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A new step, a new report, a new run; what is gone is dropped."""
    folder = run_of("r1", place="sessions", report=False)
    run_of("r2")
    measured(workspace)
    seen: list[str] = []
    real = runs.read

    def read(folder: Path) -> runs.Run:
        seen.append(folder.parent.name)
        return real(folder)

    monkeypatch.setattr(runs, "read", read)
    assert measured(workspace).total.runs == 2
    assert seen == []
    extra = step("2-executor", "executor", "gemini", "flash")
    (folder / "steps/2-executor.json").write_bytes(extra.encoded())
    assert player(measured(workspace), "executor", "gemini").calls == 1
    assert seen == ["r1"]
    (workspace.sessions / "r1").rename(workspace.results / "r1")
    run_of("r3")
    assert measured(workspace).total.runs == 3
    assert seen == ["r1", "r3"]
    shutil.rmtree(workspace.results / "r2")
    assert measured(workspace).total.runs == 2
    (workspace.results / "r1/collab/report.json").write_text(json.dumps({"consensus": {"percent": 10.0}}))
    assert measured(workspace).total.consensus == [10.0, 80.0]
    assert seen == ["r1", "r3", "r1"]


@pytest.mark.parametrize("damage", ["gone", "garbage", "other rows"])
def test_the_cache_can_be_deleted_or_damaged(
    workspace: Workspace, run_of: Callable[..., Path], damage: str
) -> None:
    """The figures are the same; the files are the truth."""
    run_of("r1")
    before = measured(workspace)
    cache = workspace.root / "collab" / ".metrics.sqlite"
    if damage == "gone":
        cache.unlink()
    elif damage == "garbage":
        cache.write_bytes(b"garbage" * 1000)
    else:
        database = sqlite3.connect(cache)
        database.execute("UPDATE runs SET run = 'no run'")
        database.commit()
        database.close()
    assert measured(workspace) == before
    assert measured(workspace) == before


def test_a_run_on_its_way_counts_once(workspace: Workspace, run_of: Callable[..., Path]) -> None:
    """Seen in sessions/ and, a moment later, in results/."""
    run_of("r1", place="sessions", report=False)
    run_of("r1", place="results")
    for _ in range(2):
        assert measured(workspace).total.consensus == [80.0]


def test_the_figures_lie_on_disk(workspace: Workspace, run_of: Callable[..., Path]) -> None:
    """For whoever reads files: whole, and as they were with the last label."""
    run_of("r1")
    feedback.label(workspace, "r1", good=True, by="person", who="ana")
    kept = json.loads((workspace.root / "collab/metrics.json").read_text())
    assert (kept["total"]["runs"], kept["calibration"]["good"]) == (1, 1)
    assert document(measured(workspace)).items() <= kept.items()


def test_a_failed_run_has_no_scores(workspace: Workspace, run_of: Callable[..., Path]) -> None:
    """Its report says null, which is no damage and no zero."""
    folder = run_of("r1")
    (folder / "report.json").write_text('{"state": "failed", "consensus": null, "confidence": null}')
    found = measured(workspace)
    assert (found.total.runs, found.total.consensus, found.damaged) == (1, [], ())


def test_damaged_steps_are_named_and_left_out(workspace: Workspace, run_of: Callable[..., Path]) -> None:
    """One torn file does not hide the run."""
    folder = run_of("r1")
    (folder / "steps/2-executor.json").write_text("{")
    (folder / "steps/2-strange.json").write_text('{"name": 5}')
    (folder / "steps/.2-hidden.json").write_text("{")
    found = measured(workspace)
    assert found.total.runs == 1
    assert sum("is damaged" in why for why in found.damaged) == 2
    assert {each.role for each in found.players} == {"analyst", "validator"}


def test_prometheus_reads_it(workspace: Workspace, run_of: Callable[..., Path]) -> None:
    """By the official client's own parser, hostile names included."""
    hostile = 'qwen"\\\n} 5'
    run_of(
        "r1",
        [
            step(
                "2-analyst",
                "analyst",
                model=hostile,
                calls=[call("qwen", hostile), call("qwen", hostile, "auth")],
            )
        ],
    )
    feedback.label(workspace, "r1", good=True, by="person", who="ana")
    text = exposition(measured(workspace))
    families = {family.name: family for family in text_string_to_metric_families(text)}
    calls = {sample.labels["outcome"]: sample for sample in families["aispool_collab_calls"].samples}
    assert calls["ok"].labels == {"role": "analyst", "provider": "qwen", "model": hostile, "outcome": "ok"}
    assert {name: sample.value for name, sample in calls.items()} == {"ok": 1.0, "auth": 1.0}
    response = families["aispool_collab_response_seconds"]
    assert response.type == "summary"
    assert {s.name.rpartition("_")[2]: s.value for s in response.samples if not s.labels.get("quantile")} == {
        "sum": 2.0,
        "count": 1.0,
    }
    assert families["aispool_collab_labels"].samples[0].value == 1.0
    assert "aispool_collab_auroc" not in families  # one outcome tells nothing
    assert "nan" not in text.casefold()


def test_nothing_is_measured_of_nothing(workspace: Workspace) -> None:
    """No run, no label: no number is made up."""
    found = measured(workspace)
    assert (found.total.runs, found.players, found.days, found.damaged) == (0, (), (), ())
    assert found.calibration.raw.ece is None
    values = [s.value for f in text_string_to_metric_families(exposition(found)) for s in f.samples]
    assert set(values) == {0.0}


@given(st.lists(st.floats(0, 1e6), min_size=2, max_size=50))
def test_quantiles(values: list[float]) -> None:
    """The same as the standard library's, ends included."""
    expected = statistics.quantiles(values, n=20, method="inclusive")
    assert quantile(values, 0.5) == pytest.approx(expected[9])
    assert quantile(values, 0.95) == pytest.approx(expected[18])
    assert (quantile(values, 0), quantile(values, 1)) == (min(values), max(values))
