"""The plots over time: what each shows, how it is drawn, and the same figures as a table."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, Literal

from nicegui import ui

from agent.sanitize import one_line
from agent.web.pages.collaborative.words import marked
from agent.web.pages.frame import text
from agent.web.pages.parts.tables import table

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Values = list[float | None]
Bucket = dict[str, Any]

COLOURS: Final = ("#3d7dea", "#d9822b", "#2f9e6b", "#a45dd1", "#d2514a", "#1f9db3", "#b08a1e", "#7a8694")
"""Each at least 3 to 1 against the light and the dark ground."""
SYMBOLS: Final = (
    "circle",
    "rect",
    "triangle",
    "diamond",
    "roundRect",
    "emptyCircle",
    "emptyRect",
    "emptyDiamond",
)
"""So that series differ by more than their colour."""
GREY: Final = "#8592a1"


@dataclass(frozen=True, slots=True)
class Plot:
    """One plot.

    Args:
        about: one sentence under the title.
        unit: behind each figure.
        series: of the buckets: name of each line or bar → its value in each bucket.
        kind: lines, or bars that stand on one another.
        digits: after the point.
        most: the upper end of the scale, when it is known.
    """

    title: str
    about: str
    unit: str
    series: Callable[[list[Bucket]], dict[str, Values]]
    kind: Literal["line", "bar"] = "line"
    digits: int = 0
    most: float | None = None

    def data(self, buckets: list[Bucket]) -> dict[str, Any]:
        """Return what the plot shows: begins of the buckets, and its series."""
        return {"begins": [bucket["begins"] for bucket in buckets], "series": self.series(buckets)}


def _each(field: str) -> Callable[[Bucket], float | None]:
    return lambda bucket: bucket[field]


def _plain(**named: Callable[[Bucket], float | None]) -> Callable[[list[Bucket]], dict[str, Values]]:
    return lambda buckets: {
        name.replace("_", " "): [value(bucket) for bucket in buckets] for name, value in named.items()
    }


def _parts(
    which: str, value: Callable[[dict[str, Any]], float | None]
) -> Callable[[list[Bucket]], dict[str, Values]]:
    """Return a series for each role or provider that appears."""

    def series(buckets: list[Bucket]) -> dict[str, Values]:
        names = sorted({name for bucket in buckets for name in bucket[which]})
        return {
            one_line(name): [value(part) if (part := b[which].get(name)) else None for b in buckets]
            for name in names
        }

    return series


def _errors(buckets: list[Bucket]) -> dict[str, Values]:
    kinds = sorted(
        {(p, kind) for b in buckets for p, part in b["providers"].items() for kind in part["errors"]}
    )
    return {
        one_line(f"{provider}: {kind.replace('_', ' ')}"): [
            b["providers"].get(provider, {}).get("errors", {}).get(kind, 0) for b in buckets
        ]
        for provider, kind in kinds
    }


def _success(part: dict[str, Any]) -> float | None:
    rate = part["success_rate"]
    return None if rate is None else 100 * rate


PLOTS: Final = (
    Plot("Response time by role", "Median of the requests that were answered.", "seconds",
         _parts("roles", lambda part: part["response_s_p50"]), digits=2),
    Plot("Response time by role, slowest", "95 of 100 requests were answered faster.", "seconds",
         _parts("roles", lambda part: part["response_s_p95"]), digits=2),
    Plot("Success rate by provider", "Share of the requests that were answered.", "percent",
         _parts("providers", _success), most=100),
    Plot("Errors by provider", "Requests that failed, by kind.", "", _errors, kind="bar"),
    Plot("Consensus", "Mean of the runs that have one, and the share of answers behind it.", "percent",
         _plain(consensus=_each("consensus_percent_mean"), coverage=_each("coverage_percent_mean")),
         most=100),
    Plot("Confidence", "Mean of the runs that have one.", "percent",
         _plain(confidence=_each("confidence_percent_mean")), most=100),
    Plot("Tokens", "Of all attempts of all tools, as far as they say.", "",
         _plain(input=_each("input_tokens"), output=_each("output_tokens")), kind="bar"),
    Plot("Money", "Of all attempts of all tools, as far as they say.", "US dollars",
         _plain(cost=_each("cost_usd")), kind="bar", digits=4),
    Plot("Throughput", "Collaborative runs that were asked for, and attempts of all tools that ended.", "",
         _plain(runs=_each("runs"), attempts=_each("attempts")), kind="bar"),
)  # fmt: skip


def draw(plot: Plot, found: Mapping[str, Any]) -> None:
    """Draw a plot, and its table."""
    text("h2", plot.title)
    text("p", f"{plot.about} In {plot.unit}." if plot.unit else plot.about, "muted small")
    lines = plot.kind == "line"
    series = {
        name: values
        for name, values in found["series"].items()
        if any(value is not None and (lines or value) for value in values)
    }
    if not series:
        text("p", "Nothing in this span.", "empty")
        return
    names = [_name(begin, found["bucket"]) for begin in found["begins"]]
    short = [name.rpartition(" ")[0] if found["bucket"] == "day" else name for name in names]
    chart = ui.echart(_options(plot, short, series), renderer="svg").classes("plot")
    marked(chart, role="img", aria_label=f"{plot.title}: a plot; the table below holds its figures")
    with ui.element("details").classes("more"):
        text("summary", "As a table")
        rows = [
            (name, *(_figure(values[number], plot) for values in series.values()))
            for number, name in enumerate(names)
            if any(values[number] is not None and (lines or values[number]) for values in series.values())
        ]
        head = "Hour" if found["bucket"] == "hour" else "Day"
        unit = f" ({plot.unit})" if plot.unit else ""
        table(plot.title, (head, *(f"{name}{unit}" for name in series)), rows)


def _name(begin: str, bucket: str) -> str:
    local = datetime.fromisoformat(begin).astimezone()
    return f"{local:%d %b %H:%M}" if bucket == "hour" else f"{local:%d %b %Y}"


def _figure(value: float | None, plot: Plot) -> str | None:
    return None if value is None else f"{value:,.{plot.digits}f}"


def _options(plot: Plot, names: list[str], series: Mapping[str, Values]) -> dict[str, Any]:
    return {
        **frame(),
        "xAxis": {"type": "category", "data": names, **axis(), "axisTick": {"show": False}},
        "yAxis": {"type": "value", **axis(), **({"max": plot.most, "min": 0} if plot.most else {})},
        "series": [
            {
                "name": name,
                "type": plot.kind,
                "data": [None if value is None else round(value, 6) for value in values],
                **({"stack": "all", "barMaxWidth": 28} if plot.kind == "bar" else {}),
                **({"symbol": SYMBOLS[at % len(SYMBOLS)], "symbolSize": 7} if plot.kind == "line" else {}),
            }
            for at, (name, values) in enumerate(series.items())
        ],
    }


def frame() -> dict[str, Any]:
    """Return what all plots have: colours, legend, room, and a tooltip that is text and never HTML."""
    return {
        "animation": False,
        "color": list(COLOURS),
        "textStyle": {"fontFamily": "system-ui, sans-serif", "color": GREY},
        "legend": {"type": "scroll", "top": 0, "left": 0, "textStyle": {"color": GREY}},
        "grid": {"left": 8, "right": 12, "top": 34, "bottom": 4, "containLabel": True},
        "tooltip": {"trigger": "axis", "renderMode": "richText", "confine": True},
        "aria": {"enabled": False},
    }


def axis() -> dict[str, Any]:
    """Return the look of an axis."""
    return {
        "axisLabel": {"color": GREY, "fontSize": 11, "hideOverlap": True},
        "axisLine": {"lineStyle": {"color": GREY, "opacity": 0.5}},
        "splitLine": {"lineStyle": {"color": GREY, "opacity": 0.22}},
    }
