"""Connecting by a package index: a host that reaches one, and one with another Python that does not."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

from docker_machines import AISPOOL, IMAGE, NEWER, PYTHONS, wait_for

if TYPE_CHECKING:
    from docker_machines import FleetUnderTest, Machine

pytestmark = [pytest.mark.container, pytest.mark.timeout(1200)]

PORT = 8000
MAKE_INDEX = """\
cd /wheels && for wheel in *.whl; do
    name=$(printf '%s' "${wheel%%-*}" | tr 'A-Z_' 'a-z-')
    [ "$name" = aispool ] && continue
    mkdir -p ~/index/simple/$name && cp "$wheel" ~/index/simple/$name/
done
"""
"""A simple repository (PEP 503): a folder for each project; the listing of a web server is its page."""


@pytest.fixture(scope="module")
def index(machines: FleetUnderTest) -> str:
    """An index that the collector serves, with what aispool needs, and without aispool."""
    collector = machines.collector
    small = "[collector]\nreserve_bytes = 20971520\n"  # of its small disk
    collector.does(f"cat > {collector.workspace}/configs/agent.toml", given=small)
    collector.does(MAKE_INDEX)
    collector.does(
        f"cd ~/index && setsid nohup python3 -m http.server {PORT} < /dev/null > ~/index.log 2>&1 & disown"
    )
    url = f"http://collector:{PORT}/simple"
    look = f"python3 -c \"import urllib.request as u; u.urlopen('{url}/pydantic/')\""
    wait_for(lambda: collector.tries(look.replace("collector", "localhost")).returncode == 0, "it is served")
    return url


def connect(machines: FleetUnderTest, *words: str, environment: str = "") -> dict[str, Any]:
    command = f"{environment} {AISPOOL} --workspace {machines.collector.workspace} fleet connect --json"
    done = machines.collector.tries(f"{command} {' '.join(words)}")
    assert done.stdout.startswith("{"), done.stderr
    said: dict[str, Any] = json.loads(done.stdout)
    assert not [finding for finding in said["findings"] if finding["grade"] == "problem"]
    return said


def runs_a_task(host: Machine, machines: FleetUnderTest) -> None:
    """One task there and back, by a round of the collector now and then."""
    machines.drop(host.name, f"on-{host.name}", {"tool": "shell", "command": "echo works"})

    def collected() -> bool:
        machines.tries("collector", "--once")
        return machines.collector.has(f"fleet/{host.name}/results/on-{host.name}/result.json")

    wait_for(collected, "its result is here", 120)
    result = machines.result(host.name, f"on-{host.name}")
    assert (result["state"], result["output"]["text"]) == ("succeeded", "works\n")


def asked_for(machines: FleetUnderTest) -> list[str]:
    """Return who asked the index for wheels."""
    lines = machines.collector.does("cat ~/index.log").splitlines()
    return [line.split()[0] for line in lines if ".whl" in line]


def test_a_host_that_reaches_an_index(machines: FleetUnderTest, index: str) -> None:
    """Only our own wheel is copied there; the host fetches what it needs."""
    with machines.beside("i", IMAGE) as host:
        wait_for(lambda: host.tries("pgrep -x sshd", user="root").returncode == 0, "sshd")
        settings = f"[global]\nindex-url = {index}\ntrusted-host = collector\n"
        host.does("mkdir -p ~/.config/pip && cat > ~/.config/pip/pip.conf", given=settings)
        said = connect(machines, "i")
        assert any("started the agent" in line for line in said["changed"])
        address = host.does("hostname -i").split()[0]
        assert address in asked_for(machines)
        assert connect(machines, "i")["changed"] == []
        runs_a_task(host, machines)


def test_a_host_with_another_python(machines: FleetUnderTest, index: str, newer_image: str) -> None:
    """It reaches no index: the wheels for its Python are fetched here, and copied."""
    with machines.beside("n", newer_image) as host:
        wait_for(lambda: host.tries("pgrep -x sshd", user="root").returncode == 0, "sshd")
        python, _ = PYTHONS[NEWER]
        assert python in host.does("python3 --version")
        assert python not in machines.collector.does("/opt/aispool/bin/python --version")
        ours = index.replace("collector", "localhost")
        said = connect(machines, "n", "--offline", "--new-key", environment=f"PIP_INDEX_URL={ours}")
        assert any("started the agent" in line for line in said["changed"])
        installed = host.does("readlink -f ~/.local/share/aispool/current/lib/python*").strip()
        assert installed.endswith(f"python{python}")
        runs_a_task(host, machines)
