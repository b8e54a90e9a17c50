"""The plots, as SVG: what N tasks take by everybody, and how soon one command runs."""

from __future__ import annotations

from collections import defaultdict
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
from matplotlib.figure import Figure

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

MEDIAN = 0.5
STYLE: dict[Any, Any] = {"svg.hashsalt": "aispool", "svg.fonttype": "none", "font.size": 9}


def cost_curves(section: Mapping[str, Any], path: Path) -> None:
    """Draw the points of a section: seconds a task against the number of tasks, least to largest as a bar."""
    curves: dict[str, list[tuple[float, float, float, float]]] = defaultdict(list)
    for one in section["figures"]:
        if one["curve"] is not None:
            per_task_ms = [sample / one["at"] * 1000 for sample in (one["value"], *one["samples"])]
            curves[one["curve"]].append((one["at"], per_task_ms[0], min(per_task_ms), max(per_task_ms)))
    with _drawn(section, path) as axes:
        for name, points in curves.items():
            at, middle, least, most = zip(*sorted(points), strict=True)
            bars = [
                [value - low for value, low in zip(middle, least, strict=True)],
                [high - value for value, high in zip(middle, most, strict=True)],
            ]
            axes.errorbar(at, middle, yerr=bars, marker="o", capsize=2, label=name)
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_minor_formatter("{x:g}")
        axes.set_xlabel("tasks dropped at once, four slots")
        axes.set_ylabel("ms a task")


def latencies(section: Mapping[str, Any], path: Path) -> None:
    """Draw which share of the commands ran so soon after they had been dropped or submitted."""
    with _drawn(section, path) as axes:
        for one in section["figures"]:
            what, _, name = one["name"].partition(": ")
            if what.startswith("drop") and one["share"] == MEDIAN:
                ordered = sorted(one["samples"])
                axes.step(ordered, [(n + 1) / len(ordered) for n in range(len(ordered))], label=name)
        axes.set_ylim(0, 1)
        axes.set_xlabel("ms from drop to command running")
        axes.set_ylabel("share of the tries")


@contextmanager
def _drawn(section: Mapping[str, Any], path: Path) -> Iterator[Any]:
    """Give axes to draw on, of which x is logarithmic; named by machine and date."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(6.4, 4.0), layout="constrained")
        axes = figure.add_subplot()
        axes.set_xscale("log")
        yield axes
        where = section["where"]
        axes.xaxis.set_major_formatter("{x:,g}")
        axes.set_title(f"{where['machine'].split(', ')[0]}, {where['cpu']}, {where['date']}")
        axes.grid(visible=True, which="both", alpha=0.3)
        axes.legend()
        figure.savefig(path, metadata={"Date": None, "Creator": None})
