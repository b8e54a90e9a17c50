"""The plots, from runs that really took place, and their tables."""

from __future__ import annotations

import json
import shutil
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect

from agent.collab.labels import Label, write
from agent.service import metrics
from agent.service.places import Desk
from spool.records import iso, utc_now

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Locator, Page

PLOTS = (
    "Response time by role",
    "Success rate by provider",
    "Errors by provider",
    "Consensus",
    "Confidence",
    "Tokens",
    "Throughput",
)

expect.set_options(timeout=60_000)


def panel(page: Page, title: str) -> Locator:
    return page.locator(".plot-panel", has=page.get_by_role("heading", name=title, exact=True))


def cells(page: Page, title: str) -> list[list[str]]:
    """Open a plot's table and return its rows."""
    one = panel(page, title)
    one.get_by_text("As a table").click()
    rows = one.locator("table").first.locator("tbody tr").all()
    return [row.locator("th, td").all_inner_texts() for row in rows]


def three_days_ago(folder: Path) -> None:
    """Make a run older: in the files of its own, as it would have written them."""
    before = utc_now() - timedelta(days=3)
    question = json.loads((folder / "question.json").read_text())
    (folder / "question.json").write_text(json.dumps(question | {"asked_at": iso(before)}))


def test_real_runs_are_plotted_and_tabled(
    pages: Any, host: Any, brain: Any, runs: Any, fault: Any, serious: Any
) -> None:
    """Each plot has figures of both days; a provider's failure is counted; every plot has a table."""
    runs.ask(task_id="old")
    host.result("old", limit_s=60)
    three_days_ago(runs.folder("old"))
    failures = iter((fault(status=401, body=b'{"error": {"message": "no"}}'),))
    brain.says["innovator"] = lambda call: next(failures, None) or brain._innovator(call)
    runs.ask(task_id="new")
    host.result("new", limit_s=60)
    page = pages.open("/metrics")
    for title in PLOTS:
        expect(panel(page, title).locator(".plot svg")).to_be_visible()
        expect(page.get_by_role("img", name=f"{title}: a plot")).to_be_visible()
    assert [row[0] for row in cells(page, "Consensus")] == [row[0] for row in cells(page, "Confidence")]
    consensus = panel(page, "Consensus").locator("tbody tr")
    expect(consensus).to_have_count(2)
    shown = f"{runs.report('new')['consensus']['percent']:.0f}"
    expect(consensus.last).to_contain_text(shown)
    errors = cells(page, "Errors by provider")
    assert [row[1:] for row in errors] == [["1"]]
    expect(panel(page, "Errors by provider").locator("thead")).to_contain_text("qwen: ")
    times = cells(page, "Response time by role")
    assert len(times) == 2
    assert all(float(cell) >= 0 for cell in times[1][1:])
    expect(page.locator(".tile").first).to_contain_text("2")
    assert serious(page) == []

    page.get_by_label("Span").click()
    page.get_by_role("option", name="24 hours").click()
    expect(panel(page, "Consensus").locator("tbody tr")).to_have_count(1)
    expect(panel(page, "Consensus").locator("thead")).to_contain_text("Hour")


def test_the_calibration_curve_comes_from_labels(pages: Any, host: Any, serious: Any) -> None:
    """Before anything is labelled it says so; with sixty labels there are points, and it is calibrated."""
    page = pages.open("/metrics")
    expect(panel(page, "Calibration")).to_contain_text("No run is labelled yet")
    now = utc_now()
    for number in range(60):
        share = number / 60
        write(
            host.ws,
            Label(
                task_id=f"r{number}",
                good=number % 7 < 7 * share,
                by="person",
                who="me",
                labelled_at=now,
                raw=share,
                root=share,
                safety=1.0,
                shown_percent=100 * share,
                consensus_percent=100 * share,
            ),
        )
    page.reload()
    curve = panel(page, "Calibration")
    expect(curve).to_contain_text("calibrated (platt) by 60 labelled runs")
    expect(curve.locator(".plot svg")).to_be_visible()
    curve.get_by_text("As a table").click()
    expect(curve.locator("table").first.locator("tbody tr")).to_have_count(20)
    assert serious(page) == []


def test_nothing_to_plot_is_said(pages: Any, serious: Any) -> None:
    """An empty workspace has no empty plots, and a phone shows all of it."""
    page = pages.open("/metrics", viewport={"width": 390, "height": 844})
    expect(panel(page, "Consensus")).to_contain_text("Nothing in this span.")
    assert page.locator(".plot").count() == 0
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert serious(page) == []


def test_buckets_cover_the_span_without_a_gap(host: Any, runs: Any) -> None:
    """Hours for a short span, days for a long one; sums are the runs', whatever the span."""
    runs.ask()
    host.result("q", limit_s=60)
    desk, now = Desk(host.ws.root), utc_now()
    for length, bucket, least in ((timedelta(days=1), "hour", 24), (timedelta(days=30), "day", 30)):
        found = metrics.series(desk, now - length, now)
        assert found["bucket"] == bucket
        assert len(found["buckets"]) in {least, least + 1, least + 2}
        begins = [each["begins"] for each in found["buckets"]]
        assert begins == sorted(set(begins))
        assert sum(each["runs"] for each in found["buckets"]) == found["total"]["runs"] == 1
        calls = sum(part["calls"] for each in found["buckets"] for part in each["roles"].values())
        assert calls == sum(player["calls"] for player in found["players"])
    shutil.rmtree(host.ws.results / "q")
    assert metrics.series(desk)["total"]["runs"] == 0
    with pytest.raises(Exception, match="turn them round"):
        metrics.series(desk, now, now - timedelta(days=1))
