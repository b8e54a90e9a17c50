"""A host with systemd: connected, rebooted, its units restarted; and a bare machine that lacks everything."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

from container.conftest import build
from docker_machines import AISPOOL, Machine, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from container.conftest import Engine
    from docker_machines import FleetUnderTest

pytestmark = [pytest.mark.container, pytest.mark.timeout(1800)]

TALKER = """\
[tools.talker]
about = "begins a conversation, and goes on with it"
path = "/home/somebody/talker"
argv = ["$executable", "$session", "$prompt"]
session_new = ["--new", "$session_id"]
session_resume = ["--resume", "$session_id"]
"""
TALKER_SCRIPT = """\
#!/bin/sh
echo "$1" >> ~/talks
[ "$1" = --resume ] || sleep 600
echo "went on"
"""


@pytest.fixture(scope="module")
def connected(machines: FleetUnderTest, booted: Machine) -> Machine:
    """The machine with systemd, connected."""
    done = machines.tries("fleet", "connect", "s", "--offline", "--json")
    assert done.stdout.startswith("{"), done.stderr
    said: dict[str, Any] = json.loads(done.stdout)
    changed = " ".join(said["changed"])
    for unit in ("aispool-tmux.service", "aispool-agent.service"):
        assert f"installed {unit}" in changed
        assert f"enabled {unit}" in changed
    assert not [finding for finding in said["findings"] if finding["grade"] == "problem"]
    again = json.loads(machines.tries("fleet", "connect", "s", "--offline", "--json").stdout)
    assert again["changed"] == []
    return booted


def drop(host: Machine, task_id: str, **fields: Any) -> None:
    content = json.dumps({"task_id": task_id, "tool": "shell", **fields})
    host.does(f"cat > {host.workspace}/tasks/{task_id}.json", given=content)


def agent_pid(host: Machine) -> str:
    return host.does("systemctl --user show --property=MainPID --value aispool-agent").strip()


def test_restarting_the_agents_unit_ends_no_session(connected: Machine) -> None:
    """The tmux server is a unit of its own; the next agent adopts what runs."""
    drop(connected, "lives-on", command="echo once >> ~/ledger; until [ -e ~/gate ]; do sleep 0.2; done")
    wait_for(lambda: "once" in connected.ledger(), "it runs")
    before = agent_pid(connected)
    connected.does("systemctl --user restart aispool-agent")
    assert agent_pid(connected) != before
    assert "task-lives-on" in connected.does(f"tmux -S {connected.workspace}/.aispool.tmux list-sessions")
    connected.does("touch ~/gate")
    wait_for(lambda: connected.has("results/lives-on/result.json"), "it is over")
    result = connected.result("lives-on")
    assert (result["state"], len(result["attempts"])) == ("succeeded", 1)
    assert connected.ledger() == ["once"]


def test_a_reboot_in_the_middle_of_tasks(connected: Machine) -> None:
    """The agent is back by itself; what was interrupted is told as lost, a conversation goes on."""
    connected.does("cat > ~/talker && chmod 755 ~/talker", given=TALKER_SCRIPT)
    connected.does(f"cat > {connected.workspace}/configs/tools.toml", given=TALKER)
    connected.does("systemctl --user reload aispool-agent")
    drop(connected, "cut-off", command="echo cut >> ~/ledger; sleep 600")
    drop(connected, "talks", tool="talker", parameters={"prompt": "hello"})
    wait_for(lambda: "cut" in connected.ledger(), "one runs")
    wait_for(lambda: "--new" in connected.tries("cat ~/talks").stdout, "the other runs")
    connected.engine.docker("restart", "--time", "0", connected.container)
    wait_for(lambda: connected.has("results/cut-off/result.json"), "the agent is back", 180)
    result = connected.result("cut-off")
    assert (result["state"], len(result["attempts"])) == ("lost", 1)
    assert "nobody saw how it ended" in result["reason"]
    wait_for(lambda: connected.has("results/talks/result.json"), "the conversation went on", 120)
    talked = connected.result("talks")
    assert (talked["state"], talked["output"]["text"].strip()) == ("succeeded", "went on")
    assert connected.does("cat ~/talks").split() == ["--new", "--resume"]


@pytest.fixture(scope="module")
def bare(
    engine: Engine, machines: FleetUnderTest, access: list[str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Machine]:
    """A Debian with sshd and sudo and nothing else, which reaches package mirrors as this machine does."""
    packages = ["openssh-server", "sudo"]
    image = build(engine, "aispool-bare", tmp_path_factory.mktemp("bare"), "debian:bookworm-slim", packages)
    name = f"{machines.project}_bare"
    engine.docker("run", "--detach", "--name", name, *access, image, "sleep", "infinity")
    machine = Machine(engine, "bare", name, "/home/somebody/ai-workspace")
    try:
        key = machines.collector.does("cat ~/.ssh/id_ed25519.pub || ssh-keygen -y -f ~/.ssh/id_ed25519")
        machine.does(
            "mkdir -p /run/sshd ~somebody/.ssh && cat > ~somebody/.ssh/authorized_keys && "
            "chown -R somebody: ~somebody/.ssh && chmod 700 ~somebody/.ssh && "
            "echo 'somebody ALL=(ALL) NOPASSWD: ALL' > /etc/sudoers.d/somebody && "
            "/usr/sbin/sshd -p 22122 -o ListenAddress=127.0.0.1",
            user="root",
            given=key,
        )
        yield machine
    finally:
        engine.docker("rm", "--force", name)


def test_from_bare_to_the_first_result(bare: Machine, machines: FleetUnderTest, tmp_path: Path) -> None:
    """Packages, environment, workspace, agent: one command, from this machine's own network."""
    (tmp_path / "key").write_text(machines.collector.does("cat ~/.ssh/id_ed25519"))
    (tmp_path / "key").chmod(0o600)
    config = tmp_path / "config"
    config.write_text(
        f"Host bare\n  HostName 127.0.0.1\n  Port 22122\n  User somebody\n  IdentityFile {tmp_path}/key\n"
        f"  IdentitiesOnly yes\n  UserKnownHostsFile {tmp_path}/known_hosts\n"
    )
    command = [sys.executable, "-m", "agent", "--workspace", str(tmp_path / "w")]
    environment = os.environ | {"AISPOOL_SSH_CONFIG": str(config), "HOME": str(tmp_path)}

    def aispool(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*command, *words],
            cwd=Path(__file__).parents[2],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )

    assert aispool("init").returncode == 0
    unknown = aispool("fleet", "connect", "bare")
    assert unknown.returncode == 1
    assert "key is unknown" in unknown.stderr
    asked = aispool("fleet", "connect", "bare", "--new-key")
    assert "Say so with --yes" in asked.stderr
    done = aispool("fleet", "connect", "bare", "--new-key", "--yes", "--offline")
    assert "installed tmux rsync" in done.stdout, done.stdout + done.stderr
    assert "started the agent" in done.stdout
    drop(bare, "first", command="echo it works")
    wait_for(lambda: bare.has("results/first/result.json"), "the first result")
    assert bare.result("first")["output"]["text"] == "it works\n"
    assert AISPOOL not in bare.does("readlink -f ~/.local/bin/aispool")
