"""One case: a scenario, its faults, recovery, the verdict. Its JSON object is enough to play it again."""

from __future__ import annotations

import shutil
import time
from typing import TYPE_CHECKING, Any

from faults import checker
from faults.scenarios import LOST, SCENARIOS, Scenario
from faults.world import CHILD_KILLED, World

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

TEMPLATES: dict[str, tuple[Path, Any]] = {}


def begin(base: Path, scenario: Scenario, mount: Callable[[Path], None] | None = None) -> World:
    """Return a world as the scenario finds it, on a disk of its own if need be."""
    if scenario.template is None:
        return World.fresh(base, mount=mount)
    if scenario.name not in TEMPLATES:
        world = World.fresh(base)
        world.faults([])
        scenario.template(world)
        kept = base.parent / f"{base.name}.{scenario.name}"
        shutil.rmtree(kept, ignore_errors=True)
        world.root.rename(kept)
        lines = world.ledger.read_text()
        TEMPLATES[scenario.name] = (kept, (world.history.tasks, lines))
    kept, (tasks, lines) = TEMPLATES[scenario.name]
    world = World.fresh(base, kept, mount)
    world.history.tasks += [
        checker.Expected(t.mark, t.task_id, content=t.content, retries=1, states=LOST, asked_again=True)
        for t in tasks
    ]
    world.ledger.write_text(lines)
    return world


def play(base: Path, case: dict[str, Any]) -> dict[str, Any]:
    """Run a case and return what was injected and what was violated."""
    began_s = time.monotonic()
    scenario = SCENARIOS[case["scenario"]]
    world = begin(base, scenario)
    try:
        world.faults(case["faults"])
        world.impatient = case.get("impatient", False)
        world.patience_s = case.get("patience_s", world.patience_s)
        scenario.play(world)
        world.impatient = False
        if any(fault[0] == "wrapper" and fault[3] in CHILD_KILLED for fault in case["faults"]):
            for task in world.history.tasks:
                task.states += ("failed",)  # its tool was killed before it was one
        crash = [*checker.torn_files(world.root), *checker.crossed(world.root, world.history)]
        recoveries = world.recover(case.get("recoverer", scenario.recoverer))
        found = crash + world.findings()
        if recoveries[-1].code != 0:
            found.append(f"I5: recovery ended {recoveries[-1].code}: {recoveries[-1].output[-300:]}")
        return {
            "injected": world.injected(),
            "extra": world.extra_points,
            "violations": sorted(set(found)),
            "stale": len(checker.stale_lines(world.root)),
            "temporary": len(checker.temporary_files(world.root)),
            "seconds": round(time.monotonic() - began_s, 3),
            "tail": world.tail() if found else "",
        }
    finally:
        world.end()
