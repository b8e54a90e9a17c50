"""Group 4: each subset of agent, tmux server, wrapper and tool is killed, with each tool, at each phase.

What forks wrappers dies with each of these subsets as well, at the phases in which it has work, with fewer
tools: it is no part of an attempt that has begun.
"""
# ruff: noqa: S311 - draws orders, not keys

from __future__ import annotations

import contextlib
import itertools
import os
import random
import signal
from typing import TYPE_CHECKING, Any

from faults import checker
from faults.scenarios import script
from faults.world import World

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

VICTIMS = ("agent", "tmux", "wrapper", "tool")
TOOLS = {
    "finishes": "echo done",
    "fails": "echo no >&2; exit 3",
    "hangs": "exec sleep 60",
    "ignores": "trap '' TERM HUP; while :; do sleep 0.1; done",
    "daemonises": "setsid sleep 1 < /dev/null > /dev/null 2>&1 & exit 0",
    "floods": "head -c 3000000 /dev/zero | tr '\\0' x",
    "closes": 'exec 0<&- 1>&- 2>&-; for n in 3 4 5 6 7 8 9; do eval "exec $n<&- $n>&-"; done; sleep 0.5',
}
PHASES = ("claim", "launch", "start", "run", "settle", "cancel", "retry")
FORKING = ("claim", "launch", "start", "run", "retry")
FORKED = ("finishes", "hangs")
"""The phases and the tools of the sets in which the starter dies."""
OVER = ("succeeded", "failed", "timed_out", "cancelled", "lost")


def cases(_traces: object, seed: int) -> list[dict[str, Any]]:
    """Every subset by every tool by every phase, half of them idempotent."""
    subsets = [s for n in range(5) for s in itertools.combinations(VICTIMS, n)]
    chosen = [
        *itertools.product(subsets[1:], TOOLS, PHASES),
        *itertools.product([("starter", *s) for s in subsets], FORKED, FORKING),
    ]
    return [
        {"group": "killset", "victims": list(victims), "tool": tool, "phase": phase, "seed": seed + index}
        for index, (victims, tool, phase) in enumerate(chosen)
    ]


def play(base: Path, case: dict[str, Any]) -> dict[str, Any]:
    """Run one task up to a phase, kill the set, recover, check."""
    draw = random.Random(case["seed"])
    world = World.fresh(base)
    try:
        world.faults([])
        idempotent = draw.random() < 0.5
        policy = {"max_retries": 1, "backoff": "none", "initial_delay_s": 0}
        fields = script(TOOLS[case["tool"]], task_id="t", timeout=0.8, idempotent=idempotent)
        if case["phase"] == "retry":
            fields["retry_policy"] = policy
        retries = 1 if case["phase"] == "retry" else 0
        world.drop("t", fields, states=OVER, idempotent=idempotent, retries=retries)
        pid, output = world.start("agent", "agent", "--name", "A", "--slots", "2", "--drain")
        world.until(_reached(world, case["phase"], pid), 4.0)
        if case["phase"] == "cancel":
            world.run("cancel", "cancel", "t")
        victims = list(case["victims"])
        draw.shuffle(victims)
        killed = [name for name in victims if _kill(world, name, pid)]
        world.wait(pid, output, 2.5)
        world.recover(draw.choice("AB"))
        found = world.findings()
        site = f"{case['tool']}: {'+'.join(sorted(case['victims']))}"
        points = [(name, case["phase"], site, "SIGKILL") for name in killed]
        return {"points": points, "violations": found, "tail": world.tail() if found else ""}
    finally:
        world.end()


def _reached(world: World, phase: str, pid: int) -> Callable[[], bool]:
    session = world.root / "sessions" / "t"
    claim = world.root / "sessions" / ".agent-A" / "t"
    marks: dict[str, Callable[[], bool]] = {
        "claim": lambda: claim.exists() or session.exists(),
        "launch": (session / "attempts" / "001" / "intent").exists,
        "start": (session / "attempts" / "001" / "started").exists,
        "run": lambda: bool(checker.read_ledger(world.ledger)),
        "cancel": lambda: bool(checker.read_ledger(world.ledger)),
        "settle": (session / "attempts" / "001" / "exit").exists,
        "retry": (session / "attempts" / "002").exists,
    }
    done = world.root / "results" / "t"
    return lambda: marks[phase]() or done.exists() or not _alive(pid)


def _alive(pid: int) -> bool:
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None


def _kill(world: World, name: str, agent_pid: int) -> bool:
    if name == "agent":
        pids = [agent_pid] if _alive(agent_pid) else []
    elif name == "tool":
        pids = [line.pid for line in checker.read_ledger(world.ledger)]
    else:
        lines = checker.processes_of(world.base).items()
        pids = [pid for pid, line in lines if checker.part_of(line) == name]
    killed = False
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
            killed = True
    return killed
