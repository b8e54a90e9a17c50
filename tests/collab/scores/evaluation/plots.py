"""The plots of the report, as SVG: the same numbers make the same bytes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
from matplotlib.figure import Figure

from agent.collab.scores.measures import base_rate, bins, risk_coverage

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from agent.collab.scores.measures import Point

PLOTS = Path(__file__).parents[1] / "plots"
STYLE: dict[Any, Any] = {
    "svg.hashsalt": "aispool",
    "svg.fonttype": "none",
    "font.size": 9,
    "axes.grid": True,
    "grid.alpha": 0.3,
}


def risk(name: str, title: str, curves: Mapping[str, Sequence[Point]]) -> None:
    """Draw risk against coverage, with the base rate's risk as the line to beat."""
    figure, axes = _figure(
        title, "coverage: share of the results that is trusted", "risk: share of it that is bad"
    )
    for label, points in curves.items():
        axes.plot(*zip(*risk_coverage(points), strict=True), label=label)
    rate = base_rate(next(iter(curves.values())))
    axes.axhline(1 - (rate or 0), color="black", linestyle=":", label="base rate")
    axes.set_xlim(0, 1)
    axes.set_ylim(bottom=0)
    _save(figure, axes, name)


def reliability(name: str, title: str, curves: Mapping[str, Sequence[Point]]) -> None:
    """Draw the share of good outcomes against the score, in bins of equal mass."""
    figure, axes = _figure(title, "score", "share of good outcomes")
    axes.plot([0, 1], [0, 1], color="black", linestyle=":", label="perfect")
    for label, points in curves.items():
        found = bins(points)
        axes.plot([each.score for each in found], [each.good for each in found], marker="o", label=label)
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    _save(figure, axes, name)


def lines(
    name: str, title: str, xlabel: str, x: Sequence[float], curves: Mapping[str, Sequence[float | None]]
) -> None:
    """Draw numbers from 0 to 1 against one parameter."""
    figure, axes = _figure(title, xlabel, "")
    for label, values in curves.items():
        known = [(at, value) for at, value in zip(x, values, strict=True) if value is not None]
        if known:
            axes.plot(*zip(*known, strict=True), marker="o", label=label)
    axes.set_ylim(0, 1)
    _save(figure, axes, name)


def _figure(title: str, xlabel: str, ylabel: str) -> tuple[Figure, Any]:
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(5.2, 3.6), layout="constrained")
        axes = figure.add_subplot()
        axes.set_title(title)
        axes.set_xlabel(xlabel)
        axes.set_ylabel(ylabel)
        axes.grid(visible=True, alpha=0.3)
    return figure, axes


def _save(figure: Figure, axes: Any, name: str) -> None:
    PLOTS.mkdir(exist_ok=True)
    with mpl.rc_context(STYLE):
        axes.legend()
        figure.savefig(PLOTS / f"{name}.svg", metadata={"Date": None, "Creator": None})
