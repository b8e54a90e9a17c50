"""fleet/HOST/state.json: how a host is, for people and for whoever chooses a host."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from spool.records import SCHEMA_VERSION, Record, Utc

if TYPE_CHECKING:
    from agent.fleet.layout import Mirror


class HostState(Record):
    """One host, as the collector last saw it.

    Args:
        address: where it was looked for.
        reachable: null: it was never tried.
        since: when `reachable` became what it is.
        last_seen_at: when it last answered.
        collected_at: when all that it had was last collected.
        error: why the last try failed, as one sentence; null when it did not.
        attempt: tries that failed since it last answered.
        next_try_at: when it is tried again, if nothing happens before.
        problem: why nothing of what it shows is believed, as one sentence.
        enrolled: its results are kept until we have them.
        waiting, running, uncollected: tasks that wait and that run there, results that we do not hold yet.
        refused: files of it that are not shown, and why; the first of `refused_count`.
        unaccounted: tasks that it had and shows no more; nobody knows what became of them.
    """

    schema_version: int = SCHEMA_VERSION
    host: str
    address: str
    reachable: bool | None = None
    since: Utc | None = None
    last_seen_at: Utc | None = None
    collected_at: Utc | None = None
    error: str | None = None
    attempt: int = 0
    next_try_at: Utc | None = None
    problem: str | None = None
    enrolled: bool = False
    waiting: int = 0
    running: int = 0
    uncollected: int = 0
    refused: tuple[str, ...] = ()
    refused_count: int = 0
    unaccounted: tuple[str, ...] = Field(default=())


def read_state(mirror: Mirror) -> HostState | None:
    """Return a host's state; None while it was never looked at.

    Raises:
        DamagedError: the file cannot be read.
    """
    return HostState.read(mirror.state_file)


def write_state(mirror: Mirror, state: HostState) -> None:
    """Replace the file; what a power cut takes from it, the next round writes again."""
    state.write(mirror.state_file, durable=False)
