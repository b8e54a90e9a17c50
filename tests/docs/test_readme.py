"""The README's examples, run as they are written."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

from sshd import Client, Sshd

from agent.launchers.servers import server_pids
from agent.launchers.tmux import socket_path
from spool.task import Task, parse_task

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
BLOCK = re.compile(r"```(\w*)\n(.*?)```", re.DOTALL)


def block_after(words: str) -> str:
    """Return the first code block after some words of the README."""
    found = BLOCK.search(README, README.index(words))
    assert found is not None
    return found.group(2)


def wait_for(condition: Callable[[], object], what: str, limit_s: float = 60) -> None:
    deadline = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline, f"after {limit_s} s: {what}"
        time.sleep(0.02)


@dataclass(frozen=True, slots=True)
class Home:
    """A person's home folder with a workspace on which an agent works."""

    path: Path
    environment: dict[str, str]

    @property
    def workspace(self) -> Path:
        return self.path / "ai-workspace"

    def run(self, script: str, **more: str) -> str:
        done = subprocess.run(
            ["bash", "-euc", script],
            cwd=self.path,
            env=self.environment | more,
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def results(self, pattern: str) -> list[Path]:
        return list((self.workspace / "results").glob(f"{pattern}/result.json"))


@contextmanager
def home_with_agent() -> Iterator[Home]:
    with tempfile.TemporaryDirectory(prefix="aispool-") as name:
        path = Path(name)
        environment = {
            "HOME": name,
            "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
            "LANG": "C.UTF-8",
        }
        here = Home(path, environment)
        here.run("aispool init")
        agent = subprocess.Popen(["aispool", "agent"], cwd=name, env=environment)
        beats = here.workspace / "sessions"
        try:
            wait_for(lambda: list(beats.glob(".agent-*/agent.json")), "the agent works")
            yield here
        finally:
            agent.terminate()
            assert agent.wait(30) == 0
            for pid in server_pids(socket_path(here.workspace)):
                os.kill(pid, signal.SIGKILL)


@pytest.fixture
def home() -> Iterator[Home]:
    with home_with_agent() as here:
        yield here


@pytest.fixture
def gpu_box(home: Home) -> Iterator[Home]:
    """Another machine with an agent, which ssh calls gpu-box; `home` reaches it."""
    with home_with_agent() as there:
        client = Client(home.path / "client")
        server = Sshd(there.path / "sshd", client, there.environment)
        server.start()
        with client.config.open("a") as config:
            config.write(f"Host gpu-box\nHostName 127.0.0.1\nPort {server.port}\n")
        home.environment["AISPOOL_SSH_CONFIG"] = str(client.config)
        try:
            yield there
        finally:
            server.stop()


def test_from_a_folder(home: Home) -> None:
    """The first example ends with its result in the folder that it lists."""
    home.run(block_after("From a folder."))
    wait_for(lambda: home.results("hello-*"), "the task is over")
    result = json.loads(home.results("hello-*")[0].read_text())
    assert result["output"]["text"] == "hello world\n"


def test_with_the_command_line(home: Home) -> None:
    """Submit --wait, ls and show."""
    lines = [line for line in block_after("With the command line").splitlines() if "attach" not in line]
    task_id = home.run(lines[0]).split()[0]
    home.run("\n".join(lines[1:]).replace("ID", task_id))
    assert len(lines) == 3


def test_from_another_machine(home: Home) -> None:
    """Scp straight to the final name; the copy program is real, the connection is a local shell."""
    (home.path / "hello.json").write_text('{"tool": "shell", "command": "echo copied"}')
    ssh = home.path / "ssh"
    ssh.write_text('#!/bin/sh\nwhile [ "$1" != host ]; do shift; done; shift\ncd ~ && exec sh -c "$*"\n')
    ssh.chmod(0o700)
    command = block_after("From another machine.")
    # -O: the old protocol needs only a shell at the other end
    home.run(command.replace("scp ", f"scp -O -S {ssh} "))
    wait_for(lambda: home.results("hello-*"), "the copied task is over")


def test_from_cron(home: Home) -> None:
    """The two commands of the crontab, as cron's shell runs them; the agent that works is left alone."""
    (home.path / "nightly.json").write_text('{"tool": "shell", "command": "date"}')
    for line in block_after("From cron.").splitlines():
        command = re.sub(r"^(@\w+|[\d*/ ]+)\s+", "", line)
        for _ in range(2):
            home.run(command)
    wait_for(lambda: len(home.results("nightly-*")) == 2, "both nights are over")


def test_from_a_shell_script(home: Home) -> None:
    """submit, wait and the answer's file; `make` is there to be called."""
    project = home.path / "project"
    project.mkdir()
    make = home.path / "bin" / "make"
    make.parent.mkdir()
    shutil.copy("/bin/echo", make)
    script = block_after("From a shell script").replace("make -C", f"{make} -C")
    assert home.run(script).splitlines()[-1] == f"-C {project} test"


def test_the_task_of_an_ai_tool_is_valid() -> None:
    """The JSON in the README is a task without warnings."""
    parsed = parse_task(block_after("An AI tool, when it is installed").encode())
    assert isinstance(parsed, tuple)
    assert isinstance(parsed[0], Task)
    assert parsed[1] == ()


def test_the_answers_at_night_work(home: Home) -> None:
    """Each command of the table does something to a task that is there."""
    drop = f"{home.workspace}/scripts/drop-task.sh - night"
    home.run(f'{drop} <<< \'{{"task_id": "n1", "tool": "shell", "command": "sleep 300"}}\'')
    status = home.workspace / "sessions" / "n1" / "status.json"
    wait_for(lambda: status.exists() and "running" in status.read_text(), "it runs")
    table = README[README.index("## At three in the morning") : README.index("A task ends with")]
    commands = [c.replace("ID", "n1") for c in re.findall(r"`((?:cat|touch|aispool) [^`]*)`", table)]
    assert json.loads(home.run(next(c for c in commands if "status.json" in c).partition(",")[0]))["attach"]
    home.run(next(c for c in commands if "cancel" in c))
    wait_for(lambda: home.results("n1"), "it is cancelled")
    assert json.loads(home.results("n1")[0].read_text())["state"] == "cancelled"
    home.run(next(c for c in commands if "retry" in c))
    wait_for(lambda: not home.results("n1"), "it runs again")
    home.run(next(c for c in commands if "paused" in c))
    home.run(next(c for c in commands if "health" in c))
    home.run("touch ~/ai-workspace/sessions/n1/cancel")
    wait_for(lambda: home.results("n1"), "it is cancelled again")


def test_a_fleet(home: Home, gpu_box: Home) -> None:
    """Dropped for a host, dropped for any, submitted: all run there, and their results are here."""
    # sshd begins in the home folder that the system knows, which is not the one of this test
    home.run(f"aispool fleet add gpu-box --remote-workspace {gpu_box.workspace}")
    (home.path / "hello.json").write_text(
        '{"tool": "shell", "command": "echo hello $1", "parameters": {"args": ["world"]}}'
    )
    collector = subprocess.Popen(
        ["aispool", "collector", "--interval", "1"], cwd=home.path, env=home.environment
    )
    try:
        section = README[README.index("## A fleet") :]
        script = BLOCK.findall(section)[1][1]
        assert "succeeded" in home.run(script)
        results = home.workspace / "fleet" / "gpu-box" / "results"
        wait_for(lambda: len(list(results.glob("*/result.json"))) == 3, "all three results are here")
    finally:
        collector.terminate()
        assert collector.wait(30) == 0
    assert len(gpu_box.results("*")) == 3
    assert home.results("*") == []
    questions = section[section.index("| question") : section.index("A task is on its host")]
    commands = [c.replace("HOST", "gpu-box") for c in re.findall(r"`((?:cat|aispool) [^`]*)`", questions)]
    state = next(c for c in commands if "state.json" in c)
    assert json.loads(home.run(state))["reachable"] is True
    home.run(next(c for c in commands if "fleet logs" in c).replace("WARNING|ERROR", "delivered"))
    assert "gpu-box" in home.run("aispool fleet status")


def test_the_hosts_file_of_the_readme_is_valid(home: Home) -> None:
    """The table for restricted keys is one that the collector takes."""
    section = README[README.index("and in `configs/hosts.toml`") :]
    found = BLOCK.search(section)
    assert found is not None
    (home.workspace / "configs" / "hosts.toml").write_text(found.group(2))
    assert "gpu-box" in home.run("aispool fleet list")
