"""Measures what a burst of tasks costs the login node; scripts/bench-slurm says how it is called."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from bench.machine import in_words
from slurm_cluster import Cluster, wait_for

from spool.workspace import create

ROOT = Path(__file__).resolve().parents[1]
COMMANDS = ("sbatch", "squeue", "scancel", "sinfo", "srun")
LIMIT_S = 3600.0


class Watch(threading.Thread):
    """Looks at the agent ten times a second: its memory, and the processes below it."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.pid = pid
        self.most_kib = 0
        self.most_children = 0
        self.over = threading.Event()

    def run(self) -> None:
        """Look until it is over."""
        while not self.over.wait(0.1):
            try:
                status = Path(f"/proc/{self.pid}/status").read_text()
                children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
            except OSError:
                return
            self.most_kib = max(self.most_kib, int(status.split("VmRSS:")[1].split()[0]))
            self.most_children = max(self.most_children, len(children))


def counted_commands(folder: Path) -> Path:
    """Put programs first on PATH that note each call of Slurm's."""
    for name in COMMANDS:
        program = folder / "bin" / name
        program.parent.mkdir(exist_ok=True)
        program.write_text(f'#!/bin/sh\necho {name} >>"{folder}/calls"\nexec {shutil.which(name)} "$@"\n')
        program.chmod(0o755)
    return folder / "bin"


def calls(folder: Path) -> dict[str, int]:
    """Return how often each command was called."""
    said = (folder / "calls").read_text().split() if (folder / "calls").exists() else []
    return {name: said.count(name) for name in COMMANDS if name in said}


def measure(folder: Path, cluster: Cluster, tasks: int, *, run: bool) -> dict[str, object]:
    """Drop the tasks, wait until Slurm has them all, or until all have results, and return the figures."""
    ws = create(folder / "ws")
    (ws.configs / "agent.toml").write_text(
        f'launcher = "slurm"\nallowed_paths = ["{folder}"]\nreserve_bytes = 0\n[slurm]\nmax_jobs = {tasks}\n'
    )
    for number in range(tasks):
        task = {"task_id": f"t{number}", "tool": "shell", "command": "true"}
        (ws.tasks / f"t{number}.json").write_text(json.dumps(task))
    if not run:
        for node in cluster.nodes:
            cluster.run("scontrol", "update", f"NodeName={node}", "State=DRAIN", "Reason=bench")
    env = os.environ | {
        "PATH": f"{counted_commands(folder)}:{os.environ['PATH']}",
        "SLURM_CONF": str(cluster.conf),
    }
    command = [sys.executable, "-m", "agent", "--workspace", str(ws.root), "agent", "--name", "bench"]
    began_s = time.monotonic()
    with (
        (folder / "agent.out").open("wb") as out,
        subprocess.Popen(command, env=env, cwd=ROOT, stdout=out, stderr=out) as agent,
    ):
        watch = Watch(agent.pid)
        watch.start()
        try:
            if run:
                wait_for(
                    lambda: sum(1 for n in os.listdir(ws.results) if n[0] == "t") == tasks,
                    "all are over",
                    LIMIT_S,
                )
            else:
                wait_for(
                    lambda: len(cluster.run("squeue", "-h", "-r", "-o", "%i").split()) >= tasks,
                    "Slurm has all",
                    LIMIT_S,
                )
            took_s = time.monotonic() - began_s
        finally:
            watch.over.set()
            watch.join()
            agent.send_signal(signal.SIGTERM)
    return {
        "tasks": tasks,
        "what": "dropped until all results were there" if run else "dropped until Slurm had all of them",
        "took_s": round(took_s, 1),
        "calls": calls(folder),
        "agent_resident_mib": round(watch.most_kib / 1024, 1),
        "most_processes_below_the_agent": watch.most_children,
        "machine": in_words(),
        "load": [round(load, 1) for load in os.getloadavg()],
    }


def main() -> int:
    """Measure once and print the figures as JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tasks", type=int, default=10_000)
    parser.add_argument("--run", action="store_true", help="let them run, and wait for all results")
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="bench-slurm-"))
    (folder / "cluster").mkdir()
    cluster = Cluster(folder / "cluster")
    try:
        cluster.start()
        figures = measure(folder, cluster, arguments.tasks, run=arguments.run)
    finally:
        cluster.stop()
        shutil.rmtree(folder, ignore_errors=True)
    print(json.dumps(figures, indent=2))  # noqa: T201 - that is what it is for
    return 0


if __name__ == "__main__":
    sys.exit(main())
