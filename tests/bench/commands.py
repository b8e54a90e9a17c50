"""What a person waits for: submitting, and the command line itself."""

from __future__ import annotations

import subprocess
import time
from typing import TYPE_CHECKING

from bench.crowd import seconds
from bench.figures import Figure
from bench.lab import ROOT

if TYPE_CHECKING:
    from bench.lab import Lab

CALLS = 20
FILES = 1000


def submit(lab: Lab) -> list[Figure]:
    """Submit one task by each of two commands, and 1,000 files by one."""
    one, dropped, many = [], [], []
    files = lab.number(FILES, 10)
    for _ in range(lab.rounds):
        with lab.host() as host:
            task = host.folder / "task.json"
            task.write_bytes(b'{"tool": "shell", "command": "true"}')
            script = [str(ROOT / "scripts/drop-task.sh"), str(task)]
            env = host.env | {"AISPOOL_WORKSPACE": str(host.ws.root)}
            for _ in range(lab.number(CALLS, 2)):
                one.append(seconds(host, "submit", "--tool", "shell", "--command", "true") * 1000)
                began_s = time.monotonic()
                subprocess.run(script, env=env, check=True, stdout=subprocess.DEVNULL)
                dropped.append((time.monotonic() - began_s) * 1000)
            staged = host.staged({f"t{n}": lab.task(f"t{n}", "/bin/true") for n in range(files)})
            many.append(seconds(host, "submit", *(str(path) for path in staged.iterdir())))
    return [
        Figure("aispool submit, one task", "ms", tuple(one), 120),
        Figure("drop-task.sh, one task", "ms", tuple(dropped), 8),
        Figure(f"aispool submit of {files:,} files", "s", tuple(many), 0.5),
    ]


def cli(lab: Lab) -> list[Figure]:
    """Call `--help`, and `ls` on a workspace with a few tasks."""
    helped, listed = [], []
    for _ in range(lab.rounds):
        with lab.host() as host:
            for n in range(3):
                host.drop(f"t{n}", lab.task(f"t{n}", "/bin/true"))
            for _ in range(lab.number(CALLS, 2)):
                helped.append(seconds(host, "--help") * 1000)
                listed.append(seconds(host, "ls") * 1000)
    return [
        Figure("aispool --help", "ms", tuple(helped), 150),
        Figure("aispool ls, three tasks", "ms", tuple(listed), 150),
    ]
