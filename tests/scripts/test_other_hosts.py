"""connect-ai-host.sh and auto-reconnect.sh against a real sshd, on this machine."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

from sshd import SYSTEM_PATH

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from conftest import Host, Shell

SCRIPTS = Path(__file__).parents[2] / "scripts"


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A host that accepts connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


@pytest.fixture
def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


@pytest.fixture
def there(shell: Shell, host: Host) -> dict[str, str]:
    """The environment that reaches the other host and its workspace."""
    return {"AISPOOL_SSH_CONFIG": str(host.config), "AISPOOL_REMOTE_WORKSPACE": str(shell.workspace)}


@pytest.mark.usefixtures("stand_in_agent")
class TestConnect:
    def test_task_agent_and_session(
        self, shell: Shell, host: Host, there: dict[str, str], tmp_path: Path
    ) -> None:
        """One command: the agent runs, the task is dropped, and a session waits with its name printed."""
        task = tmp_path / "nightly run.json"
        task.write_text('{"tool": "shell", "command": "true"}')
        done = shell.run("connect-ai-host.sh", host.name, "qwen", task, **there)
        assert done.returncode == 0, done.stderr
        assert "agent: running" in done.stdout
        assert (shell.workspace / "tasks/nightly_run.json").read_bytes() == task.read_bytes()
        found = re.search(r"^ai-work-\d{8}-\d{6}$", done.stdout, re.MULTILINE)
        assert found is not None
        assert found[0] in shell.tmux("list-sessions", "-F", "#{session_name}").splitlines()
        assert (shell.workspace / "logs/qwen-nightly_run.log").exists()

    def test_it_lists_what_runs_there(self, shell: Shell, host: Host, there: dict[str, str]) -> None:
        """Sessions that lived through a lost connection are shown when it is back."""
        session = shell.run("init-ai-session.sh", "qwen", "t-1").stdout.splitlines()[0]
        done = shell.run("connect-ai-host.sh", host.name, **there)
        assert done.returncode == 0
        assert session in done.stdout

    def test_a_host_without_a_workspace_is_not_tried_again(
        self, shell: Shell, host: Host, tmp_path: Path
    ) -> None:
        """It was reached: waiting would not mend it."""
        there = {"AISPOOL_SSH_CONFIG": str(host.config), "AISPOOL_REMOTE_WORKSPACE": str(tmp_path)}
        done = shell.run("connect-ai-host.sh", host.name, **there)
        assert done.returncode == 1
        assert "setup-ai-protocol.sh" in done.stderr
        assert "attempt 2" not in done.stderr


def children_of(parent: int) -> list[int]:
    done = subprocess.run(["ps", "--ppid", str(parent), "-o", "pid="], capture_output=True, check=False)
    return [int(pid) for pid in done.stdout.split()]


@pytest.mark.usefixtures("stand_in_agent")
def test_a_terminal_is_attached_again_when_the_connection_breaks(
    shell: Shell, host: Host, there: dict[str, str], until: Callable[..., None]
) -> None:
    """What a person looks at comes back by itself; leaving the session ends it."""
    ours, theirs = pty.openpty()
    command = [SCRIPTS / "connect-ai-host.sh", host.name, "qwen"]
    environment = shell.environment | there | {"AISPOOL_CONNECT_DELAY_S": "0"}
    process = subprocess.Popen(
        command, env=environment, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
    )
    os.close(theirs)
    drain = threading.Thread(target=read_to_the_end, args=(ours,))
    drain.start()

    def clients() -> str:
        return shell.tmux("list-clients", "-F", "#{client_pid} #{session_name}")

    until(clients, "the terminal is attached")
    first = clients()
    for pid in children_of(host.process.pid):
        os.kill(pid, signal.SIGTERM)
    until(lambda: clients() not in {"", first}, "the terminal is attached again")
    assert clients().split()[1] == first.split()[1], "to the same session"
    shell.tmux("kill-session", "-t", f"={first.split()[1]}")
    assert process.wait(30) == 0
    drain.join(20)
    os.close(ours)


def read_to_the_end(terminal: int) -> None:
    """Keep a terminal from filling up; its end is EIO (pty(7))."""
    with contextlib.suppress(OSError):
        while os.read(terminal, 4096):
            pass


def test_five_attempts_then_exit_1(shell: Shell, closed_port: int) -> None:
    """Each is announced; the time between them is shortened here."""
    done = shell.run("connect-ai-host.sh", f"127.0.0.1:{closed_port}", AISPOOL_CONNECT_DELAY_S="0")
    assert done.returncode == 1
    assert [f"attempt {n} of 5" in done.stderr for n in range(1, 7)] == [True] * 5 + [False]
    assert "could not be reached in 5 attempts" in done.stderr


@pytest.mark.parametrize(
    "bad",
    [
        "-oProxyCommand=id",
        "a b",
        "host;id",
        "$(id)",
        "a@b@c",
        "@host",
        "me@",
        "host:",
        "host:x",
        "host:123456",
        "a\nb",
    ],
)
def test_a_host_cannot_be_an_option_or_a_command(shell: Shell, bad: str) -> None:
    """What is no user@host[:port] never reaches ssh."""
    done = shell.run("connect-ai-host.sh", bad)
    assert done.returncode == 2
    assert "connecting" not in done.stderr


def hosts(shell: Shell, *lines: str) -> None:
    (shell.workspace / "configs/hosts.txt").write_text("# ours\n\n" + "\n".join(lines) + "\n")


def log(shell: Shell) -> list[str]:
    """The log without its times."""
    lines = (shell.workspace / "logs/auto-reconnect.log").read_text().splitlines()
    assert all(re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ ", line) for line in lines)
    return [line.partition(" ")[2] for line in lines]


ONLY_SCRIPTS = {"PATH": SYSTEM_PATH}
"""A machine that has no aispool; the other host, whose PATH is sshd's, may have it."""


@pytest.mark.usefixtures("stand_in_agent")
def test_one_line_for_each_change(shell: Shell, host: Host, closed_port: int, there: dict[str, str]) -> None:
    """--once from cron remembers by its log: a round that finds nothing new writes nothing."""
    dead = f"127.0.0.1:{closed_port}"
    hosts(shell, host.name, dead, "-bad host")
    for _ in range(2):
        assert shell.run("auto-reconnect.sh", "--once", **there, **ONLY_SCRIPTS).returncode == 1
    assert sorted(log(shell)) == sorted(
        [f"{host.name} up", f"{dead} down", "-bad refused: not user@host[:port]"]
    )
    host.process.terminate()
    host.process.wait(20)
    hosts(shell, host.name)
    assert shell.run("auto-reconnect.sh", "--once", **there, **ONLY_SCRIPTS).returncode == 1
    assert log(shell)[3:] == [f"{host.name} down"]


@pytest.mark.usefixtures("stand_in_agent")
def test_all_well_is_exit_0(shell: Shell, host: Host, there: dict[str, str]) -> None:
    """And the agent there was started."""
    hosts(shell, host.name)
    assert shell.run("auto-reconnect.sh", "--once", **there, **ONLY_SCRIPTS).returncode == 0


@pytest.mark.usefixtures("stand_in_agent")
def test_a_silent_host_delays_no_other(
    shell: Shell,
    host: Host,
    silent_port: int,
    there: dict[str, str],
    until: Callable[..., None],
) -> None:
    """The living host is up while the other still hangs; TERM then ends every ssh."""
    hosts(shell, f"127.0.0.1:{silent_port}", host.name)
    process = shell.start("auto-reconnect.sh", **there, **ONLY_SCRIPTS, AISPOOL_RECONNECT_INTERVAL_S="1")
    path = shell.workspace / "logs/auto-reconnect.log"
    until(lambda: path.exists() and log(shell) == [f"{host.name} up"], "the living host is up")
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=20)
    assert process.returncode == 0
    until(lambda: not session_members(process.pid), "every child is gone")


def session_members(session: int) -> list[int]:
    """The processes of one session, by /proc/PID/stat."""
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{name}/stat", encoding="utf-8", errors="replace") as file:  # noqa: PTH123
                fields = file.read().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[3]) == session and fields[0] != "Z":
            found.append(int(name))
    return found


def test_two_at_once_are_refused(shell: Shell, silent_port: int, until: Callable[..., None]) -> None:
    """Cron may start it while the last round still runs."""
    hosts(shell, f"127.0.0.1:{silent_port}")
    first = shell.start("auto-reconnect.sh", "--once", **ONLY_SCRIPTS)
    lock = shell.workspace / "logs/.auto-reconnect.lock"
    until(lambda: len(session_members(first.pid)) > 2 and lock.exists(), "the first one works")
    done = shell.run("auto-reconnect.sh", "--once", **ONLY_SCRIPTS)
    first.terminate()
    first.communicate(timeout=20)
    assert done.returncode == 1
    assert "another auto-reconnect.sh" in done.stderr


RECORDS_PAUSES = """#!/bin/sh
# Notes how long a host's watcher was to sleep, and does not; after ten of them it does.
[ "$1" != 9999 ] || exec /bin/sleep 600
echo "$1" >> "$PAUSES"
[ "$(wc -l < "$PAUSES")" -lt 10 ] || exec /bin/sleep 600
"""


def test_five_attempts_then_ever_more_slowly(
    shell: Shell, closed_port: int, until: Callable[..., None], tmp_path: Path
) -> None:
    """2, 4, 8, 16 s, then 60, 120 … 600 s, for ever, each a tenth more or less."""
    hosts(shell, f"127.0.0.1:{closed_port}")
    (tmp_path / "sleep").write_text(RECORDS_PAUSES)
    (tmp_path / "sleep").chmod(0o700)
    pauses = tmp_path / "pauses"
    process = shell.start(
        "auto-reconnect.sh", PATH=f"{tmp_path}:{SYSTEM_PATH}", PAUSES=str(pauses),
        AISPOOL_RECONNECT_INTERVAL_S="9999",
    )  # fmt: skip
    until(lambda: pauses.exists() and len(pauses.read_text().split()) >= 10, "it tried again and again")
    process.terminate()
    process.communicate(timeout=20)
    found = [float(line) for line in pauses.read_text().split()]
    wanted = [2, 4, 8, 16, 60, 120, 240, 480, 600, 600]
    assert all(0.9 * w <= f <= 1.1 * w for f, w in zip(found, wanted, strict=True)), found
    assert found != wanted, "not all hosts at the same moment"


def test_the_list_may_change(shell: Shell, closed_port: int, until: Callable[..., None]) -> None:
    """A host that is added is tried, one that is taken out is left alone."""
    hosts(shell, f"127.0.0.1:{closed_port}")
    process = shell.start("auto-reconnect.sh", **ONLY_SCRIPTS, AISPOOL_RECONNECT_INTERVAL_S="0.2")
    path = shell.workspace / "logs/auto-reconnect.log"
    until(lambda: path.exists() and len(log(shell)) == 1, "the first is down")
    hosts(shell, f"localhost:{closed_port}")
    until(lambda: len(log(shell)) == 2, "the second is down")
    until(
        lambda: not any(f"127.0.0.1:{closed_port}" in line for line in arguments_of(process.pid)),
        "nobody tries the first",
    )
    process.terminate()
    process.communicate(timeout=20)
    assert [line.split()[-1] for line in log(shell)] == ["down", "down"]


def arguments_of(session: int) -> list[str]:
    """The command lines of one session's processes."""
    found = []
    for pid in session_members(session):
        with contextlib.suppress(OSError):
            found.append(Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode())
    return found


def test_without_aispool_hosts_toml_is_not_read(shell: Shell) -> None:
    """It says which file is."""
    (shell.workspace / "configs/hosts.toml").write_text('[[hosts]]\nname = "a"\naddress = "a"\n')
    done = shell.run("auto-reconnect.sh", "--once", **ONLY_SCRIPTS)
    assert (done.returncode, "hosts.txt is read" in done.stderr) == (1, True)


@pytest.fixture
def real_aispool(shell: Shell) -> Iterator[str]:
    """The command itself on PATH; the agents that it started end with the test."""
    program = shell.home / "bin/aispool"
    program.write_text(f'#!/bin/sh\nPYTHONPATH={SCRIPTS.parent} exec {sys.executable} -m agent "$@"\n')
    program.chmod(0o700)
    yield str(program)
    for beat in shell.home.glob("*/sessions/.agent-*/agent.json"):
        with contextlib.suppress(ProcessLookupError):
            os.kill(json.loads(beat.read_bytes())["pid"], signal.SIGTERM)


@pytest.mark.usefixtures("real_aispool")
def test_with_aispool_it_is_the_collector(
    shell: Shell, host: Host, closed_port: int, until: Callable[..., None]
) -> None:
    """Also of hosts.toml: the agent there is started, what is there is here, and a second one ends."""
    far = shell.home / "far"
    assert shell.run("setup-ai-protocol.sh", AISPOOL_WORKSPACE=str(far)).returncode == 0
    (far / "configs/paused").touch()
    (far / "tasks/t1.json").write_text('{"task_id": "t1", "tool": "shell", "command": "true"}')
    user, _, place = host.name.rpartition("@")
    address, _, port = place.partition(":")
    fields = [f'address = "{address}"', f'workspace = "{far}"', *([f'user = "{user}"'] if user else [])]
    (shell.workspace / "configs/hosts.toml").write_text(
        "\n".join(["[[hosts]]", 'name = "far"', *([f"port = {port}"] if port else []), *fields, ""])
    )
    hosts(shell, f"127.0.0.1:{closed_port}")
    there = {"AISPOOL_SSH_CONFIG": str(host.config)}
    process = shell.start("auto-reconnect.sh", **there)
    until((shell.workspace / "fleet/far/tasks/t1.json").exists, "what is there is here")
    until(lambda: list(far.glob("sessions/.agent-*/agent.json")), "its agent was started")
    again = shell.run("auto-reconnect.sh", "--once", **there)
    assert "a collector works" in again.stdout
    assert f"127.0.0.1-{closed_port}" in again.stdout
    assert again.returncode == 1, "one host is away"
    process.terminate()
    process.communicate(timeout=60)
    assert process.returncode == 0
    (shell.workspace / "configs/hosts.txt").unlink()
    assert shell.run("auto-reconnect.sh", "--once", **there).returncode == 0
