"""The user units under a real systemd: restarting one of them ends no task.

Everything is done as an ordinary user, by the commands of systemd/README.md as they are written.
"""

from __future__ import annotations

import json
import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from conftest import Engine

pytestmark = [pytest.mark.container, pytest.mark.timeout(1200)]

README = Path(__file__).parents[2] / "systemd/README.md"
BOOT = [
    *("--cap-add", "SYS_ADMIN", "--security-opt", "seccomp=unconfined", "--cgroupns=host"),
    *("--volume", "/sys/fs/cgroup:/sys/fs/cgroup:rw", "--tmpfs", "/run", "--tmpfs", "/run/lock"),
]
LINK = "mkdir -p ~/.local/bin && ln -s ~/.local/share/aispool/venv/bin/aispool ~/.local/bin/"


def wait_for(condition: Callable[[], object], what: str, limit_s: float = 60) -> None:
    deadline = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline, f"after {limit_s} s: {what}"
        time.sleep(0.2)


@dataclass(frozen=True, slots=True)
class Machine:
    """A booted container with an ordinary user in it."""

    engine: Engine
    name: str

    def tries(self, command: str) -> tuple[int, str]:
        """Run a command as the user; its status and output."""
        done = self.engine.docker(
            *("exec", "--user", "somebody", "--workdir", "/aispool", "--env", "USER=somebody"),
            *("--env", "HOME=/home/somebody", "--env", "XDG_RUNTIME_DIR=/run/user/1000"),
            *("--env", "PATH=/home/somebody/.local/bin:/usr/local/bin:/usr/bin:/bin"),
            *(self.name, "bash", "-euc", command),
            check=False,
        )
        return done.returncode, done.stdout + done.stderr

    def does(self, command: str) -> str:
        """Run a command as the user, which must succeed; its output."""
        status, output = self.tries(command)
        assert status == 0, f"{command}: {output[-4000:]}"
        return output


@pytest.fixture(scope="module")
def machine(engine: Engine, systemd_image: str, access: list[str]) -> Iterator[Machine]:
    """A machine on which quickstart was run and the units were installed as README says."""
    name = engine.docker("create", *BOOT, *access, systemd_image, "/sbin/init").stdout.strip()
    made = Machine(engine, name)
    try:
        engine.docker("start", name)
        wait_for(lambda: engine.docker("exec", name, "loginctl", check=False).returncode == 0, "it boots")
        engine.docker("exec", name, "loginctl", "enable-linger", "somebody")
        wait_for(lambda: made.tries("systemctl --user is-system-running")[0] == 0, "the user manager runs")
        made.does("scripts/quickstart")
        made.does(LINK)
        install = re.search(r"## Install.*?```sh\n(.*?)```", README.read_text("utf-8"), re.DOTALL)
        assert install is not None
        made.does(install[1].replace("loginctl enable-linger", ": done above as root:"))
        yield made
    finally:
        engine.docker("rm", "--force", name)


def start_long_task(machine: Machine, name: str, launcher: str = "tmux") -> None:
    """A task that runs until a file lets it go."""
    script = f"until [ -e ~/release-{name} ]; do sleep 0.2; done"
    task = json.dumps({"task_id": name, "tool": "shell", "command": script, "launcher": launcher})
    machine.does(f"echo '{task}' > ~/{name}.json; aispool submit ~/{name}.json")
    wait_for(lambda: "running" in machine.tries(f"aispool show {name}")[1], f"{name} runs")


def state_of(machine: Machine, name: str) -> str:
    """Let the task go and return how it ended, with the number of its attempts."""
    machine.does(f"touch ~/release-{name}; aispool wait --timeout 60 {name}")
    result = json.loads(machine.does(f"cat ~/ai-workspace/results/{name}/result.json"))
    return f"{result['state']} after {len(result['attempts'])}"


def main_pid(machine: Machine, unit: str) -> str:
    return machine.does(f"systemctl --user show --property MainPID --value {unit}").strip()


def test_both_units_are_up_and_say_how_they_are(machine: Machine) -> None:
    """READY reached systemd, and a status line with it."""
    for unit in ("aispool-tmux", "aispool-agent"):
        assert machine.does(f"systemctl --user is-active {unit}").strip() == "active"
    assert machine.does("systemctl --user show --property StatusText --value aispool-agent").strip()


@pytest.mark.parametrize("launcher", ["tmux", "process"])
def test_restarting_the_agent_ends_no_task(machine: Machine, launcher: str) -> None:
    """The next agent adopts what runs, also what is a child of the one before."""
    name = f"over-agent-{launcher}"
    start_long_task(machine, name, launcher)
    before = main_pid(machine, "aispool-agent")
    machine.does("systemctl --user restart aispool-agent")
    assert main_pid(machine, "aispool-agent") != before
    assert state_of(machine, name) == "succeeded after 1"


def test_restarting_the_tmux_server_ends_no_task(machine: Machine) -> None:
    """The wrapper records the end without it, and the next task finds the new server."""
    start_long_task(machine, "over-tmux")
    machine.does("systemctl --user restart aispool-tmux")
    assert state_of(machine, "over-tmux") == "succeeded after 1"
    start_long_task(machine, "after-tmux")
    assert "task-after-tmux" in machine.does("tmux -S ~/ai-workspace/.aispool.tmux list-sessions")
    assert state_of(machine, "after-tmux") == "succeeded after 1"


def test_an_agent_that_is_killed_comes_back(machine: Machine) -> None:
    """Restart=on-failure, and its task runs on."""
    start_long_task(machine, "over-kill")
    before = main_pid(machine, "aispool-agent")
    machine.does(f"kill -KILL {before}")
    wait_for(lambda: main_pid(machine, "aispool-agent") not in {"0", before}, "a new agent")
    assert state_of(machine, "over-kill") == "succeeded after 1"


def test_reload_and_start_agent_reach_the_unit(machine: Machine) -> None:
    """HUP does not end it, and start-agent.sh leaves it alone."""
    before = main_pid(machine, "aispool-agent")
    machine.does("systemctl --user reload aispool-agent")
    assert "agent: running" in machine.does("sh ~/ai-workspace/scripts/start-agent.sh")
    assert main_pid(machine, "aispool-agent") == before


def test_no_task_becomes_root(machine: Machine) -> None:
    """NoNewPrivileges holds for what a task starts."""
    machine.does("aispool submit --tool shell --id flags --command 'grep NoNewPrivs /proc/self/status'")
    machine.does("aispool wait --timeout 60 flags")
    assert machine.does("cat ~/ai-workspace/results/flags/attempts/001/stdout").split() == [
        "NoNewPrivs:",
        "1",
    ]
