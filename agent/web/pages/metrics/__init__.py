"""/metrics: how roles, providers and scores do over time, as plots, each with the same figures as a table."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from fastapi import Request  # noqa: TC002 - FastAPI reads the annotation
from nicegui import ui

from agent.sanitize import one_line
from agent.service import metrics
from agent.web.pages import frame
from agent.web.pages.collaborative import words
from agent.web.pages.frame import text
from agent.web.pages.metrics import calibration, plots
from agent.web.pages.parts.acting import attempt
from agent.web.pages.parts.sections import Section
from spool.records import utc_now

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agent.web.context import Context


@dataclass(frozen=True, slots=True)
class Span:
    """How far back the plots go."""

    name: str
    length: timedelta


SPANS: Final = {
    "day": Span("24 hours", timedelta(days=1)),
    "three": Span("3 days", timedelta(days=3)),
    "week": Span("7 days", timedelta(days=7)),
    "month": Span("30 days", timedelta(days=30)),
    "quarter": Span("90 days", timedelta(days=90)),
    "year": Span("a year", timedelta(days=365)),
}
FIRST: Final = "week"
AGAIN_S: Final = 30.0
"""Figures over days need not follow each second."""


def register(context: Context) -> None:
    """Declare the route."""

    @frame.route("/metrics")
    async def figures(request: Request, span: str = FIRST) -> None:
        with frame.shown(context, request, "Metrics") as page:
            shown = Figures(context, page)
            shown.draw(span if span in SPANS else FIRST)
            await shown.refresh()
            ui.timer(AGAIN_S, shown.refresh, immediate=False)


class Figures:
    """The page in one browser tab."""

    def __init__(self, context: Context, page: frame.Shown) -> None:
        self.context = context
        self.page = page

    def draw(self, span: str) -> None:
        """Draw the choice of the span, and the places of the plots."""
        with ui.element("div").classes("head"):
            text("h1", "Metrics").classes("grow")
            names = {name: each.name for name, each in SPANS.items()}
            self.span = ui.select(names, label="Span", value=span, on_change=self.refresh)
            self.span.props("outlined dense options-dense").classes("choice")
        self.total = Section(_total)
        with ui.element("div").classes("plots"):
            self.plots = [
                (plot, Section(partial(plots.draw, plot), "panel plot-panel")) for plot in plots.PLOTS
            ]
            self.curve = Section(calibration.draw, "panel plot-panel")
        self.damaged = Section(_damaged)

    async def refresh(self) -> None:
        """Draw the figures as they are now; a whole minute has the same, so that plots stand still."""
        until = utc_now().replace(second=0, microsecond=0) + timedelta(minutes=1)
        since = until - SPANS[self.span.value].length
        work = partial(metrics.series, self.context.desk, since, until)
        found = await attempt(self.page.identity, "read", work)
        if found is None:
            return
        self.total.show({"total": found["total"], "buckets": _sums(found["buckets"])})
        for plot, section in self.plots:
            section.show({"bucket": found["bucket"], **plot.data(found["buckets"])})
        self.curve.show({"curve": found["curve"], "calibration": found["calibration"]})
        self.damaged.show(found["damaged"])


def _sums(buckets: list[dict[str, Any]]) -> dict[str, float]:
    names = ("attempts", "input_tokens", "output_tokens", "cost_usd", "attempts_without_cost")
    return {name: sum(bucket[name] for bucket in buckets) for name in names}


def _total(found: Mapping[str, Any]) -> None:
    total, sums = found["total"], found["buckets"]
    calls, failed = total["calls"], total["failed_calls"]
    missing = " +" if sums["attempts_without_cost"] and sums["cost_usd"] else ""
    tiles = (
        ("Runs", f"{total['runs']:,}", ""),
        ("Mean consensus", words.percent(total["consensus_percent_mean"]), ""),
        ("Mean confidence", words.percent(total["confidence_percent_mean"]), ""),
        (
            "Answered",
            words.percent(100 * (calls - failed) / calls if calls else None),
            f"of {calls:,} requests",
        ),
        ("Tasks' attempts", f"{sums['attempts']:,.0f}", "all tools"),
        ("Tokens", f"{sums['input_tokens'] + sums['output_tokens']:,.0f}", "in and out, all tools"),
        (
            "Money",
            f"${sums['cost_usd']:.{2 if sums['cost_usd'] >= 1 else 4}f}{missing}",
            "as far as tools say",
        ),
    )
    with ui.element("dl").classes("tiles"):
        for name, value, about in tiles:
            with ui.element("div").classes("tile"):
                text("dt", name, "muted small")
                with ui.element("dd"):
                    text("span", value, "big")
                    if about:
                        text("div", about, "muted small")


def _damaged(found: list[str]) -> None:
    for why in found:
        text("p", f"Left out: {one_line(why)}", "notice")
