"""Groups 7 and 9: many agents on one workspace, and a soak; random kills and pauses, then the same checks.

A paused owner is not overtaken while it lives; it goes on where it was. In the soak the agents' memory,
descriptors and threads are sampled, and must be flat: the last third is compared with the second.
"""
# ruff: noqa: S311 - draws victims, not keys

from __future__ import annotations

import contextlib
import os
import random
import signal
import statistics
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from faults import checker
from faults.scenarios import script
from faults.world import World

AGENTS = "ABCDEFGH"
TASKS = int(os.environ.get("AISPOOL_FAULTS_TASKS", "20000"))
SOAK_S = float(os.environ.get("AISPOOL_FAULTS_SOAK_S", "1800"))
AHEAD = 150
"""Tasks that wait at most: the crowd is kept busy without measuring how large a folder may grow."""
STATES = ("succeeded", "lost")
MOST_GROWTH = 1.25


@dataclass(slots=True)
class Crowd:
    """The agents and what was done to them."""

    world: World
    draw: random.Random
    slots: int
    running: dict[str, tuple[int, Path]] = field(default_factory=dict)
    paused: dict[str, float] = field(default_factory=dict)
    faults: list[tuple[str, str, str, str]] = field(default_factory=list)

    def keep_up(self) -> None:
        """Start the agents that are not there."""
        for name, (pid, _) in list(self.running.items()):
            if os.waitpid(pid, os.WNOHANG)[0]:
                del self.running[name]
                self.paused.pop(name, None)
        for name in AGENTS:
            if name not in self.running:
                self.running[name] = self.world.start(
                    "agent", "agent", "--name", name, "--slots", str(self.slots)
                )

    def disturb(self) -> None:
        """Do one thing to one process; wake those that slept long enough."""
        now_s = time.monotonic()
        for name in [n for n, until_s in self.paused.items() if until_s < now_s]:
            self._signal(self.running[name][0], signal.SIGCONT)
            del self.paused[name]
        what = self.draw.choice(("kill agent", "pause agent", "kill wrapper", "kill tmux", "remove socket"))
        name = self.draw.choice([n for n in AGENTS if n in self.running])
        if what == "kill agent":
            self._signal(self.running[name][0], signal.SIGKILL)
        elif what == "pause agent":
            self._signal(self.running[name][0], signal.SIGSTOP)
            self.paused[name] = now_s + self.draw.uniform(0.5, 4)
        elif what == "remove socket":
            (self.world.root / ".aispool.tmux").unlink(missing_ok=True)
        else:
            word = "agent/wrap.py" if what == "kill wrapper" else "tmux"
            lines = checker.processes_of(self.world.base).items()
            pids = [p for p, line in lines if (word in line if word != "tmux" else line.startswith("tmux"))]
            if not pids:
                return
            self._signal(self.draw.choice(pids), signal.SIGKILL)
        self.faults.append(("crowd", "any", what, what))

    def stop(self) -> None:
        """Ask all to stop, and wait."""
        for pid, _ in self.running.values():
            self._signal(pid, signal.SIGCONT)
            self._signal(pid, signal.SIGTERM)
        for pid, output in self.running.values():
            self.world.wait(pid, output, 30)

    @staticmethod
    def _signal(pid: int, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def crowd_cases(_traces: object, seed: int) -> list[dict[str, Any]]:
    """One long case."""
    return [{"group": "crowd", "tasks": TASKS, "seed": seed}]


def soak_cases(_traces: object, seed: int) -> list[dict[str, Any]]:
    """One long case."""
    return [{"group": "soak", "seconds": SOAK_S, "seed": seed}]


def play(base: Path, case: dict[str, Any]) -> dict[str, Any]:
    """Keep dropping, keep disturbing, then let all end and look."""
    world = World.fresh(base)
    draw = random.Random(case["seed"])
    soak = "seconds" in case
    crowd = Crowd(world, draw, slots=2)
    samples: list[dict[str, float]] = []
    try:
        world.faults([])
        ends_s = time.monotonic() + case.get("seconds", float("inf"))
        number = 0
        next_fault_s = next_sample_s = 0.0
        while number < case.get("tasks", 1 << 60) and time.monotonic() < ends_s:
            crowd.keep_up()
            waiting = len(list((world.root / "tasks").glob("*.json")))
            for _ in range(max(AHEAD - waiting, 0)):
                if number < case.get("tasks", 1 << 60):
                    _drop(world, draw, number)
                    number += 1
            now_s = time.monotonic()
            if now_s >= next_fault_s:
                crowd.disturb()
                next_fault_s = now_s + draw.uniform(0.5, 3)
            if soak and now_s >= next_sample_s:
                samples.append(_sample(crowd))
                next_sample_s = now_s + 5
            time.sleep(0.05)
        crowd.stop()
        for name in AGENTS:
            world.recover(name)
        world.recover("A")
        found = world.findings() + _grown(samples)
        return {
            "points": sorted(set(crowd.faults)),
            "faults": len(crowd.faults),
            "violations": found[:60],
            "notes": [
                f"{number} tasks, {len(crowd.faults)} faults",
                *map(str, samples[:: max(len(samples) // 12, 1)]),
            ],
            "tail": "\n".join(found)[:6000],
        }
    finally:
        world.end()


def _drop(world: World, draw: random.Random, number: int) -> None:
    rest = draw.choice(("exit 0", "echo done", "sleep 0.1", "head -c 50000 /dev/zero | tr '\\0' x"))
    idempotent = draw.random() < 0.3
    fields = script(rest, task_id=f"n{number:06d}", idempotent=idempotent, timeout=60)
    world.drop(f"n{number:06d}", fields, states=STATES, idempotent=idempotent)


def _sample(crowd: Crowd) -> dict[str, float]:
    """Measure one agent of each: the mean over all that live for more than a moment."""
    pages, descriptors, threads = [], [], []
    for pid, _ in crowd.running.values():
        with contextlib.suppress(OSError):
            pages.append(int(Path("/proc", str(pid), "statm").read_text().split()[1]))
            descriptors.append(len(os.listdir(f"/proc/{pid}/fd")))
            threads.append(len(os.listdir(f"/proc/{pid}/task")))
    mean = statistics.fmean
    processes = len(checker.processes_of(crowd.world.base))
    return {
        "rss_mb": round(mean(pages) * 4096 / 2**20, 1) if pages else 0,
        "descriptors": round(mean(descriptors), 1) if descriptors else 0,
        "threads": round(mean(threads), 1) if threads else 0,
        "processes": processes,
    }


def _grown(samples: list[dict[str, float]]) -> list[str]:
    if len(samples) < 9:
        return []
    third = len(samples) // 3
    found = []
    for name in samples[0]:
        middle = statistics.median(s[name] for s in samples[third : 2 * third])
        last = statistics.median(s[name] for s in samples[2 * third :])
        if last > middle * MOST_GROWTH + 2:
            found.append(f"soak: {name} grew from {middle} to {last}")
    return found
