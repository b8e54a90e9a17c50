"""How hosts are, without any network."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from service_tasks import Maker

from agent.fleet.state import HostState, write_state
from agent.service import fleet
from spool.files import make_folder
from spool.records import State, utc_now

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.fleet.layout import Mirror
    from agent.service.places import Desk

BEAT = {
    "name": "far", "host": "far", "pid": 1, "start_ticks": 1, "boot_id": "x", "state": "working", "slots": 4,
    "started_at": "2026-11-20T12:00:00Z", "version": "0.1.0", "running": 2, "load": 1.5, "free_bytes": 1000,
}  # fmt: skip


def test_our_own_host_comes_first(desk: Desk, make: Maker) -> None:
    """With what waits and runs here, and that no agent does it."""
    make.waiting("w")
    make.session("r")
    make.session("a", State.WAITING_INPUT)
    (desk.workspace.configs / "paused").touch()
    (own,) = fleet.hosts(desk)
    assert own["host"] is None
    assert (own["waiting"], own["running"], own["waiting_for_a_person"]) == (1, 1, 1)
    assert own["paused"] == ["everything"]
    assert "no agent works here" in own["trouble"]
    assert own["disk_total_bytes"] > own["disk_free_bytes"] > 0


def test_hosts_are_as_they_were_last_seen(desk: Desk, mirror: Callable[[str], Mirror]) -> None:
    """What the host's agent said, what the collector noted, and why it is not reached."""
    far = mirror("far")
    Maker(far.workspace).session("a", State.WAITING_INPUT)
    folder = far.workspace.agent("far")
    make_folder(folder)
    (folder / "agent.json").write_text(json.dumps(BEAT))
    broken = far.workspace.agent("broken")
    make_folder(broken)
    (broken / "agent.json").write_text("{")
    state = {"host": "far", "address": "me@far", "last_seen_at": utc_now(), "waiting": 3, "running": 2}
    write_state(far, HostState(**state, reachable=True))
    _, found = fleet.hosts(desk)
    assert (found["host"], found["address"], found["reachable"], found["trouble"]) == (
        "far",
        "me@far",
        True,
        None,
    )
    assert (found["slots"], found["slots_used"], found["load_1m"]) == (4, 2, 1.5)
    assert (found["agent_version"], found["disk_free_bytes"]) == ("0.1.0", 1000)
    assert (found["waiting"], found["running"], found["waiting_for_a_person"]) == (3, 2, 1)
    write_state(far, HostState(**state, reachable=False, error="no route to host"))
    _, found = fleet.hosts(desk)
    assert found["reachable"] is False
    assert "no route to host" in found["trouble"]


def test_a_host_that_was_never_looked_at_is_shown(desk: Desk) -> None:
    """So is everything else when the list of hosts is broken."""
    file = desk.workspace.configs / "hosts.toml"
    file.write_text('[[hosts]]\nname = "new"\naddress = "127.0.0.1"\n')
    _, found = fleet.hosts(desk)
    assert (found["host"], found["reachable"], found["slots"]) == ("new", None, None)
    file.write_text("[[hosts]\n")
    (own,) = fleet.hosts(desk)
    assert "hosts.toml" in own["trouble"]


def test_every_host_has_the_same_fields(desk: Desk, mirror: Callable[[str], Mirror]) -> None:
    """What is not known is null."""
    mirror("far")
    own, far = fleet.hosts(desk)
    assert own.keys() == far.keys()
