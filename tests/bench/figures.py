"""Figures with their goals: kept as JSON section by section, shown as one Markdown table."""

from __future__ import annotations

import json
import math
import statistics
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path


TIMES = "×"  # noqa: RUF001 - the sign that people write
"""The unit of a ratio."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One thing that was measured, every time it was.

    Args:
        name: what, for a person.
        unit: of the samples and the goal.
        samples: one a round, or one a try.
        goal: at most so much; None when it is there to compare with.
        share: which part of the samples the figure covers; 0.5 is the median.
        curve, at: the curve in the plot that it is a point of, and where.
    """

    name: str
    unit: str
    samples: tuple[float, ...]
    goal: float | None = None
    share: float = 0.5
    curve: str | None = None
    at: float | None = None

    @property
    def value(self) -> float:
        """Return the figure."""
        return quantile(self.samples, self.share)

    @property
    def met(self) -> bool | None:
        """Tell whether the goal is met; None when there is none."""
        return None if self.goal is None else self.value <= self.goal


def quantile(samples: Sequence[float], share: float) -> float:
    """Return the value that this share of the samples does not exceed; the median is the usual one."""
    if share == 0.5:
        return statistics.median(samples)
    ordered = sorted(samples)
    return ordered[max(math.ceil(share * len(ordered)), 1) - 1]


def ratios(ours: Sequence[float], others: Sequence[float]) -> tuple[float, ...]:
    """Return ours by the others', round by round: what disturbed one round disturbed both."""
    return tuple(own / other for own, other in zip(ours, others, strict=True))


def read(path: Path) -> dict[str, Any]:
    """Read what was measured before; nothing when there is no such file."""
    found: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {"sections": {}}
    return found


def merged(
    before: Mapping[str, Any], name: str, facts: Mapping[str, Any], found: Sequence[Figure]
) -> dict[str, Any]:
    """Return all that was measured, with this section measured anew."""
    section = dict(facts) | {"figures": [_document(figure) for figure in found]}
    return {"sections": dict(before["sections"]) | {name: section}}


def _document(figure: Figure) -> dict[str, Any]:
    told = asdict(figure) | {"value": figure.value, "met": figure.met}
    told["samples"] = [float(f"{sample:.6g}") for sample in figure.samples]
    return told


def write(path: Path, measured: Mapping[str, Any]) -> None:
    """Write all of it; a run that is cut off leaves the file of before."""
    part = path.with_name(f".{path.name}.part")
    part.write_text(json.dumps(measured, indent=1) + "\n")
    part.rename(path)


def table(measured: Mapping[str, Any], order: Sequence[str]) -> str:
    """Return everything as Markdown: a figure that falls short looks like one that does not."""
    sections = [(name, measured["sections"][name]) for name in order if name in measured["sections"]]
    lines = ["# What it costs", "", *_places(sections), ""]
    lines += ["| section | measure | goal | figure | spread | samples | goal met |", "|" + " --- |" * 7]
    for name, section in sections:
        for one in section["figures"]:
            goal = "" if one["goal"] is None else f"≤ {_number(one['goal'])} {one['unit']}"
            met = {None: "", True: "yes", False: "**no**"}[one["met"]]
            spread = f"{_number(min(one['samples']))} to {_number(max(one['samples']))}"
            value = f"{_number(one['value'])} {one['unit']}"
            lines.append(
                f"| {name} | {one['name']} | {goal} | {value} | {spread} | {len(one['samples'])} | {met} |"
            )
    return "\n".join(lines) + "\n"


def _places(sections: Sequence[tuple[str, Mapping[str, Any]]]) -> Iterator[str]:
    """Say where and when; sections that were measured elsewhere or on another day are said apart."""
    places: dict[str, list[str]] = {}
    for name, section in sections:
        where = section["where"]
        programs = ", ".join(f"{program} {version}" for program, version in where["programs"].items())
        said = (
            f"{where['date']}, {where['machine']}, {where['cpu']}, {where['memory_gib']} GiB, "
            f"{where['file_system']}; {programs}; commit {where['commit']}; rounds: {section['rounds']}"
            + ("; tasks name the program itself" if section.get("direct") else "")
            + (f"; **scaled by {section['scale']:g}, no real figures**" if section["scale"] != 1 else "")
        )
        places.setdefault(said, []).append(name)
    if len(places) == 1:
        yield next(iter(places)) + "."
    else:
        yield from (f"- {', '.join(names)}: {said}" for said, names in places.items())
    yield ""
    yield (
        "Medians (p95 where it says so) of all samples, with the least and the most. Peers run in the same "
        "rounds; ratios are taken round by round. A load above 1 at the start of a section makes its figures "
        "doubtful: " + ", ".join(f"{name} {section['where']['load'][0]}" for name, section in sections) + "."
    )


def _number(value: float) -> str:
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"
