"""One look at a host that changes nothing: is it reached, whose workspace is there, who works on it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from agent.fleet import living, standing
from agent.fleet.capacity import Pulses
from agent.fleet.exchange import connect
from agent.fleet.layout import Mirror
from agent.fleet.peer import peer
from agent.fleet.publish import Shelf, show
from agent.fleet.refused import Refused
from agent.fleet.ssh import runtime_folder

if TYPE_CHECKING:
    from agent.config import AgentConfig
    from agent.fleet.hosts import Host


@dataclass(frozen=True, slots=True)
class Checked:
    """What was found; `problem` is None when all is as it should be."""

    what: str
    problem: str | None


def check(host: Host, config: AgentConfig) -> Checked:
    """Look at a host.

    Raises:
        TransferError: it was not reached by one of its keys.
        CallError: ssh or rsync is missing here.
    """
    with TemporaryDirectory(prefix="aispool-check-") as folder:
        one = peer(host, Mirror(Path(folder) / host.name), config.name, config.collector, runtime_folder())
        connect(one)
        living.fetch(one.collecting, one.mirror, one.watching)
        found = standing.look(one.mirror, config.name)
        if found.problem is not None:
            return Checked("", found.problem)
        show(one.mirror, Shelf(), Refused())
        beats = Pulses().working(one.mirror, 0.0)
        agents = ", ".join(f"{beat.name} ({beat.slots} slots)" for beat in beats)
        enrolled = (
            "its results are kept for us" if found.enrolled else "not enrolled yet: the collector does that"
        )
        if not beats:
            return Checked("", f"no agent works there: `aispool fleet connect {host.name}` sets one up")
        return Checked(f"answers; agent {agents}; {enrolled}", None)
