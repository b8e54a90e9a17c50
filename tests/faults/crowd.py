"""Groups 7 and 9: many agents on one workspace, and a soak; random kills and pauses, then the same checks.

A paused owner is not overtaken while it lives; it goes on where it was. In the soak the load is random too:
quiet and busy times, tasks that fail, retry, hang, are cancelled. One agent is only paused, never killed: its
memory, descriptors and threads tell of leaks. What is sampled must be flat: the last third is compared with
the second, and the rest before the load with the rest after it. Results are checked as they come, then
pruned by `clean`, so that the disk has to stay flat as well.
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
from typing import TYPE_CHECKING, Any

from faults import checker, overtaken
from faults.scenarios import script
from faults.world import World

if TYPE_CHECKING:
    from collections.abc import Callable

AGENTS = "ABCDEFGH"
TASKS = int(os.environ.get("AISPOOL_FAULTS_TASKS", "20000"))
SOAK_S = float(os.environ.get("AISPOOL_FAULTS_SOAK_S", "1800"))
AHEAD = 20
"""Tasks that wait at most: the crowd is kept busy without measuring how large a folder may grow."""
STATES = ("succeeded", "lost", "failed")
"""In which a task of the crowd may end whose wrapper, or whose tool, may be killed."""
SCAN_INTERVAL_S = 2.0
SOAK_OPTIONS = "keep_count = 300\nmax_log_bytes = 1000000\n"
CROWD_OPTIONS = f"keep_count = {10 * TASKS}\n"
"""All are looked for at the end."""
SPARED = "H"
"""The agent that is never killed in the soak."""
MOST_GROWTH = 1.25
MOST_PROCESSES = 5 * len(AGENTS)
"""Of each: the agent, its tmux client, perhaps a server, what forks wrappers, and the one forked ahead."""
SAMPLE_EVERY_S = 5.0
CLEAN_EVERY_S = 20.0
CLEAN_EVERY_TASKS = 100
"""Well below what retention keeps: none is pruned before it was looked at, however fast they come."""
REST_S = 180.0


IS_VICTIM: dict[str, Callable[[str], bool]] = {
    "kill wrapper": lambda line: checker.part_of(line) == "wrapper",
    "kill starter": lambda line: checker.part_of(line) == "starter",
    "kill tool": lambda line: "/bin/sh -c" in line,
    "kill tmux": lambda line: checker.part_of(line) == "tmux",
}
FAULTS = ("kill agent", "pause agent", "remove socket", *IS_VICTIM)


@dataclass(slots=True)
class Crowd:
    """The agents and what was done to them."""

    world: World
    draw: random.Random
    slots: int
    soak: bool = False
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
            self.signal(self.running[name][0], signal.SIGCONT)
            del self.paused[name]
        what = self.draw.choice(FAULTS)
        mortal = [n for n in AGENTS if n in self.running and not (self.soak and n == SPARED)]
        name = self.draw.choice(mortal if what == "kill agent" else list(self.running))
        if what == "kill agent":
            self.signal(self.running[name][0], signal.SIGKILL)
        elif what == "pause agent":
            self.signal(self.running[name][0], signal.SIGSTOP)
            self.paused[name] = now_s + self.draw.uniform(0.5, 4)
        elif what == "remove socket":
            (self.world.root / ".aispool.tmux").unlink(missing_ok=True)
        else:
            lines = checker.processes_of(self.world.base).items()
            pids = [pid for pid, line in lines if IS_VICTIM[what](line)]
            if not pids:
                return
            self.signal(self.draw.choice(pids), signal.SIGKILL)
        self.faults.append(("crowd", "any", what, what))

    def stop(self) -> None:
        """Ask all to stop, and wait."""
        for pid, _ in self.running.values():
            self.signal(pid, signal.SIGCONT)
            self.signal(pid, signal.SIGTERM)
        for pid, output in self.running.values():
            self.world.wait(pid, output, 30)

    @staticmethod
    def signal(pid: int, number: int) -> None:
        """Send a signal; a process that is gone is fine."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def crowd_cases(traces: dict[str, list[list[str]]], seed: int) -> list[dict[str, Any]]:
    """One long case, and an owner that is overtaken at each of its steps."""
    return [{"group": "crowd", "tasks": TASKS, "seed": seed}, *overtaken.cases(traces, seed)]


def soak_cases(_traces: object, seed: int) -> list[dict[str, Any]]:
    """One long case."""
    return [{"group": "soak", "seconds": SOAK_S, "seed": seed}]


def play(base: Path, case: dict[str, Any]) -> dict[str, Any]:
    """Keep dropping, keep disturbing, then let all end and look."""
    if "paused" in case:
        return overtaken.play(base, case)
    world = World.fresh(base)
    world.reads = False
    draw = random.Random(case["seed"])
    soak = "seconds" in case
    crowd = Crowd(world, draw, slots=2, soak=soak)
    load = Load(world, draw, mixed=soak)
    samples: list[dict[str, float]] = []
    began_s = time.monotonic()
    at_rest: list[dict[str, float]] = []
    try:
        world.faults([])
        options = world.root / "configs" / "agent.toml"
        # eight agents that look at everything three times a second would measure themselves
        text = options.read_text().replace("scan_interval_s = 0.3", f"scan_interval_s = {SCAN_INTERVAL_S}")
        options.write_text(text + (SOAK_OPTIONS if soak else CROWD_OPTIONS))
        if soak:
            crowd.keep_up()
            world.until(lambda: all(_works(world, name) for name in AGENTS), 30)
            at_rest.append(_sample(crowd, 0, 0))
        ends_s = began_s + case.get("seconds", float("inf"))
        next_fault_s = next_sample_s = next_clean_s = 0.0
        next_clean_tasks = 0
        while load.number < case.get("tasks", 1 << 60) and time.monotonic() < ends_s:
            crowd.keep_up()
            load.drop(case.get("tasks", 1 << 60))
            now_s = time.monotonic()
            if now_s >= next_fault_s:
                crowd.disturb()
                next_fault_s = now_s + draw.uniform(0.5, 3)
            if soak and (now_s >= next_clean_s or load.number >= next_clean_tasks):
                load.look_at_results()
                world.run("clean", "clean")
                next_clean_s, next_clean_tasks = now_s + CLEAN_EVERY_S, load.number + CLEAN_EVERY_TASKS
            if soak and now_s >= next_sample_s:
                samples.append(_sample(crowd, now_s - began_s, load.number))
                next_sample_s = now_s + SAMPLE_EVERY_S
            time.sleep(0.05)
        if soak:
            load.found += _come_to_rest(crowd)
            at_rest.append(_sample(crowd, time.monotonic() - began_s, load.number))
        crowd.stop()
        for name in AGENTS:
            world.recover(name)
        world.recover("A")
        found = world.findings() + load.found + _grown(samples, at_rest)
        return {
            "points": sorted(set(crowd.faults)),
            "faults": len(crowd.faults),
            "violations": found[:60],
            "seconds": round(time.monotonic() - began_s, 1),
            "notes": [
                f"{load.number} tasks, {len(crowd.faults)} faults in {time.monotonic() - began_s:.0f} s",
                *_told(samples, at_rest),
            ],
            "tail": "\n".join(found)[:6000],
        }
    finally:
        world.end()


@dataclass(slots=True)
class Load:
    """What the agents are given to do."""

    world: World
    draw: random.Random
    mixed: bool
    number: int = 0
    found: list[str] = field(default_factory=list)
    _ahead: int = AHEAD
    _next_change_s: float = 0.0
    _by_id: dict[str, checker.Expected] = field(default_factory=dict)
    _looked_at: set[str] = field(default_factory=set)

    def drop(self, most: int) -> None:
        """Drop tasks until enough of them wait; now and then cancel one."""
        now_s = time.monotonic()
        if self.mixed and now_s >= self._next_change_s:
            self._ahead = self.draw.choice((0, 1, 3, 6, AHEAD))
            self._next_change_s = now_s + self.draw.uniform(5, 25)
        waiting = sum(name.endswith(".json") for name in os.listdir(self.world.root / "tasks"))
        for _ in range(min(self._ahead - waiting, most - self.number)):
            self._drop_one()
        if self.mixed and self.draw.random() < 0.02:
            self._cancel_one()

    def _drop_one(self) -> None:
        name = f"n{self.number:06d}"
        self.number += 1
        idempotent = self.draw.random() < 0.3
        fields: dict[str, object] = {"idempotent": idempotent, "timeout": 60}
        states, retries = STATES, 0
        rest = self.draw.choice(("exit 0", "echo done", "sleep 0.1", "head -c 50000 /dev/zero | tr '\\0' x"))
        if self.mixed:
            kind = self.draw.random()
            if kind < 0.1:
                rest, retries = "exit 3", 2
                fields["retry_policy"] = {"max_retries": 2, "backoff": "none", "initial_delay_s": 0}
            elif kind < 0.15:
                rest, states = "trap '' TERM; sleep 30 & wait; sleep 30", (*states, "timed_out")
                fields["timeout"] = 0.5
            elif kind < 0.3:
                rest = f"sleep {self.draw.uniform(0, 3):.2f}"
        self.world.drop(
            name,
            script(rest, task_id=name, **fields),
            states=states,
            idempotent=idempotent,
            retries=retries,
            pruned=self.mixed,
        )
        self._by_id[name] = self.world.history.tasks[-1]

    def _cancel_one(self) -> None:
        running = [n for n in checker.names(self.world.root / "sessions") if n in self._by_id]
        if running:
            task_id = self.draw.choice(running)
            self._by_id[task_id].states += ("cancelled",)
            with contextlib.suppress(FileNotFoundError):  # it is over
                (self.world.root / "sessions" / task_id / "cancel").touch()

    def look_at_results(self) -> None:
        """Check each task that is over, before it may be pruned."""
        results = self.world.root / "results"
        over = set(checker.names(results)) & (self._by_id.keys() - self._looked_at)
        # the ledger last: what is over by now has written its line
        runs = checker.by_task(checker.read_ledger(self.world.ledger))
        for task_id in over:
            self.found += checker.check_over(results / task_id, runs.get(task_id, []), self._by_id[task_id])
            self._looked_at.add(task_id)


def _works(world: World, name: str) -> bool:
    return (world.root / "sessions" / f".agent-{name}" / "agent.json").exists()


def _come_to_rest(crowd: Crowd) -> list[str]:
    """Wake all, add nothing, and wait until nothing is left to do."""
    root = crowd.world.root
    for pid, _ in crowd.running.values():
        crowd.signal(pid, signal.SIGCONT)
    crowd.paused.clear()

    def done() -> bool:
        crowd.keep_up()
        waiting = any(name.endswith(".json") for name in checker.names(root / "tasks"))
        return not waiting and not any(checker.TASK_ID.fullmatch(n) for n in checker.names(root / "sessions"))

    if not crowd.world.until(done, REST_S):
        left = [n for n in checker.names(root / "sessions") if checker.TASK_ID.fullmatch(n)]
        return [f"liveness: {left[:9]} did not end within {REST_S:g} s after the load"]
    crowd.world.until(lambda: not _wrappers(crowd), REST_S)
    return [f"soak: a wrapper is left: {line}" for line in _wrappers(crowd)]


def _wrappers(crowd: Crowd) -> list[str]:
    lines = checker.processes_of(crowd.world.base).values()
    return [line for line in lines if checker.part_of(line) == "wrapper"]


def _sample(crowd: Crowd, at_s: float, tasks: int) -> dict[str, float]:
    """Measure the agent that is spared, and all that the workspace has on the machine."""
    pid = crowd.running[SPARED][0]
    root = crowd.world.root
    tombstones = root / "results" / ".tombstones"
    living = checker.processes_of(crowd.world.base)
    sample = {
        "at_s": round(at_s),
        "tasks": tasks,
        "rss_mb": 0.0,
        "descriptors": 0.0,
        "threads": 0.0,
        "processes": float(len(living)),
        "disk_mb": round((_bytes_on_disk(root) - _bytes_on_disk(tombstones)) / 2**20, 1),
        "tombstones": float(len(checker.names(tombstones))),
    }
    with contextlib.suppress(OSError):
        pages = int(Path("/proc", str(pid), "statm").read_text().split()[1])
        sample["rss_mb"] = round(pages * 4096 / 2**20, 1)
        sample["descriptors"] = float(len(os.listdir(f"/proc/{pid}/fd")))
        sample["threads"] = float(len(os.listdir(f"/proc/{pid}/task")))
    return sample


def _bytes_on_disk(folder: Path) -> int:
    total = 0
    for parent, _folders, files in os.walk(folder):
        for name in files:
            with contextlib.suppress(FileNotFoundError):
                total += Path(parent, name).lstat().st_blocks * 512
    return total


FLAT = {"rss_mb": statistics.median, "descriptors": max, "threads": max, "disk_mb": statistics.median}
"""What must not grow, and what of a third of the samples tells: descriptors come and go with a starter."""
STARTER_DESCRIPTORS = 5


def _thirds(samples: list[dict[str, float]], name: str) -> tuple[float, float, float]:
    third = len(samples) // 3
    parts = samples[:third], samples[third : 2 * third], samples[2 * third :]
    first, middle, last = (FLAT[name](sample[name] for sample in part) for part in parts)
    return first, middle, last


def _grown(samples: list[dict[str, float]], at_rest: list[dict[str, float]]) -> list[str]:
    """Return what is larger in the last third than in the second, or at rest after the load than before."""
    if len(samples) < 9:
        return []
    found = []
    for name in FLAT:
        _first, middle, last = _thirds(samples, name)
        if last > middle * MOST_GROWTH + 2:
            found.append(f"soak: {name} grew from {middle} to {last}")
    before, after = at_rest
    found += [
        f"soak: at rest there were {before[name]} {name} before the load, and {after[name]} after it"
        for name in ("descriptors", "threads")
        if after[name] > before[name] + STARTER_DESCRIPTORS
    ]
    if after["processes"] > MOST_PROCESSES:
        found.append(f"soak: at rest there are {after['processes']} processes")
    return found


def _told(samples: list[dict[str, float]], at_rest: list[dict[str, float]]) -> list[str]:
    """Return the figures of the report: medians of the thirds, and single samples."""
    if len(samples) < 9:
        return []
    thirds = [f"{name} {' → '.join(f'{value:g}' for value in _thirds(samples, name))}" for name in FLAT]
    picked = {
        "at rest before the load": at_rest[0],
        "in the middle": samples[len(samples) // 2],
        "the last under load": samples[-1],
        "at rest after the load": at_rest[1],
    }
    return [
        f"the first, second and last third, medians or most: {', '.join(thirds)}",
        *(
            f"{when}: {', '.join(f'{name} {value:g}' for name, value in sample.items())}"
            for when, sample in picked.items()
        ),
    ]
