from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from service_tasks import Maker

from agent.fleet.layout import Fleet, Mirror
from agent.fleet.state import HostState, write_state
from agent.service.places import Desk
from spool.records import utc_now

if TYPE_CHECKING:
    from collections.abc import Callable

    from spool.workspace import Workspace


@pytest.fixture
def desk(workspace: Workspace) -> Desk:
    return Desk(workspace.root)


@pytest.fixture
def make(workspace: Workspace) -> Maker:
    return Maker(workspace)


@pytest.fixture
def mirror(workspace: Workspace) -> Callable[[str], Mirror]:
    """Make the mirror of a configured host, which was reached."""

    def make_it(name: str) -> Mirror:
        file = workspace.configs / "hosts.toml"
        before = file.read_text() if file.exists() else ""
        file.write_text(f'{before}[[hosts]]\nname = "{name}"\naddress = "127.0.0.1"\n')
        found = Fleet(workspace).mirror(name)
        found.make()
        write_state(found, HostState(host=name, address="there", reachable=True, last_seen_at=utc_now()))
        return found

    return make_it
