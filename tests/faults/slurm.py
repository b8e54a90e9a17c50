"""Group 12: what talks to Slurm, and Slurm itself, is killed; on a real cluster of this machine.

One task runs to its end, another is cancelled while it runs. The agent is killed before and after each of its
calls around Slurm: submission, adoption, settling, cancellation. Then parts of the cluster die, at the
moments when that hurts: the controller as soon as sbatch has returned, with and without what it had saved;
the daemon of the node that runs the job, with and without the job; the job's wrapper; its tool. What died is
started again, as its service manager would.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import shutil
import signal
from functools import cache
from typing import TYPE_CHECKING, Any

import slurm_cluster
from faults import checker, steps
from faults.points import point_of
from faults.scenarios import script
from faults.world import World

if TYPE_CHECKING:
    from pathlib import Path

TRACE = {"group": "slurm", "scenario": "slurm", "faults": [["agent", 1, -1, "trace"]]}
FAULTS = ("kill-before", "kill-after")
CONTROLLER = ("controller", "controller forgets")
VICTIMS = (*CONTROLLER, "node", "node and job", "wrapper", "tool")
WITHIN = "agent/launchers/slurm/"
STATES = ("succeeded", "lost")
LIMIT_S = 60.0
AGENT_S = 90.0
RECOVERIES = 4
SBATCH = """\
#!/bin/sh
/usr/bin/sbatch "$@"
code=$?
[ -e "{base}/killed" ] || {{ : > "{base}/killed"; kill -9 {pid}; }}
exit $code
"""
"""Returns as sbatch did, when the controller is dead already."""


def missing() -> str | None:
    """Say what is not installed."""
    lacking = slurm_cluster.missing()
    return f"{', '.join(lacking)} are not installed: install slurm-wlm and munge" if lacking else None


def cases(traces: dict[str, list[list[str]]], _seed: int) -> list[dict[str, Any]]:
    """Kill the agent at each call around Slurm; kill each part, whether the task may run again or not."""
    often = steps.Often(1)
    trace = [row for row in traces["slurm"] if row[0] == "agent"]
    found = []
    for fault in FAULTS:
        inside = {" ".join(point_of(row)[:3]) for row in trace if WITHIN in row[6]}
        calls = [call for call in steps.counts(trace, fault).get("agent", []) if call[1] in inside]
        found += [{"faults": [["agent", n, 1, fault]]} for n in often.thinned("agent", fault, calls)]
    for victim in VICTIMS:
        found += [{"victim": victim, "idempotent": idempotent} for idempotent in (False, True)]
    return [{"group": "slurm", "scenario": "slurm"} | case for case in found]


def play(base: Path, case: dict[str, Any]) -> dict[str, Any]:
    """Play one case."""
    cluster = _cluster(base)
    world = World.fresh(base)
    world.more_environment = {"SLURM_CONF": str(cluster.conf)}
    options = world.root / "configs" / "agent.toml"
    options.write_text(options.read_text() + 'launcher = "slurm"\n')
    world.faults(case.get("faults", []))
    idempotent = case.get("idempotent", False)
    more = {"idempotent": idempotent, "retry_policy": {"max_retries": 2, "backoff": "none", "on": ["lost"]}}
    victim = case.get("victim")
    try:
        states = (*STATES, "failed") if victim == "tool" else STATES
        rest = "sleep 1" if victim else "echo done"
        world.drop("ends", script(rest, task_id="ends", **more), states=states, idempotent=idempotent)
        if victim is None:
            cancelled = ("cancelled", "lost", "succeeded")
            world.drop("long", script("sleep 20", task_id="long"), states=cancelled)
        if victim in CONTROLLER:
            _kill_at_sbatch(world, cluster)
        pid, output = world.start("agent", "agent", "--name", "A", "--slots", "2", "--drain")
        points = [("cluster", "run", f"{victim} killed", "SIGKILL")] if victim else []
        if victim is None:
            world.until(lambda: _ran(world, "long") or not _alive(pid), LIMIT_S)
            world.run("nobody", "cancel", "long")
        else:
            _kill(world, cluster, victim)
        world.wait(pid, output, AGENT_S)
        recoveries = _recover(world)
        found = [] if recoveries == 0 else [f"I5: recovery ended {recoveries}"]
        if not world.until(lambda: _is_empty(cluster), LIMIT_S):
            found.append(f"a job is left: {cluster.run('squeue', '-h')}")
        found += world.findings()
        return {
            "injected": world.injected(),
            "extra": points,
            "violations": sorted(set(found)),
            "tail": world.tail() if found else "",
        }
    finally:
        cluster.run("scancel", "--me")
        world.end()


def _is_empty(cluster: slurm_cluster.Cluster) -> bool:
    """Tell whether no job is left; one that Slurm starts again in two minutes is to start now."""
    jobs = [line.split() for line in cluster.run("squeue", "-h", "-o", "%i %r").splitlines()]
    for number, reason, *_ in jobs:
        if reason == "BeginTime":
            cluster.run("scontrol", "update", f"JobId={number}", "StartTime=now")
    return not jobs


def _recover(world: World) -> int:
    code = -1
    for number in range(RECOVERIES):
        command = ("agent", "--name", "A", "--slots", "2", "--drain")
        code = world.run(f"recovery{number + 1}", *command, patience_s=AGENT_S).code
        if code == 0:
            break
    return code


def _kill_at_sbatch(world: World, cluster: slurm_cluster.Cluster) -> None:
    program = world.base / "bin" / "sbatch"
    program.parent.mkdir()
    program.write_text(SBATCH.format(base=world.base, pid=cluster.pid("slurmctld")))
    program.chmod(0o755)


def _kill(world: World, cluster: slurm_cluster.Cluster, victim: str) -> None:
    """Kill a part when its moment has come, and start what a service manager would."""
    if victim in CONTROLLER:
        world.until((world.base / "killed").exists, LIMIT_S)
        cluster.stop_controller(signal.SIGKILL)
        if victim == "controller forgets":
            for saved in (cluster.folder / "state").glob("job_state*"):
                saved.unlink()
        cluster.start_controller()
        return
    world.until(lambda: _ran(world, "ends"), LIMIT_S)
    processes = checker.processes_of(world.base).items()
    if victim.startswith("node"):
        node = cluster.run("squeue", "-h", "-o", "%N").strip() or cluster.nodes[0]
        cluster.stop_node(node, signal.SIGKILL)
        if victim == "node and job":
            _end([pid for pid, line in processes if checker.part_of(line) == "wrapper" or "slurm" in line])
            _end([line.pid for line in checker.read_ledger(world.ledger)])
        cluster.start_node(node)
    elif victim == "wrapper":
        _end([pid for pid, line in processes if checker.part_of(line) == "wrapper"])
    else:
        _end([line.pid for line in checker.read_ledger(world.ledger)])


def _end(pids: list[int]) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _ran(world: World, task_id: str) -> bool:
    return any(line.task_id == task_id for line in checker.read_ledger(world.ledger))


def _alive(pid: int) -> bool:
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None


@cache
def _cluster(base: Path) -> slurm_cluster.Cluster:
    """Start the cluster of this worker; it ends with it."""
    folder = base.with_name(f"{base.name}.slurm")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700, parents=True)
    cluster = slurm_cluster.Cluster(folder)
    cluster.start()
    atexit.register(cluster.stop)
    return cluster
