"""The groups of faults: each makes its cases and plays them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from faults import case as step_case
from faults import crowd, fleet, hostile, killsets, pipeline, power, slurm, steps, surroundings, writers

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

Traces = dict[str, list[list[str]]]


def nothing_missing() -> str | None:
    """Return why a group cannot be played here: this one always can."""
    return None


@dataclass(frozen=True, slots=True)
class Group:
    """One group.

    Args:
        title: its line in the report.
        cases: makes its cases from the traces and a seed.
        play: plays one.
        case_s: about how long one takes on a quiet core; long ones say it themselves.
        traces: the runs without faults that find its calls.
        missing: what it needs and this machine lacks, in a sentence; None when nothing.
    """

    title: str
    cases: Callable[[Traces, int], list[dict[str, Any]]]
    play: Callable[[Path, dict[str, Any]], dict[str, Any]]
    case_s: float = 2.0
    traces: Callable[[], list[dict[str, Any]]] = list
    missing: Callable[[], str | None] = nothing_missing


GROUPS = {
    "kill": Group("1 Kill at every step", steps.kill_cases, step_case.play, 1.5, steps.trace_cases),
    "error": Group("2 Fail at every step", steps.error_cases, step_case.play, 1.5, steps.trace_cases),
    "power": Group("3 Power cut", power.cases, power.play, 120.0),
    "killset": Group("4 Kill sets", killsets.cases, killsets.play, 3.0),
    "writer": Group("5 Writers", writers.cases, writers.play, 5.0),
    "world": Group("6 World", surroundings.cases, surroundings.play, 10.0),
    "crowd": Group("7 Many agents", crowd.crowd_cases, crowd.play, 3.0, steps.trace_cases),
    "hostile": Group("8 Hostile input", hostile.cases, hostile.play, 5.0),
    "soak": Group("9 Soak", crowd.soak_cases, crowd.play),
    "fleet": Group("10 Fleet", fleet.cases, fleet.play, 5.0, lambda: [fleet.TRACE], fleet.missing),
    "pipeline": Group("11 Pipeline", pipeline.cases, pipeline.play, 6.0, lambda: [pipeline.TRACE]),
    "slurm": Group("12 Slurm", slurm.cases, slurm.play, 5.0, lambda: [slurm.TRACE], slurm.missing),
}


def play(base: Path, case: dict[str, Any]) -> dict[str, Any]:
    """Play one case of any group."""
    if case["group"] == "trace":
        return step_case.play(base, case)
    return GROUPS[case["group"]].play(base, case)
