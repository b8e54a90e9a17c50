"""The machines of the fleet under test: containers, and what is done to them and to their networks."""

from __future__ import annotations

import json
import shlex
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from subprocess import CompletedProcess

    from container.conftest import Engine

IMAGE = "aispool-fleet"
NEWER = "trixie"
PYTHONS = {"bookworm": ("3.11", ("glibc", "2.36")), NEWER: ("3.13", ("glibc", "2.41"))}
"""By release of Debian its own Python, and the C library that this is built for."""
USER = "somebody"
HOME = "/home/somebody/ai-workspace"
AISPOOL = "/opt/aispool/bin/aispool"
SMALL = "/small/ai-workspace"
"""A workspace on a disk that is easily filled."""


def wait_for(condition: Callable[[], object], what: str, limit_s: float = 60) -> None:
    """Poll until a condition holds; what it gives is not None, not empty, not False."""
    deadline_s = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline_s, f"still not after {limit_s:g} s: {what}"
        time.sleep(0.3)


@dataclass(frozen=True, slots=True)
class Machine:
    """One container.

    Args:
        name: of the service, of the host in the fleet, and on its network.
        container: the engine's name for it.
        workspace: absolute.
    """

    engine: Engine
    name: str
    container: str
    workspace: str

    def tries(self, command: str, *, user: str = USER, given: str = "") -> CompletedProcess[str]:
        """Run a command of bash, whatever its end."""
        home = f"/home/{user}" if user != "root" else "/root"
        return self.engine.docker(
            *(
                "exec",
                "-i",
                "--user",
                user,
                "--workdir",
                home,
                "--env",
                f"HOME={home}",
                "--env",
                f"USER={user}",
            ),
            *("--env", "XDG_RUNTIME_DIR=/run/user/1000", self.container, "bash", "-uc", command),
            check=False,
            given=given,
        )

    def does(self, command: str, *, user: str = USER, given: str = "") -> str:
        """Run a command of bash, which must succeed, and return what it printed."""
        done = self.tries(command, user=user, given=given)
        assert done.returncode == 0, f"{self.name}: {command}\n{done.stdout[-3000:]}{done.stderr[-3000:]}"
        return done.stdout

    def has(self, path: str) -> bool:
        """Tell whether a path below the workspace is there."""
        return self.tries(f"test -e {shlex.quote(f'{self.workspace}/{path}')}").returncode == 0

    def names(self, path: str) -> set[str]:
        """List a folder below the workspace, without dotfiles."""
        return set(self.does(f"ls {shlex.quote(f'{self.workspace}/{path}')}").split())

    def reads(self, path: str) -> str:
        """Read a file below the workspace."""
        return self.does(f"cat {shlex.quote(f'{self.workspace}/{path}')}")

    def result(self, task_id: str) -> dict[str, Any]:
        """Read a result."""
        document: dict[str, Any] = json.loads(self.reads(f"results/{task_id}/result.json"))
        return document

    def ledger(self) -> list[str]:
        """Return what the tasks wrote here, one line for each start."""
        return self.tries("cat ~/ledger").stdout.split()

    # ---------------------------------------------------------------------------------------- deaths

    def kill(self) -> None:
        """Take the power away."""
        self.engine.docker("kill", self.container)

    def start(self) -> None:
        """Give the power back, and wait for sshd."""
        self.engine.docker("start", self.container)
        wait_for(lambda: self.tries("pgrep -x sshd", user="root").returncode == 0, f"sshd of {self.name}")

    # ---------------------------------------------------------------------------------------- networks

    def drops(self) -> None:
        """Lose every packet of ssh, silently."""
        self.does("iptables-legacy -I INPUT -p tcp --dport 22 -j DROP", user="root")
        self.does("iptables-legacy -I OUTPUT -p tcp --sport 22 -j DROP", user="root")

    def resets(self) -> None:
        """Answer every packet of ssh with a reset."""
        rule = "INPUT -p tcp --dport 22 -j REJECT --reject-with tcp-reset"
        self.does(f"iptables-legacy -I {rule}", user="root")

    def heals(self) -> None:
        """Let all packets through."""
        self.does("iptables-legacy -F", user="root")


@dataclass(frozen=True, slots=True)
class FleetUnderTest:
    """A collector and its hosts."""

    collector: Machine
    hosts: dict[str, Machine]
    project: str

    def tries(self, *words: str) -> CompletedProcess[str]:
        """Run a command of the collector's aispool, whatever its end."""
        return self.collector.tries(shlex.join((AISPOOL, "--workspace", self.collector.workspace, *words)))

    @contextmanager
    def beside(self, name: str, *words: str) -> Iterator[Machine]:
        """Run one more machine on the network on which the collector and the one with systemd are.

        Args:
            name: its own.
            words: of `docker create`, from its options to the command.
        """
        engine, container = self.collector.engine, f"{self.project}_{name}_1"
        create = ("create", "--name", container, "--hostname", name, "--network", self._network("s"))
        engine.docker(*create, "--network-alias", name, *words)
        try:
            engine.docker("start", container)
            yield Machine(engine, name, container, HOME)
        finally:
            engine.docker("rm", "--force", container)

    def cut(self, host: str) -> None:
        """Take the network between a host and the collector away."""
        self.collector.engine.docker("network", "disconnect", self._network(host), self.collector.container)

    def mend(self, host: str) -> None:
        """Give the network back."""
        self.collector.engine.docker("network", "connect", self._network(host), self.collector.container)

    def _network(self, host: str) -> str:
        return f"{self.project}_net_{host}"

    def drop(self, host: str, task_id: str, fields: dict[str, Any]) -> None:
        """Drop a task into a mirror, as a person with cp does."""
        path = f"{self.collector.workspace}/fleet/{host}/tasks/{task_id}.json"
        self.collector.does(f"cat > {shlex.quote(path)}", given=json.dumps({"task_id": task_id, **fields}))

    def drop_many(self, host: str, tasks: Iterable[dict[str, Any]]) -> None:
        """Drop many tasks at once."""
        lines = "".join(f"{json.dumps(task)}\n" for task in tasks)
        folder = f"{self.collector.workspace}/fleet/{host}/tasks"
        self.collector.does(
            f'cd {shlex.quote(folder)} && while IFS= read -r line; do id=$(jq -r .task_id <<< "$line"); '
            'printf "%s\\n" "$line" > ".$id.part" && mv ".$id.part" "$id.json"; done',
            given=lines,
        )

    def results(self, host: str) -> set[str]:
        """Return the ids whose results lie in a mirror."""
        return self.collector.names(f"fleet/{host}/results")

    def result(self, host: str, task_id: str) -> dict[str, Any]:
        """Read a result in a mirror."""
        text = self.collector.reads(f"fleet/{host}/results/{task_id}/result.json")
        document: dict[str, Any] = json.loads(text)
        return document

    def state(self, host: str) -> dict[str, Any]:
        """Return what the collector says of a host."""
        document: dict[str, Any] = json.loads(self.collector.reads(f"fleet/{host}/state.json"))
        return document


@dataclass(slots=True)
class Collecting:
    """The collector's process, which is started, stopped and killed."""

    fleet: FleetUnderTest

    def start(self) -> None:
        """Start it in the background, as a service would."""
        place = self.fleet.collector.workspace
        self.fleet.collector.does(
            f"setsid nohup {AISPOOL} --workspace {place} collector --interval 1 "
            f"< /dev/null >> {place}/logs/collector.out 2>&1 & disown"
        )
        wait_for(lambda: self.fleet.collector.has("fleet/any/tasks"), "it has made its folders")

    @property
    def pids(self) -> list[str]:
        """Its process, and no other."""
        return self.fleet.collector.tries("pgrep -f 'aispool --workspace [^ ]* collector'").stdout.split()

    def kill(self) -> None:
        """Kill it, wherever it is."""
        self.fleet.collector.does(f"kill -9 {' '.join(self.pids) or '$$'}")
        wait_for(lambda: not self.pids, "the collector is dead")

    def stop(self) -> None:
        """Ask it to end."""
        for pid in self.pids:
            self.fleet.collector.tries(f"kill -TERM {pid}")
        wait_for(lambda: not self.pids, "the collector has ended")
