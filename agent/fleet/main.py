"""Starting the collector: its lock, its options, its log; then rounds until it is told to stop."""

from __future__ import annotations

import signal
import sys
from typing import TYPE_CHECKING, Any

from agent import log
from agent.config import load
from agent.fleet.engine import Collector, lock
from agent.fleet.sending import Sending

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.config import AgentConfig
    from spool.workspace import Workspace

RESTART_PATIENCE_S = 5.0
"""A collector that is just being ended holds the lock for a moment."""
LOG = "collector.log"


def make(workspace: Workspace, config: AgentConfig) -> Collector:
    """Return a collector that also sends; see `Collector` for what it raises."""

    def sending(collector: Collector) -> Sending:
        def hosts() -> dict[str, Any]:
            return {name: peer.host for name, peer in list(collector.peers.items())}

        return Sending(collector.fleet, hosts, config.rules(), files=collector.files)

    return Collector(workspace, config, sending)


def run(
    workspace: Workspace,
    *,
    once: bool,
    changes: dict[str, Any],
    progress: Callable[[str, int, float], None] | None = None,
) -> int:
    """Collect until SIGTERM or SIGINT; or with `once`, make one round, and exit 1 when a host failed.

    Args:
        workspace: the collector's own.
        once: for cron and timers.
        changes: options of [collector] that are set otherwise for this run.
        progress: told of transfers: the host, how much is done, in bytes and of 1, in many threads.

    Raises:
        ConfigError: an options file, or the list of hosts, cannot be used.
        NameTakenError: another collector works here.
    """
    config = load(workspace)
    options = type(config.collector).model_validate(config.collector.model_dump() | changes)
    config = config.model_copy(update={"collector": options})
    mine = lock(workspace, RESTART_PATIENCE_S)
    try:
        log.open_log(workspace.logs / LOG, config.name, to_terminal=sys.stderr.isatty())
        collector = make(workspace, config)
        collector.progress = progress
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: collector.end())
        if once:
            return 0 if collector.run_once() else 1
        collector.run()
    finally:
        log.close_log()
        mine.release()
    return 0
