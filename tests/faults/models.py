"""A model server for the pipeline's group: `python -m faults.models FOLDER`, until its input ends.

It writes its port to FOLDER/port. FOLDER/world names the world that is played; there it appends a line for
each request to `asked`: the part of the run, and `again` when that part's step was recorded by then.
"""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import ModuleType

COLLAB = Path(__file__).resolve().parents[1] / "collab"
STEPS = {
    "plan": "1-plan",
    "integration": "4-integration",
    "side-effects": "5-side-effects",
    **{role: f"2-{role}" for role in ("analyst", "executor", "innovator")},
    **{f"validation-{role}": f"3-validation-{role}" for role in ("analyst", "executor", "innovator")},
}


def _load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"aispool_faults_{name}", COLLAB / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def main() -> None:
    """Serve."""
    folder = Path(sys.argv[1])
    brain = _load("brain").Brain()
    usual = brain._executor

    def proposes(call: Any) -> dict[str, Any]:
        ran = Path((folder / "world").read_text()) / "ran"
        change = {"command": f"echo one >> {ran}", "purpose": "change", "check_after": f"cat {ran}"}
        other = {"command": f"echo two >> {ran}", "purpose": "change more"}
        return {**usual(call), "commands": [change, other]}

    brain.says["executor"] = proposes
    brain.says["plan"] = lambda call: {**brain._plan(call), "evidence": ["load"]}
    part_of = sys.modules["aispool_faults_brain"].part_of

    def rule(call: Any) -> Any:
        world, part = Path((folder / "world").read_text()), part_of(call)
        steps = [world / "ws" / place / "q" / "collab" / "steps" for place in ("sessions", "results")]
        name = f"{STEPS.get(part, part)}.json"
        again = any(_is_answered(step / name) for step in steps)
        with (world / "asked").open("a") as asked:
            asked.write(f"{part}{' again' if again else ''}\n")
        return brain(call)

    with _load("server").ScriptedServer(rule) as server:
        (folder / ".port").write_text(server.url.rpartition(":")[2])
        (folder / ".port").rename(folder / "port")
        sys.stdin.read()


def _is_answered(step: Path) -> bool:
    try:
        return bool(json.loads(step.read_bytes())["state"] == "ok")
    except FileNotFoundError:
        return False


if __name__ == "__main__":
    main()
