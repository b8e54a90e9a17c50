"""One host, with all that is needed to talk to it."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from agent.fleet.calls import Watching
from agent.fleet.publish import Shelf
from agent.fleet.rsync import Transfers
from agent.fleet.ssh import link

if TYPE_CHECKING:
    from pathlib import Path

    from agent.collector import CollectorOptions
    from agent.fleet.hosts import Host
    from agent.fleet.layout import Mirror
    from agent.fleet.ssh import Link


@dataclass(slots=True)
class Peer:
    """One host, its mirror and its connections.

    Args:
        collector: our name, under which hosts are enrolled.
        watching: looks on while transfers run; its event ends them.
        files: held while the mirror's visible part is changed, or read for what people want.
        shelf: what the mirror showed.
        asked_to_enrol: since this collector runs.
        acknowledged: results that the host was told we hold: their digest, and when on the monotonic clock.
    """

    host: Host
    mirror: Mirror
    collector: str
    options: CollectorOptions
    collect: Link
    send: Link
    watching: Watching = field(default_factory=Watching)
    files: threading.Lock = field(default_factory=threading.Lock)
    shelf: Shelf = field(default_factory=Shelf)
    asked_to_enrol: bool = False
    acknowledged: dict[str, tuple[str, float]] = field(default_factory=dict)

    @property
    def links(self) -> tuple[Link, ...]:
        """The connections to the host: one, unless it has a key for each purpose."""
        return (self.collect,) if self.collect.socket == self.send.socket else (self.collect, self.send)

    @property
    def collecting(self) -> Transfers:
        """How we copy from the host."""
        return Transfers.over(self.collect, self.options)

    @property
    def sending(self) -> Transfers:
        """How we copy into its inbox."""
        return Transfers.over(self.send, self.options)


def peer(host: Host, mirror: Mirror, collector: str, options: CollectorOptions, sockets: Path) -> Peer:
    """Return a host as it is reached from here.

    Args:
        host: whom.
        mirror: its folder; it is made when it is missing.
        collector: our name.
        options: of the collector.
        sockets: `ssh.runtime_folder()`.

    Raises:
        OSError: the mirror cannot be made.
    """
    mirror.make()
    collect = link(host, "collect", sockets, new_keys=options.new_host_keys)
    send = link(host, "send", sockets, new_keys=options.new_host_keys)
    return Peer(host, mirror, collector, options, collect, send)
