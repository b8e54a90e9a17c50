"""The groups of faults: each makes its cases and plays them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from faults import case as step_case
from faults import crowd, fleet, hostile, killsets, power, steps, surroundings, writers

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

Traces = dict[str, list[list[str]]]


@dataclass(frozen=True, slots=True)
class Group:
    """One group.

    Args:
        title: its line in the report.
        cases: makes its cases from the traces and a seed.
        play: plays one.
    """

    title: str
    cases: Callable[[Traces, int], list[dict[str, Any]]]
    play: Callable[[Path, dict[str, Any]], dict[str, Any]]


GROUPS = {
    "kill": Group("1 Kill at every step", steps.kill_cases, step_case.play),
    "error": Group("2 Fail at every step", steps.error_cases, step_case.play),
    "power": Group("3 Power cut", power.cases, power.play),
    "killset": Group("4 Kill sets", killsets.cases, killsets.play),
    "writer": Group("5 Writers", writers.cases, writers.play),
    "world": Group("6 World", surroundings.cases, surroundings.play),
    "crowd": Group("7 Many agents", crowd.crowd_cases, crowd.play),
    "hostile": Group("8 Hostile input", hostile.cases, hostile.play),
    "fleet": Group("10 Collector", fleet.cases, fleet.play),
    "soak": Group("9 Soak", crowd.soak_cases, crowd.play),
}


def play(base: Path, case: dict[str, Any]) -> dict[str, Any]:
    """Play one case of any group."""
    if case["group"] == "trace":
        return step_case.play(base, case)
    return GROUPS[case["group"]].play(base, case)
