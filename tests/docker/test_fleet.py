"""A collector and four hosts, connected from bare, killed and cut off: each task runs exactly once."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from docker_machines import FleetUnderTest

pytestmark = [pytest.mark.container, pytest.mark.timeout(1800)]


@pytest.fixture(scope="module")
def fleet(machines: FleetUnderTest) -> FleetUnderTest:
    """The machines, connected from bare to working; the collector runs."""
    for host in machines.hosts.values():
        machines.collector.does(f"true < /dev/tcp/{host.name}/22")
        if host.workspace.startswith("/small"):
            toml = (
                f'[[hosts]]\nname = "{host.name}"\naddress = "{host.name}"\nworkspace = "{host.workspace}"\n'
            )
            machines.collector.does(f"cat >> {machines.collector.workspace}/configs/hosts.toml", given=toml)
        said = json.loads(machines.aispool("fleet", "connect", host.name, "--offline", "--json"))
        assert [f for f in said["findings"] if f["grade"] == "problem"] == []
        assert any("started the agent" in line for line in said["changed"])
    return machines


def test_connecting_again_changes_nothing(fleet: FleetUnderTest) -> None:
    """Twice is once, on every host; the agent goes on under its pid."""
    for host in fleet.hosts.values():
        before = host.does(f"cat {host.workspace}/sessions/.agent-*/agent.json | jq .pid")
        said = json.loads(fleet.aispool("fleet", "connect", host.name, "--offline", "--json"))
        assert said["changed"] == []
        assert host.does(f"cat {host.workspace}/sessions/.agent-*/agent.json | jq .pid") == before
