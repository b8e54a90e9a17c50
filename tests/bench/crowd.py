"""What much of everything does to it: files waiting, results lying there, and thousands of drops at once."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from contextlib import suppress
from statistics import median
from typing import TYPE_CHECKING

from bench import procs
from bench.arrivals import Arrivals
from bench.figures import TIMES, Figure, ratios
from bench.lab import LIMIT_S
from bench.speed import PAUSE_S, TRIES, median_and_p95, tries
from bench.standing import watched

from agent.config import AgentConfig
from agent.host.reruns import SLICE

if TYPE_CHECKING:
    from bench.lab import Host, Lab

CROWD = 100_000
BURST = 20_000
STREAM = 500
ROUNDS = 3
LATER = "2999-01-01T00:00:00Z"


def backlog(lab: Lab) -> list[Figure]:
    """Compare an agent that begins with 100,000 files waiting with one whose folder is empty."""
    number, some = lab.number(CROWD, 2000), lab.number(TRIES, 3)
    first, resident, reading, known, delay, overtaken = [], [], [], [], [], []
    for _ in range(min(lab.rounds, ROUNDS)):
        with lab.host(slots=1, scan_interval_s=1.0) as host:  # so often it says how many wait
            (reading_s, known_s), mib, launch_s, urgent = _runnable(host, number, some)
        with lab.host(slots=1) as host:
            host.up()
            empty = stream(host, lab.number(STREAM, 20))
            empty_ms, _told = tries(host, some)
        with lab.host(slots=1) as host:
            _lay(host, number, not_before=LATER)
            host.up()
            _wait_for_waiting(host, number, LIMIT_S)
            full_ms, _told = tries(host, some)
            resident += [mib, procs.resident_mib(host.pid)]
        first.append(launch_s)
        overtaken += urgent
        reading.append(reading_s / empty)
        known.append(known_s / empty)
        delay.append(median(full_ms) / median(empty_ms))
    what = f"{number:,} files waiting"
    per_task = "time of a task ÷ that in an empty folder, one slot"
    return [
        Figure(f"{what}: agent's start → first command running", "s", tuple(first), 3),
        Figure(f"{what}: resident", "MiB", tuple(resident), 60),
        Figure(f"{what}: {per_task}", TIMES, tuple(known), 1.1),
        Figure(f"{what}, while they are read: {per_task}", TIMES, tuple(reading), 1.1),
        Figure(f"{what} (for a time to come): latency ÷ that in an empty folder", TIMES, tuple(delay), 1.1),
        *median_and_p95(f"{what}, one slot: critical drop → running", overtaken, (50, None)),
    ]


def _wait_for_waiting(host: Host, number: int, limit_s: float) -> None:
    """Wait until the agent says that so many tasks wait."""
    host.wait(lambda: host.beat().get("waiting") == number, f"{number} are known", limit_s)


def _runnable(host: Host, number: int, some: int) -> tuple[tuple[float, float], float, float, list[float]]:
    """Return what it does with tasks that may all start.

    Returns:
        Seconds a task while the files are read and when all are known, MiB, seconds to the first command, and
        milliseconds until a critical drop runs.
    """
    stamp = host.folder / "backlog.stamp"
    _lay(host, number, "stamp", str(stamp))
    with Arrivals(host.ws.results) as results:
        began_s = host.start()
        launch_s = min(first for first, _ in host.stamps(stamp)) - began_s
        skipped, counted = (host.lab.number(n, 20) for n in (STREAM // 5, STREAM))
        from_s = results.count(skipped, LIMIT_S)
        reading_s = (results.count(skipped + counted, LIMIT_S) - from_s) / counted
        urgent = []
        for n in range(some):
            name = f"u{n}"
            mark = host.folder / f"{name}.stamp"
            words = (str(host.lab.probe), "stamp", str(mark))
            dropped_s = host.drop(name, host.lab.task(name, *words, priority="critical"))
            [(first_s, _)] = host.stamps(mark)
            urgent.append((first_s - dropped_s) * 1000)
            time.sleep(PAUSE_S)
    host.wait(lambda: _is_all_known(host, number), "all are known")
    mib = procs.resident_mib(host.pid)
    with Arrivals(host.ws.results) as results:
        from_s = results.count(1, LIMIT_S)
        known_s = (results.count(1 + counted, LIMIT_S) - from_s) / counted
    return (reading_s, known_s), mib, launch_s, urgent


def _is_all_known(host: Host, number: int) -> bool:
    """Tell whether what waits by the agent's last word, and what is over, is all that was laid."""
    return host.beat()["waiting"] + len(os.listdir(host.ws.results)) >= number


def _lay(host: Host, number: int, *words: str, **more: str) -> None:
    """Put tasks into the drop folder of an agent that does not run."""
    words = (str(host.lab.probe), *(words or ("stamp", "/dev/null")))
    for n in range(number):
        content = host.lab.task(f"t{n}", *words, priority="low", **more)
        (host.ws.tasks / f"t{n}.json").write_bytes(content)


def stream(host: Host, number: int) -> float:
    """Drop tasks at once and return the seconds of one, the first fifth left out."""
    stamp = host.folder / "stream.stamp"
    staged = host.staged(
        {f"s{n}": host.lab.task(f"s{n}", str(host.lab.probe), "stamp", str(stamp)) for n in range(number)}
    )
    with Arrivals(host.ws.results) as results:
        subprocess.run(["cp", "-r", f"{staged}/.", str(host.ws.tasks)], check=True)
        from_s = results.count(number // 5, LIMIT_S)
        took_s = results.count(number, LIMIT_S) - from_s
    shutil.rmtree(staged)
    return took_s / (number - number // 5)


def past(lab: Lab) -> list[Figure]:
    """Compare a workspace in which 100,000 results lie with an empty one."""
    number, some = lab.number(CROWD, 50), lab.number(TRIES, 3)
    numbers: dict[str, dict[str, list[float]]] = {}
    listed, shown = [], []
    with lab.host(slots=4) as full, lab.host(slots=4) as empty:
        for name, host in (("full", full), ("empty", empty)):
            host.up()
            tries(host, 1, "seed")
            numbers[name] = {"running": [], "told": [], "task": [], "core": [], "resident": []}
        _multiply(full, "seed0", number)
        laid_s = time.monotonic()
        for turn in range(min(lab.rounds, ROUNDS)):
            for name, host in (("full", full), ("empty", empty)):
                found = numbers[name]
                running, told = tries(host, some, f"l{turn}-")
                found["running"].append(median(running))
                found["told"].append(median(told))
                found["task"].append(_stream_of(host, turn))
                found["core"].append(watched(host, lab.seconds(20))[0] * 100)
                found["resident"].append(procs.resident_mib(host.pid))
            listed.append(seconds(full, "ls"))
            shown.append(seconds(full, "show", f"r{number // 2}"))
        # its scans look at a thousand results each; from then on it has been at all of them
        time.sleep(max(laid_s + (number / SLICE + 2) * AgentConfig().scan_interval_s - time.monotonic(), 0))
        calm = [watched(full, lab.seconds(20))[0] * 100 for _ in range(min(lab.rounds, ROUNDS))]
    what = f"{number:,} results"
    core = numbers["full"]["core"]
    ratio_of = {
        "running": "drop → running",
        "told": "exit → result",
        "task": "time of a task, four slots",
    }
    return [
        *(
            Figure(
                f"{what}: {words} ÷ that without them",
                TIMES,
                ratios(numbers["full"][key], numbers["empty"][key]),
                1.1,
            )
            for key, words in ratio_of.items()
        ),
        Figure(f"{what}: idle agent's share of a core", "%", tuple(calm), 0.1),
        Figure(f"{what}: the same while it looks at each for the first time", "%", tuple(core), 0.1),
        Figure(f"{what}: resident", "MiB", tuple(numbers["full"]["resident"]), 35),
        Figure(f"{what}: aispool ls", "s", tuple(listed), 1.5),
        Figure(f"{what}: aispool show ID", "s", tuple(shown), 0.15),
    ]


def _stream_of(host: Host, turn: int) -> float:
    """Stream with names of this turn: ids are used once."""
    number = host.lab.number(STREAM, 20)
    names = [f"s{turn}-{n}" for n in range(number)]
    staged = host.staged({name: host.lab.task(name, "/bin/true") for name in names})
    with Arrivals(host.ws.results) as results:
        began_s = time.monotonic()
        subprocess.run(["cp", "-r", f"{staged}/.", str(host.ws.tasks)], check=True)
        return (results.count(number, LIMIT_S) - began_s) / number


def _multiply(host: Host, model: str, number: int) -> None:
    """Copy a result under other ids, complete but for the attempt's smaller files."""
    source = host.ws.results / model
    result = json.loads((source / "result.json").read_text())
    task = json.loads((source / "task.json").read_text())
    for n in range(number):
        part = host.ws.results / f".r{n}"
        attempt = part / "attempts/001"
        attempt.mkdir(parents=True)
        for name, document in (("result.json", result), ("task.json", task)):
            (part / name).write_text(json.dumps(document | {"task_id": f"r{n}"}))
        shutil.copyfile(source / "attempts/001/exit", attempt / "exit")
        part.rename(host.ws.results / f"r{n}")


def burst(lab: Lab) -> list[Figure]:
    """Rename 20,000 tasks into the drop folder as fast as can be, behind one that sleeps."""
    number = lab.number(BURST, 100)
    dropped, accepted, lost = [], [], []
    for _ in range(min(lab.rounds, ROUNDS)):
        with lab.host(slots=1, scan_interval_s=1.0) as host:  # so often it says how many wait
            host.up()
            host.drop("first", lab.task("first", "/bin/sleep", "infinity"))
            host.wait((host.ws.sessions / "first/attempts/001/started").exists, "the first one runs")
            staged = host.staged({f"t{n}": lab.task(f"t{n}", "/bin/true") for n in range(number)})
            names = [f"t{n}.json" for n in range(number)]
            began_s = time.monotonic()
            for name in names:
                os.rename(staged / name, host.ws.tasks / name)  # noqa: PTH104 - a Path each costs as much again
            dropped.append(time.monotonic() - began_s)
            with suppress(TimeoutError):  # then some are told as lost
                _wait_for_waiting(host, number, 300)
            accepted.append(time.monotonic() - began_s)
            lost.append(float(number - host.beat()["waiting"]))
    what = f"burst of {number:,} drops"
    return [
        Figure(f"{what}: the drops themselves", "s", tuple(dropped)),
        Figure(f"{what}: until all are accepted (seen once a second)", "s", tuple(accepted), 20),
        Figure(f"{what}: lost", "", tuple(lost), 0),
    ]


def seconds(host: Host, *words: str) -> float:
    """Return what one call of the command line takes, as a process."""
    began_s = time.monotonic()
    subprocess.run(host.command(*words), env=host.env, check=True, stdout=subprocess.DEVNULL)
    return time.monotonic() - began_s
