"""The cost curves as SVG: what N tasks take, by everybody, on two logarithmic scales."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
from matplotlib.figure import Figure

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

STYLE: dict[Any, Any] = {"svg.hashsalt": "aispool", "svg.fonttype": "none", "font.size": 9}


def cost_curves(section: Mapping[str, Any], path: Path) -> None:
    """Draw the points of a section: seconds a task against the number of tasks, least to largest as a bar."""
    curves: dict[str, list[tuple[float, float, float, float]]] = defaultdict(list)
    for one in section["figures"]:
        if one["curve"] is not None:
            per_task_ms = [sample / one["at"] * 1000 for sample in (one["value"], *one["samples"])]
            curves[one["curve"]].append((one["at"], per_task_ms[0], min(per_task_ms), max(per_task_ms)))
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(6.4, 4.0), layout="constrained")
        axes = figure.add_subplot()
        for name, points in curves.items():
            at, middle, least, most = zip(*sorted(points), strict=True)
            bars = [
                [value - low for value, low in zip(middle, least, strict=True)],
                [high - value for value, high in zip(middle, most, strict=True)],
            ]
            axes.errorbar(at, middle, yerr=bars, marker="o", capsize=2, label=name)
        axes.set_xscale("log")
        axes.set_yscale("log")
        where = section["where"]
        axes.set_title(f"{where['machine'].split(', ')[0]}, {where['cpu']}, {where['date']}")
        axes.set_xlabel("tasks dropped at once, four slots")
        axes.set_ylabel("ms a task")
        axes.grid(visible=True, which="both", alpha=0.3)
        axes.legend()
        figure.savefig(path, metadata={"Date": None, "Creator": None})
