"""The two restricted keys of the README: one only collects, one only sends, together they do all."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from fleet_agents import Agents, collector, drop, result
from sshd import Sshd, new_key

from spool.records import State

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fleet_network import Network, Remote

README = Path(__file__).parents[2] / "README.md"


@pytest.fixture
def agents(network: Network) -> Iterator[Agents]:
    agents = Agents(network)
    yield agents
    agents.close()


@pytest.fixture
def remote(network: Network) -> Remote:
    """A host that knows no key but the two restricted ones, as the README writes them."""
    lines = re.findall(r"^restrict,command=.*$", README.read_text(), re.MULTILINE)
    assert len(lines) == 2
    keys = {name: network.folder / f"{name}_key" for name in ("collect", "send")}
    for key in keys.values():
        new_key(key)
    remote = network.host(
        "a",
        serving=False,
        restricted=True,
        collect_identity=str(keys["collect"]),
        send_identity=str(keys["send"]),
    )
    public = {name: key.with_suffix(".pub").read_text().strip() for name, key in keys.items()}
    authorized = [
        line.replace("~/ai-workspace", str(remote.workspace.root)).replace("ssh-ed25519 AAAA…", public[name])
        for line, name in zip(lines, ("collect", "send"), strict=True)
    ]
    again = remote.home / "sshd-restricted"
    remote.sshd = Sshd(again, network.client, remote.sshd.environment, tuple(authorized))
    remote.sshd.start()
    network.configure()
    return remote


def ssh(network: Network, remote: Remote, key: str, *command: str) -> subprocess.CompletedProcess[bytes]:
    words = ["ssh", "-F", network.client.config, "-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes"]
    words += ["-i", network.folder / f"{key}_key", "-p", str(remote.sshd.port), "127.0.0.1", *command]
    return subprocess.run([str(word) for word in words], capture_output=True, timeout=60, check=False)


def rsync(network: Network, remote: Remote, key: str, *words: str) -> subprocess.CompletedProcess[bytes]:
    shell = f"ssh -F {network.client.config} -o BatchMode=yes -o IdentitiesOnly=yes "
    shell += f"-i {network.folder}/{key}_key -p {remote.sshd.port}"
    command = ["rsync", "-r", "-e", shell, *words]
    return subprocess.run(command, capture_output=True, timeout=60, check=False)


def test_a_task_goes_and_its_result_comes_by_the_two_keys(
    network: Network, agents: Agents, remote: Remote
) -> None:
    """With files both ways; the enrolment and the acknowledgements travel by the sending key."""
    agents.start(remote)
    files = network.workspace.root / "fleet" / "a" / "tasks" / "t1.files"
    files.mkdir(parents=True)
    (files / "data").write_text("42\n")
    drop(network, "a", "t1", command=f"cat data; {agents.command('a')}")
    for _ in range(30):
        assert collector(network).run_once(), network.state("a").error
        found = result(network.mirror("a").workspace, "t1")
        if found is not None and not list(network.mirror("a").sent_controls.iterdir()):
            break
    assert found is not None
    assert (found.state, found.output.text) == (State.SUCCEEDED, "42\n")
    assert list(remote.workspace.uncollected.glob("t1")) == []
    assert agents.ran() == ["t1 a"]


def test_neither_key_can_do_more(network: Network, remote: Remote, tmp_path: Path) -> None:
    """No command, no terminal, no writing by the one, no reading by the other, nothing outside."""
    (remote.workspace.inbox_control / "secret.json").write_text("{}")
    (tmp_path / "evil").write_text("evil")
    for key in ("collect", "send"):
        assert b"evil" not in ssh(network, remote, key, "echo evil").stdout
        assert ssh(network, remote, key, "echo evil").returncode != 0
    evil = str(tmp_path / "evil")
    assert rsync(network, remote, "collect", evil, "127.0.0.1:tasks/").returncode != 0
    assert rsync(network, remote, "send", "127.0.0.1:control/", str(tmp_path / "out")).returncode != 0
    rsync(network, remote, "send", evil, "127.0.0.1:../tasks/")
    rsync(network, remote, "send", evil, f"127.0.0.1:{remote.workspace.tasks}/")
    assert list(remote.workspace.tasks.glob("evil")) == []
    rsync(network, remote, "collect", "127.0.0.1:../../", str(tmp_path / "above"))
    assert not list(tmp_path.rglob("user_key"))
