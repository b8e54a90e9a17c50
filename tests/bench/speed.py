"""How fast: many short commands, one command on an idle agent, and what ten times the tasks cost."""

from __future__ import annotations

import subprocess
import time
from collections import defaultdict
from itertools import pairwise
from typing import TYPE_CHECKING

from bench.arrivals import Arrivals
from bench.contenders import CONTENDERS, ControlledTmux, at_peers, spooler_server
from bench.figures import TIMES, Figure, ratios
from bench.lab import LIMIT_S

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path
    from typing import Any

    from bench.lab import Host, Lab

TASKS = 1000
TRIES = 40
WARM_UP = 3
PAUSE_S = 0.05
"""Between two tries, so that each meets an idle agent."""
GOALS = {
    4: (
        ("aispool, tmux", "floor", 1.25),
        ("aispool, tmux", "GNU parallel", 1.0),
        ("aispool, process", "task-spooler", 1.0),
    ),
    1: (("aispool, tmux", "floor", 1.5), ("aispool, process", "task-spooler", 1.0)),
}
GROWING = ("aispool, tmux", "aispool, process", "task-spooler", "floor")
LARGEST = ("aispool, tmux",)
"""Who does more than 10,000 tasks, for half an hour."""


def throughput(lab: Lab) -> list[Figure]:
    """Measure 1,000 times `true` by everybody, with four slots and with one."""
    number, figures = lab.number(TASKS, 8), []
    for slots, goals in GOALS.items():
        took_s: dict[str, list[float]] = defaultdict(list)
        for turn in range(lab.rounds):
            for name in rotated(list(CONTENDERS), turn):
                took_s[name].append(CONTENDERS[name](lab, number, slots))
        what = f"{number:,} times true, {slots} slot{'s' if slots > 1 else ''}"
        figures += [
            Figure(f"{what}: {ours} ÷ {theirs}", TIMES, ratios(took_s[ours], took_s[theirs]), goal)
            for ours, theirs, goal in goals
        ]
        figures += [Figure(f"{what}: {name}", "s", tuple(samples)) for name, samples in took_s.items()]
    return figures


def scaling(lab: Lab) -> list[Figure]:
    """Measure tasks 10 → 100,000 with four slots; sizes above 1,000 once."""
    sizes = [10**power for power in range(1, 7) if 10**power <= lab.number(lab.most, 100)]
    took_s: dict[tuple[str, int], list[float]] = defaultdict(list)
    for size in sizes:
        for turn in range(1 if size > TASKS else lab.rounds):
            for name in rotated(GROWING if size <= 10 * TASKS else LARGEST, turn):
                took_s[name, size].append(CONTENDERS[name](lab, size, 4))
    figures = []
    for name in GROWING:
        done = [size for size in sizes if (name, size) in took_s]
        for size in done:
            samples = tuple(took_s[name, size])
            figures.append(Figure(f"{size:,} tasks: {name}", "s", samples, curve=name, at=size))
        for less, more in pairwise(done):
            pairs = ratios(took_s[name, more], took_s[name, less][: len(took_s[name, more])])
            goal = 1.1 if name.startswith("aispool") and less >= TASKS else None
            factors = tuple(ratio / 10 for ratio in pairs)
            figures.append(Figure(f"{less:,} → {more:,} tasks, a task's time: {name}", TIMES, factors, goal))
    return figures


def latency(lab: Lab) -> list[Figure]:
    """Measure how soon one command runs, and how soon its end is told."""
    number = lab.number(TRIES, 3)
    running: dict[str, list[float]] = defaultdict(list)
    told: dict[str, list[float]] = defaultdict(list)

    def by_aispool(launcher: str) -> Callable[[], None]:
        def measure() -> None:
            with lab.host(launcher=launcher, slots=2) as host:
                host.up()
                first, last = tries(host, number)
                running[f"aispool, {launcher}"] += first
                told[f"aispool, {launcher}"] += last

        return measure

    def by_peer(name: str, measured: Callable[[Lab, int], list[float]]) -> Callable[[], None]:
        return lambda: running[name].extend(measured(lab, number))

    contenders = [
        *(by_aispool(launcher) for launcher in ("tmux", "process")),
        by_peer("a bare tmux session, control mode", _bare_session),
        by_peer("task-spooler", _spooler),
        by_peer("nq", _nq),
    ]
    for turn in range(lab.rounds):
        for measure in rotated(contenders, turn):
            measure()
    figures = []
    for name, samples in running.items():
        goals = (6.0, 12.0) if name == "aispool, tmux" else (None, None)
        figures += median_and_p95(f"drop → command running: {name}", samples, goals)
    for name, samples in told.items():
        figures += median_and_p95(f"command exits → result.json visible: {name}", samples, (5.0, 10.0))
    return figures


def tries(host: Host, number: int, prefix: str = "l", **more: Any) -> tuple[list[float], list[float]]:
    """Drop one task after the other; return ms from drop to running, and ms from exit to visible result."""
    running, told = [], []
    with Arrivals(host.ws.results) as results:
        for n in range(number + WARM_UP):
            name = f"{prefix}{n}"
            stamp = host.folder / f"{name}.stamp"
            began_s = host.drop(name, host.lab.task(name, str(host.lab.probe), "stamp", str(stamp), **more))
            seen_s = results.wait(name, LIMIT_S)
            [(first_s, last_s)] = host.stamps(stamp)
            if n >= WARM_UP:
                running.append((first_s - began_s) * 1000)
                told.append((seen_s - last_s) * 1000)
            time.sleep(PAUSE_S)
    return running, told


def median_and_p95(
    name: str, samples: Sequence[float], goals: tuple[float | None, float | None] = (None, None)
) -> list[Figure]:
    """Return both figures of times in ms."""
    kept = tuple(samples)
    return [Figure(name, "ms", kept, goals[0]), Figure(f"{name}, p95", "ms", kept, goals[1], share=0.95)]


def rotated(all_of_them: Sequence[Any], turn: int) -> list[Any]:
    """Return them in another order each round, so that nobody always comes after the same."""
    at = turn % len(all_of_them)
    return [*all_of_them[at:], *all_of_them[:at]]


def _bare_session(lab: Lab, number: int) -> list[float]:
    with at_peers(lab) as (folder, env):
        tmux = ControlledTmux(folder, env)

        def submit(n: int, stamp: Path) -> None:
            tmux.session(f"t{n}", str(lab.probe), "stamp", str(stamp))

        found = _each(folder, number, submit)
        tmux.close()
        return found


def _spooler(lab: Lab, number: int) -> list[float]:
    with at_peers(lab) as (folder, env), spooler_server(folder, env, 2) as its:

        def submit(_: int, stamp: Path) -> None:
            words = ["tsp", str(lab.probe), "stamp", str(stamp)]
            subprocess.run(words, env=its, check=True, stdout=subprocess.DEVNULL)

        return _each(folder, number, submit)


def _nq(lab: Lab, number: int) -> list[float]:
    with at_peers(lab) as (folder, env):

        def submit(_: int, stamp: Path) -> None:
            words = ["nq", "-q", str(lab.probe), "stamp", str(stamp)]
            subprocess.run(words, env=env | {"NQDIR": str(folder / "q")}, check=True)

        return _each(folder, number, submit)


def _each(folder: Path, number: int, submit: Callable[[int, Path], None]) -> list[float]:
    found = []
    for n in range(number + WARM_UP):
        stamp = folder / f"{n}.stamp"
        began_s = time.monotonic()
        submit(n, stamp)
        while not (stamp.exists() and stamp.read_bytes().endswith(b"\n")):
            if time.monotonic() > began_s + 60:
                raise TimeoutError(f"{stamp.name} does not come")
            time.sleep(0.001)
        if n >= WARM_UP:
            found.append((float(stamp.read_text().split()[0]) - began_s) * 1000)
        time.sleep(PAUSE_S)
    return found
