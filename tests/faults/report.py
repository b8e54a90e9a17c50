"""REPORT.md: what was tried, what was found, where; made from the file of what was done."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from collections import Counter, defaultdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from faults.points import Point, point_of

KEPT = frozenset({"case", "violations", "broken", "seconds", "temporary", "stale", "tail", "notes", "faults"})


def shortened(answer: dict[str, Any]) -> dict[str, Any]:
    """Return what is kept of an answer: its points instead of the shim's lines."""
    kept = {name: value for name, value in answer.items() if name in KEPT}
    points = (
        [list(point_of(row)) for row in answer.get("injected", [])]
        if "points" not in answer
        else answer["points"]
    )
    points += [list(point) for point in answer.get("extra", [])]
    return kept | {"points": points}


def commit() -> str:
    """Return the commit that is tried; with a + when files differ from it."""
    here = Path(__file__).resolve().parent
    found = subprocess.run(
        ["git", "describe", "--always", "--dirty=+", "--abbrev=7", "--match="],
        cwd=here,
        capture_output=True,
        text=True,
        check=False,
    )
    return found.stdout.strip() or "unknown"


def read(state: Path) -> list[dict[str, Any]]:
    """Read what was done; a line that was cut off is not there."""
    answers = []
    if state.exists():
        for line in state.read_text().splitlines():
            try:
                answers.append(json.loads(line))
            except ValueError:
                continue
    return answers


def write(state: Path, target: Path, groups: dict[str, tuple[str, str | None]], *, seed: int) -> None:
    """Write the report.

    Args:
        state: what was done.
        target: the report's file.
        groups: name → title, and why it cannot be played here.
        seed: which made the cases.
    """
    titles = {name: title for name, (title, _) in groups.items()}
    by_group: dict[str, list[dict[str, Any]]] = defaultdict(list)
    commits: dict[str, set[str]] = defaultdict(set)
    for answer in read(state):
        by_group[answer["case"]["group"]].append(answer)
        commits[answer.get("commit", "unknown")].add(answer["case"]["group"])
    told = [
        f"{name} ({', '.join(title for group, title in titles.items() if group in played)})"
        for name, played in commits.items()
    ]
    rows, all_points, all_faults, violated, broken = [], set(), 0, [], 0
    for name, title in titles.items():
        answers = by_group.get(name, [])
        points = {Point(*p) for a in answers for p in a["points"]}
        faults = sum(int(a.get("faults", len(a["points"]))) for a in answers)
        bad = [a for a in answers if a["violations"]]
        broken_here = sum("broken" in a for a in answers)
        rows.append(f"| {title} | {len(answers)} | {faults} | {len(points)} | {len(bad)} | {broken_here} |")
        all_points |= points
        all_faults += faults
        violated += bad
        broken += broken_here
    strict = {(p.process, p.site.split(" < ")[0], p.fault) for p in all_points}
    kernel = f"{platform.system()} {platform.release()}"
    machine = f"{os.cpu_count()} cores, {kernel}, Python {platform.python_version()}"
    counted = (
        f"{all_faults} faults over {len(all_points)} distinct points; {len(violated)} cases with violations"
    )
    text = [
        "# Fault report",
        "",
        f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {machine}, seed {seed}. Made by `scripts/faults`.",
        "",
        f"**{counted}, {broken} cases that the harness itself could not play.**",
        "",
        f"Commit {'; '.join(told)}.",
        "",
        "| group | cases | faults | distinct points | cases with violations | broken |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
        *rows,
        "",
        *(f"{title} was not played: {why}.\n" for title, why in groups.values() if why is not None),
        "A point is (process, phase, call site, fault); a call site is the call and the three inner lines",
        f"of the product. By the innermost line alone and without the phase there are {len(strict)}.",
        "",
        *_by(all_points, "process", "Points by process"),
        *_by(all_points, "phase", "Points by phase"),
        *_by(all_points, "fault", "Points by fault"),
        *_violations(violated),
        *_notes(by_group, titles),
    ]
    notes = target.with_name("NOTES.md")
    if notes.exists():
        text.append(notes.read_text().rstrip())
    target.write_text("\n".join(text).rstrip() + "\n")


def _by(points: set[Point], name: str, title: str) -> list[str]:
    counted = Counter(getattr(point, name) for point in points)
    line = " · ".join(f"{key} {number}" for key, number in counted.most_common())
    return [f"{title}: {line}", ""]


def _notes(by_group: dict[str, list[dict[str, Any]]], titles: dict[str, str]) -> list[str]:
    """Return what the long cases measured."""
    lines = []
    for name, title in titles.items():
        for answer in by_group.get(name, []):
            lines += [f"- {title.partition(' ')[2]}: {note}" for note in answer.get("notes", [])]
    return ["## Measured", "", *lines, ""] if lines else []


def _violations(violated: list[dict[str, Any]]) -> list[str]:
    if not violated:
        return ["## Violations in this run", "", "None.", ""]
    lines = ["## Violations in this run", ""]
    for answer in violated[:50]:
        lines.append(f"- `{json.dumps(answer['case'])}`")
        lines += [f"  - {text[:300]}" for text in answer["violations"][:5]]
    return [*lines, ""]
