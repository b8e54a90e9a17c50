"""The same work done by everybody: N times `true`, at most so many at once; seconds from first to last.

Each begins from nothing: a new workspace, server or queue. What starts and stays (the agent, a server) is
started before the clock is.
"""

from __future__ import annotations

import os
import subprocess
import time
import uuid
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from bench import procs
from bench.arrivals import Arrivals
from bench.lab import LIMIT_S

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from bench.lab import Lab

TRUE = "/bin/true"


def aispool(lab: Lab, number: int, slots: int, launcher: str) -> float:
    """Drop all by one `cp`; until the last result is there."""
    with lab.host(launcher=launcher, slots=slots) as host, Arrivals(host.ws.results) as results:
        staged = host.staged({f"t{n}": lab.task(f"t{n}", TRUE) for n in range(number)})
        host.up()
        began_s = time.monotonic()
        subprocess.run(["cp", "-r", f"{staged}/.", str(host.ws.tasks)], check=True)
        return results.count(number, LIMIT_S) - began_s


class ControlledTmux:
    """A tmux server of its own and one client in control mode: the floor of a session each."""

    def __init__(self, folder: Path, env: Mapping[str, str]) -> None:
        words = [
            "tmux",
            "-S",
            str(folder / "s"),
            "-f",
            os.devnull,
            "-C",
            "new-session",
            "-s",
            "control",
            "--",
        ]
        self._client = subprocess.Popen(
            [*words, "/bin/sleep", "infinity"],
            env=env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        self._answer()

    def ask(self, command: str) -> list[bytes]:
        """Have one command done and return what it printed."""
        assert self._client.stdin is not None
        self._client.stdin.write(f"{command}\n".encode())
        self._client.stdin.flush()
        return self._answer()

    def session(self, name: str, *words: str) -> None:
        """Start a session; two words at least, or a shell would read it."""
        self.ask(f"new-session -d -s {name} -- {' '.join(words)}")

    def _answer(self) -> list[bytes]:
        assert self._client.stdout is not None
        lines: list[bytes] = []
        for line in self._client.stdout:
            if line.startswith(b"%error"):
                raise RuntimeError(f"tmux: {lines}")
            if line.startswith(b"%end"):
                return lines
            if line.startswith(b"%begin"):
                lines = []
            elif not line.startswith(b"%"):
                lines.append(line)
        raise RuntimeError("the tmux server ended")

    def close(self) -> None:
        """End the client; whoever marked the server ends that."""
        assert self._client.stdin is not None
        self._client.stdin.close()
        self._client.wait()


def floor(lab: Lab, number: int, slots: int) -> float:
    """Start a bare tmux session each, as fast as one control-mode client can; until all are over."""
    del slots  # nothing is queued: it is what all others stand on
    with at_peers(lab) as (folder, env):
        tmux = ControlledTmux(folder, env)
        began_s = time.monotonic()
        for n in range(number):
            tmux.session(f"t{n}", TRUE, "x")
        while len(tmux.ask("list-sessions")) > 1:
            time.sleep(0.001)
        took_s = time.monotonic() - began_s
        tmux.close()
        return took_s


def spooler(lab: Lab, number: int, slots: int) -> float:
    """Submit all to task-spooler, which keeps their output in files, as it does unless told otherwise."""
    with at_peers(lab) as (folder, env), spooler_server(folder, env, slots) as env_of_server:
        began_s = time.monotonic()
        _shell(f"i=0; while [ $i -lt {number} ]; do tsp {TRUE}; i=$((i + 1)); done >/dev/null", env_of_server)
        # in order of submission: when the last of each slot is over, all are
        last = range(max(number - slots, 0), number)
        _shell("; ".join(f"tsp -w {n}" for n in last), env_of_server)
        return time.monotonic() - began_s


@contextmanager
def spooler_server(
    folder: Path, env: Mapping[str, str], slots: int, most: int = 1000
) -> Iterator[dict[str, str]]:
    """Start the server of task-spooler and give the environment in which it is found."""
    found = dict(env) | {
        "TS_SOCKET": str(folder / "tsp"),
        "TS_SLOTS": str(slots),
        "TS_MAXCONN": str(most + 100),
    }
    _shell(f"ulimit -n $(ulimit -H -n); tsp -S {slots}", found)
    yield found


def nq(lab: Lab, number: int, slots: int) -> float:
    """Submit to as many queues of nq as there are slots: each of them runs one after the other."""
    with at_peers(lab) as (folder, env):
        queues = [f"{folder}/q{n}" for n in range(slots)]
        loops = [
            f"i={n}; while [ $i -lt {number} ]; do NQDIR={queue} nq -q {TRUE}; i=$((i + {slots})); done"
            for n, queue in enumerate(queues)
        ]
        began_s = time.monotonic()
        _shell("; ".join([*loops, *(f"NQDIR={queue} nq -w" for queue in queues)]), env)
        return time.monotonic() - began_s


def parallel(lab: Lab, number: int, slots: int, *options: str) -> float:
    """Let GNU parallel run them."""
    with at_peers(lab) as (_, env):
        began_s = time.monotonic()
        _shell(
            f"seq {number} | parallel --will-cite -j{slots} {' '.join(options)} {TRUE} {{}} >/dev/null", env
        )
        return time.monotonic() - began_s


def xargs(lab: Lab, number: int, slots: int) -> float:
    """Run them by xargs, which keeps nothing."""
    with at_peers(lab) as (_, env):
        began_s = time.monotonic()
        _shell(f"seq {number} | xargs -n 1 -P {slots} {TRUE}", env)
        return time.monotonic() - began_s


CONTENDERS: dict[str, Callable[[Lab, int, int], float]] = {
    "floor": floor,
    "aispool, tmux": lambda lab, number, slots: aispool(lab, number, slots, "tmux"),
    "aispool, process": lambda lab, number, slots: aispool(lab, number, slots, "process"),
    "task-spooler": spooler,
    "nq": nq,
    "GNU parallel": parallel,
    "parallel --tmux": lambda lab, number, slots: parallel(lab, number, slots, "--tmux"),
    "xargs": xargs,
}


@contextmanager
def at_peers(lab: Lab) -> Iterator[tuple[Path, dict[str, str]]]:
    """Make a place for one peer; at the end nothing that it started is left."""
    mark = f"{uuid.uuid4()}"
    with lab.place() as folder:
        kept: dict[str, Any] = {
            n: v for n, v in os.environ.items() if not n.startswith(("TS_", "NQ", "TMUX"))
        }
        try:
            yield folder, kept | {"TMPDIR": str(folder), "HOME": str(folder), procs.MARK: mark}
        finally:
            procs.end(mark)


def _shell(script: str, env: Mapping[str, str]) -> None:
    subprocess.run(
        ["/bin/sh", "-c", script],
        env=dict(env),
        check=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
