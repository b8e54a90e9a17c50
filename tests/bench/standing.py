"""What it costs to be there: idle, with tasks waiting, and with sessions that print a lot."""

from __future__ import annotations

import subprocess
import time
from collections import defaultdict
from typing import TYPE_CHECKING

from bench import procs
from bench.contenders import at_peers, spooler_server
from bench.figures import Figure

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.lab import Host, Lab

SETTLED_S = 5.0
WAITING = 1000
SPOOLER_HOLDS = 950
"""More clients than 1,000 its server lets wait for each other; each waiting task is one."""
SESSIONS = 50
BYTES_PER_S = 1_000_000


def idle(lab: Lab) -> list[Figure]:
    """Watch an agent with nothing to do; once with its scans, once without, for what else wakes it."""
    core, resident, wakeups, processes, together = [], [], [], [], []
    for _ in range(lab.rounds):
        with lab.host() as host:
            host.up()
            share, _rate = watched(host, lab.seconds(30))
            core.append(share * 100)
            resident.append(procs.resident_mib(host.pid))
            all_of_it = procs.marked(host.mark)
            processes.append(float(len(all_of_it)))
            together.append(procs.proportional_mib(all_of_it))
        with lab.host(scan_interval_s=86_400.0) as host:
            host.up()
            _share, rate = watched(host, lab.seconds(30))
            wakeups.append(rate)
    return [
        Figure("idle agent, empty workspace: share of a core", "%", tuple(core), 0.1),
        Figure("idle agent: resident", "MiB", tuple(resident), 35),
        Figure("idle agent: wake-ups a second beyond the safety scan", "/s", tuple(wakeups), 0),
        Figure("idle agent: its processes, tmux and helpers included", "", tuple(processes)),
        Figure("idle agent: memory of all of them, what is shared counted once", "MiB", tuple(together)),
    ]


def watched(host: Host, for_s: float) -> tuple[float, float]:
    """Let an agent settle, then return its share of a core and its wake-ups a second."""
    time.sleep(SETTLED_S)
    before = procs.usage([host.pid])
    time.sleep(for_s)
    return procs.usage([host.pid]).since(before)


def waiting(lab: Lab) -> list[Figure]:
    """Have 1,000 tasks wait behind one that sleeps; what each queue then has more than before."""
    number = lab.number(WAITING, 10)
    contenders: dict[str, tuple[Callable[[Lab, int], tuple[float, float]], int]] = {
        "aispool": (_waiting_here, number),
        "task-spooler": (_waiting_in_spooler, min(number, SPOOLER_HOLDS)),
        "nq": (_waiting_in_nq, number),
    }
    processes: dict[str, list[float]] = defaultdict(list)
    memory: dict[str, list[float]] = defaultdict(list)
    for _ in range(lab.rounds):
        for name, (measure, its_number) in contenders.items():
            more, mib = measure(lab, its_number)
            processes[name].append(more)
            memory[name].append(mib)
    figures = []
    for name, (_, its_number) in contenders.items():
        goals = (0, 1.0) if name == "aispool" else (None, None)
        what = f"{its_number:,} tasks waiting: {name}"
        figures += [
            Figure(f"{what}, more processes", "", tuple(processes[name]), goals[0]),
            Figure(f"{what}, more memory", "MiB", tuple(memory[name]), goals[1]),
        ]
    return figures


def _waiting_here(lab: Lab, number: int) -> tuple[float, float]:
    with lab.host(slots=1) as host:
        host.up()
        host.drop("first", lab.task("first", "/bin/sleep", "infinity"))
        host.wait((host.ws.sessions / "first/attempts/001/started").exists, "the first one runs")
        time.sleep(SETTLED_S)
        before = _cost(host.mark)
        for n in range(number):
            host.drop(f"t{n}", lab.task(f"t{n}", "/bin/true"))
        host.wait(lambda: len(list(host.ws.tasks.glob("*.why"))) == number, "all wait")
        time.sleep(SETTLED_S)
        return _more(before, _cost(host.mark))


def _waiting_in_spooler(lab: Lab, number: int) -> tuple[float, float]:
    with at_peers(lab) as (folder, env), spooler_server(folder, env, 1, number) as its:
        subprocess.run(["tsp", "/bin/sleep", "infinity"], env=its, check=True, stdout=subprocess.DEVNULL)
        before = _cost(env[procs.MARK])
        for _ in range(number):
            subprocess.run(["tsp", "/bin/true"], env=its, check=True, stdout=subprocess.DEVNULL)
        return _more(before, _cost(env[procs.MARK]))


def _waiting_in_nq(lab: Lab, number: int) -> tuple[float, float]:
    with at_peers(lab) as (folder, env):
        its = env | {"NQDIR": str(folder / "q")}
        subprocess.run(["nq", "-q", "/bin/sleep", "infinity"], env=its, check=True)
        before = _cost(env[procs.MARK])
        for _ in range(number):
            subprocess.run(["nq", "-q", "/bin/true"], env=its, check=True)
        return _more(before, _cost(env[procs.MARK]))


def _cost(mark: str) -> tuple[int, float]:
    pids = procs.marked(mark)
    return len(pids), procs.proportional_mib(pids)


def _more(before: tuple[int, float], after: tuple[int, float]) -> tuple[float, float]:
    return float(after[0] - before[0]), after[1] - before[1]


def _wait_for_started(host: Host, number: int) -> None:
    """Wait until so many tasks run."""
    host.wait(lambda: len(list(host.ws.sessions.glob("*/attempts/001/started"))) == number, "all run")


def logging(lab: Lab) -> list[Figure]:
    """Have 50 sessions print 1 MB/s each, and watch the agent meanwhile."""
    number, for_s = lab.number(SESSIONS, 2), lab.seconds(60)
    ours, all_of_it = [], []
    for _ in range(min(lab.rounds, 3)):
        with lab.host(slots=number) as host:
            host.up()
            words = ("write", f"{for_s * 2 + 60:g}", str(BYTES_PER_S))
            for n in range(number):
                host.drop(f"w{n}", lab.task(f"w{n}", str(lab.probe), *words))
            _wait_for_started(host, number)
            time.sleep(SETTLED_S)
            pids = procs.marked(host.mark)
            before, before_all = procs.usage([host.pid]), procs.usage(pids)
            time.sleep(for_s)
            ours.append(procs.usage([host.pid]).since(before)[0] * 100)
            all_of_it.append(procs.usage(pids).since(before_all)[0] * 100)
    what = f"{number} sessions logging 1 MB/s each"
    return [
        Figure(f"{what}: agent's share of a core", "%", tuple(ours), 2),
        Figure(f"{what}: of agent, wrappers, tools and tmux", "%", tuple(all_of_it)),
    ]
