"""The groups of faults: each makes its cases and plays them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from faults import case as step_case
from faults import steps

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
}


def play(base: Path, case: dict[str, Any]) -> dict[str, Any]:
    """Play one case of any group."""
    if case["group"] == "trace":
        return step_case.play(base, case)
    return GROUPS[case["group"]].play(base, case)
