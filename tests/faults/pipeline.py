"""Group 11: a collaborative run is killed, or fails, at every call that changes something; then it goes on.

Its models are scripted and served over HTTP by another process (models.py), which knows whether a step was
recorded when it is asked for it. The executor proposes two commands that change something: a person approves
the first. A run that ended without a result is retried, as a person would. Then: nothing recorded was asked
for again, the approved command ran once and only after the approval, the other never, the report is whole,
the audit log verifies, and I1-I8 hold.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
from functools import cache
from typing import TYPE_CHECKING, Any

from faults import checker, steps
from faults.checker import read_json
from faults.points import pipeline_site
from faults.world import World

if TYPE_CHECKING:
    from pathlib import Path

FAULTS = {
    "kill-before": steps.MUTATING,
    "kill-after": steps.NAME,
    "ENOSPC": steps.CHANGING & ~steps.FSYNC,
    "EIO": steps.CHANGING & ~steps.FSYNC,
    "fsync-EIO": steps.FSYNC,
}
"""Fault → at which kinds of calls. After any other call is before the next one."""
TRACE = {"group": "pipeline", "scenario": "pipeline", "faults": [["pipeline", 1, -1, "trace"]]}
LIMIT_S = 60.0
MOST_ASKED = 3
"""A call in flight is lost with its process; one whose answer could not be written is asked for once more."""
AGENTS = 4
ROLES_TOML = """\
[providers.qwen]
base_url = "http://127.0.0.1:{port}/v1"
[providers.gemini]
base_url = "http://127.0.0.1:{port}/v1beta"
[limits]
evidence_wait_s = 60.0
call_budget_s = 30.0
"""


def cases(traces: dict[str, list[list[str]]], _seed: int) -> list[dict[str, Any]]:
    """Each fault once at each distinct call that changes a disk, starts a process or talks to a model."""
    rows = [row for row in traces["pipeline"] if row[0] == "pipeline"]
    found = []
    for fault, kinds in FAULTS.items():
        matching = [row for row in rows if steps.matches(row, fault) and int(row[8]) & kinds]
        found += [[fault, site] for site in dict.fromkeys(map(_plan_site, matching)) if site]
    return [
        {"group": "pipeline", "scenario": "pipeline", "faults": [["pipeline", 1, 1, fault, site]]}
        for fault, site in found
    ]


def _plan_site(row: list[str]) -> str:
    """Name a call for the plan; empty for one of the interpreter."""
    site = pipeline_site(row[6])
    return f"{row[4]}@{site.replace(' ', '~')}" if site else ""


def play(base: Path, case: dict[str, Any]) -> dict[str, Any]:
    """Play one case."""
    world = World.fresh(base)
    (world.base / "asked").touch()
    found: list[str] = []
    try:
        port = _serve(base)
        (world.root / "configs" / "roles.toml").write_text(ROLES_TOML.format(port=port))
        keys = world.root / "configs" / "env" / "collab.env"
        keys.write_text("QWEN_API_KEY=k-qwen\nGEMINI_API_KEY=k-gemini\n")
        keys.chmod(0o600)
        world.faults(case["faults"])
        fields = {
            "tool": "collab",
            "command": "general",
            "task_id": "q",
            "parameters": {"prompt": "Shall I?"},
        }
        world.drop("q", fields, idempotent=True, retries=AGENTS, ledger=False, asked_again=True)
        result = world.root / "results" / "q" / "result.json"
        for _ in range(AGENTS):
            _work(world, found)
            if result.exists() and read_json(result)["state"] == "succeeded":
                break
            world.run("nobody", "retry", "q")
        found += _mistakes(world)
        verified = world.run("nobody", "audit", "verify")
        if verified.code != 0:
            found.append(f"audit: it does not verify: {verified.output[-300:]}")
        found += world.findings()
        return {
            "injected": world.injected(),
            "violations": sorted(set(found)),
            "tail": _failures(world) + world.tail() if found else "",
        }
    finally:
        world.end()


def _failures(world: World) -> str:
    """Tell why steps failed, a line for each."""
    lines = []
    for path in sorted((world.root / "results" / "q" / "collab").glob("**/[1-5]-*.json")):
        with contextlib.suppress(OSError, ValueError):
            step = read_json(path)
            lines.append(f"{path.parent.name}/{path.name}: {step['state']}: {step['reason'][:300]}\n")
    return "".join(lines)


def _work(world: World, found: list[str]) -> None:
    """Run an agent until nothing is left to do, and approve what waits for it."""
    session = world.root / "sessions" / "q"
    pid, output = world.start("agent", "agent", "--name", "A", "--slots", "2", "--drain")

    def look() -> None:
        with contextlib.suppress(OSError, ValueError):
            if read_json(session / "status.json")["state"] != "waiting_input":
                return
            if (session / "approve" / "1").exists():
                return
            if (world.base / "ran").exists():
                found.append("approval: a command ran before anybody approved it")
            world.on_poll = None
            world.run("nobody", "collab", "approve", "q", "--only", "1")
            world.on_poll = look

    world.on_poll = look
    ran = world.wait(pid, output, LIMIT_S)
    world.on_poll = None
    if ran.timed_out:
        found.append(f"liveness: the agent did not come to an end within {LIMIT_S:g} s")


def _mistakes(world: World) -> list[str]:
    asked = (world.base / "asked").read_text().splitlines()
    found = [f"asked: {line}: its step was recorded" for line in asked if line.endswith(" again")]
    found += [f"asked: {p} {asked.count(p)} times" for p in sorted(set(asked)) if asked.count(p) > MOST_ASKED]
    ran = (world.base / "ran").read_text().splitlines() if (world.base / "ran").exists() else []
    if ran not in (["one"], []):
        found.append(f"commands: {ran} ran, approved was one run of the first")
    collab = world.root / "results" / "q" / "collab"
    try:
        report = read_json(collab / "report.json")
        text = (collab / "report.md").read_text()
    except (OSError, ValueError) as error:
        return [*found, f"I6: there is no whole report: {error}"]
    said = report["executed"][0] if report["executed"] else "nothing was run"
    if said.startswith("Command 1 was run") != (ran == ["one"]):
        found.append(f"commands: the report says: {said}; the world says: {ran}")
    attempts = [n for n in checker.names(collab.parent / "attempts") if n.isdigit()]
    told = (collab.parent / "attempts" / attempts[-1] / "stdout").read_text()
    if told.strip() != text.strip():
        found.append("I6: report.md is not what the run printed")
    return found


@cache
def _server(folder: Path) -> subprocess.Popen[bytes]:
    """Start the models of this worker; they end with it, since their input does."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "port").unlink(missing_ok=True)  # of a former worker's models
    return subprocess.Popen([sys.executable, "-m", "faults.models", str(folder)], stdin=subprocess.PIPE)


def _serve(base: Path) -> str:
    folder = base.with_name(f"{base.name}.models")
    process = _server(folder)
    (folder / "world").write_text(str(base))
    port = folder / "port"
    World(base).until(port.exists, LIMIT_S)
    if process.poll() is not None:
        raise ChildProcessError(f"the models ended {process.returncode}")
    return port.read_text()
