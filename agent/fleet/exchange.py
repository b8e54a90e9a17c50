"""One round with one host: look at it, fetch what is new, show it; then give it what waits for it.

Nothing is given before the look: what answers under the host's name may be another workspace by now.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol

from agent import log
from agent.fleet import calls, controls, fetching, gone, living, publish, rsync, ssh, standing
from agent.fleet.refused import Refused
from agent.fleet.rsync import NoFolderError, TransferError
from agent.fleet.shown import names_in
from spool.names import is_dropped_name, is_task_id
from spool.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Iterable

    from agent.fleet.logs import Stamp
    from agent.fleet.peer import Peer

START_AGENT_S: Final = 60.0
"""start-agent.sh waits for half of this itself."""


class Sending(Protocol):
    """What the collector gives to hosts."""

    def prepare(self) -> set[str]:
        """Take what people dropped here, without the network; return the hosts for which something waits."""

    def unsettled(self, peer: Peer) -> Iterable[str]:
        """Return the files of the host's workspace by which is told what became of what it was given."""

    def give(self, peer: Peer) -> bool:
        """Give a host what waits for it; True when there was anything.

        Raises:
            TransferError: the connection broke.
        """

    def settle(self, peer: Peer) -> None:
        """Look at what the host shows now, and let go of what it has taken over."""


@dataclass(slots=True)
class Round:
    """What one round saw and did.

    Args:
        problem: why nothing of the host is believed.
        short: why no results were fetched.
        gave: the host was given something, and will soon show what it does with it.
    """

    problem: str | None = None
    short: str | None = None
    enrolled: bool = False
    published: int = 0
    waiting: int = 0
    running: int = 0
    uncollected: int = 0
    refused: Refused = field(default_factory=Refused)
    unaccounted: tuple[str, ...] = ()
    gave: bool = False


def exchange(peer: Peer, sending: Sending | None) -> Round:
    """Make one round with a host that is connected.

    Raises:
        TransferError: it was not reached, or no longer; what was done stays, and the next round goes on.
        CallError: a program is missing here.
        OSError: our own disk.
    """
    more = sending.unsettled(peer) if sending is not None else ()
    logs_before = living.central_logs(peer.mirror)
    try:
        living.fetch(peer.collecting, peer.mirror, peer.watching, more)
    except NoFolderError:
        return Round(problem=standing.NOT_THERE)
    now = standing.look(peer.mirror, peer.collector)
    done = Round(problem=now.problem, enrolled=now.enrolled)
    if now.problem is not None:
        return done
    if not now.enrolled and not peer.asked_to_enrol:
        asked = standing.id_to_ask_for(peer.mirror)
        controls.order(peer.mirror, "enrol", collector=peer.collector, workspace_id=asked)
        peer.asked_to_enrol = True
    if now.enrolled:
        done.short = _no_room(peer)
        if done.short is None:
            done.published = _collect(peer, done.refused)
    with peer.files:
        publish.show(peer.mirror, peer.shelf, done.refused)
    _logs(peer, logs_before)
    if sending is not None:
        with peer.files:
            sending.settle(peer)
    if now.enrolled:
        with peer.files:
            done.unaccounted = gone.look(peer.mirror)
    if sending is not None:
        done.gave = sending.give(peer)
    _count(peer, done)
    return done


def connect(peer: Peer) -> bool:
    """Open the connections to a host, or find them open; True when one was opened.

    Raises:
        TransferError: it cannot be reached.
        CallError: a program is missing here.
    """
    opened = False
    for link in peer.links:
        if not calls.is_open(link, peer.watching):
            ended = calls.connect(link, peer.watching)
            if ended.code != 0:
                raise TransferError(rsync.sentence(ended), ended.code)
            opened = True
    return opened


def start_agent(peer: Peer) -> None:
    """See to it that the agent of a host runs, which may have been rebooted; one that runs is left alone.

    Raises:
        CallError: ssh is missing here.
    """
    script = f"{peer.host.workspace}/scripts/start-agent.sh"
    ended = calls.run(ssh.command(peer.collect, "sh", script), START_AGENT_S, peer.watching)
    if ended.code != 0:
        log.warning("agent of a host does not run", host=peer.host.name, what=ended.said)


def _collect(peer: Peer, refused: Refused) -> int:
    peer.watching.room = lambda: _no_room(peer)
    try:
        return fetching.collect(peer, refused)
    finally:
        peer.watching.room = None


def _no_room(peer: Peer) -> str | None:
    free = shutil.disk_usage(peer.mirror.root).free
    if free >= peer.options.reserve_bytes:
        return None
    return (
        f"no results are fetched: {free >> 20} MiB are free here, the reserve is "
        f"{peer.options.reserve_bytes >> 20} MiB; free some space, or lower reserve_bytes of [collector]"
    )


def _logs(peer: Peer, before: dict[str, list[Stamp | None]]) -> None:
    """Gather the host's own logs, as far as they changed in this round, and those of what runs there."""
    now = living.central_logs(peer.mirror)
    changed = {name for name in now if now[name] != before[name]}
    fetching.gather_logs(peer, peer.mirror.raw, living.CENTRAL_LOGS, changed)
    of_tasks = (fetching.log_name(tool, task_id) for task_id, tool in peer.shelf.live.items())
    live = {name for name in of_tasks if name is not None}
    fetching.fetch_logs(peer, live)
    fetching.forget_logs(peer, live)


def _count(peer: Peer, done: Round) -> None:
    there = Workspace(peer.mirror.raw)
    done.waiting = sum(is_dropped_name(name) for name in names_in(there.tasks))
    done.running = len(peer.shelf.live)
    told = peer.acknowledged
    done.uncollected = sum(is_task_id(name) and name not in told for name in names_in(there.uncollected))
