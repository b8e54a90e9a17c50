"""The calibration curve: of the runs with such a score, how many turned out good."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from nicegui import ui

from agent.web.pages.collaborative.words import NOTHING, chip, marked
from agent.web.pages.frame import text
from agent.web.pages.metrics.plots import GREY, SYMBOLS, axis, frame
from agent.web.pages.parts.tables import table

if TYPE_CHECKING:
    from collections.abc import Mapping

SCORES: Final = {"shown": "Confidence as shown", "raw": "Confidence, raw", "consensus": "Consensus"}
_QUALITY: Final = {"shown": "shown_confidence", "raw": "raw_confidence", "consensus": "consensus"}


def draw(found: Mapping[str, Any]) -> None:
    """Draw the curve, how good each score is, and the table."""
    curve, quality = found["curve"], found["calibration"]
    text("h2", "Calibration")
    text(
        "p",
        "Of runs with neighbouring scores, the share that turned out good; on the line both agree.",
        "muted small",
    )
    with ui.element("div").classes("line-of"):
        if curve["method"]:
            chip(f"calibrated ({curve['method']}) by {curve['labels']} labelled runs", "good")
        else:
            chip(f"uncalibrated: {curve['labels']} of {curve['needed']} labelled runs", "warn")
    if not any(curve[name] for name in SCORES):
        text("p", "No run is labelled yet: open a run, and say whether it was right.", "empty")
        return
    chart = ui.echart(_options(curve), renderer="svg").classes("plot")
    marked(chart, role="img", aria_label="Calibration: a plot; the tables below hold its figures")
    with ui.element("details").classes("more"):
        text("summary", "As a table")
        points = [
            (name, point["count"], f"{100 * point['score']:.0f}%", f"{100 * point['good']:.0f}%")
            for score, name in SCORES.items()
            for point in curve[score]
        ]
        table("Calibration", ("Score", "Runs", "Mean score", "Turned out good"), points)
        rows = [(name, *_quality(quality[_QUALITY[score]])) for score, name in SCORES.items()]
        table("How good each score is", ("Score", "Labels", "AUROC", "ECE", "Brier"), rows)


def _quality(quality: Mapping[str, Any]) -> tuple[str, ...]:
    figures = (quality["auroc"], quality["ece"], quality["brier"])
    return (str(quality["labels"]), *(NOTHING if value is None else f"{value:.3f}" for value in figures))


def _options(curve: Mapping[str, Any]) -> dict[str, Any]:
    scale = {"type": "value", "min": 0, "max": 100, **axis()}
    name = {"nameLocation": "middle", "nameTextStyle": {"color": GREY, "fontSize": 11}}
    line = {
        "name": "agrees",
        "type": "line",
        "data": [[0, 0], [100, 100]],
        "symbol": "none",
        "lineStyle": {"color": GREY, "type": "dashed", "width": 1},
        "itemStyle": {"color": GREY},
    }
    points = [
        {
            "name": title,
            "type": "scatter",
            "symbol": SYMBOLS[at],
            "symbolSize": 10,
            "data": [[round(100 * p["score"], 2), round(100 * p["good"], 2)] for p in curve[score]],
        }
        for at, (score, title) in enumerate(SCORES.items())
        if curve[score]
    ]
    base = frame()
    return {
        **base,
        "grid": {**base["grid"], "bottom": 22, "left": 22},
        "tooltip": {**base["tooltip"], "trigger": "item"},
        "xAxis": {**scale, "name": "score", "nameGap": 26, **name},
        "yAxis": {**scale, "name": "turned out good", "nameGap": 32, **name},
        "series": [*points, line],
    }
