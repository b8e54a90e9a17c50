"""The second look at what was fetched: that it is what the host has, byte for byte, and what stayed there.

Only what was compared to its end is verified. When a host could not read something, the batch is halved until
the one is found of which that is so; it stays on its host, and its state says why. Links and special files
are no part of a result here; what was left out is listed in the result's `.left-out`.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from agent import log
from agent.fleet.copying import copy, size_bytes, skipped
from agent.fleet.rsync import INCOMPLETE, listed, telling
from agent.sanitize import one_line
from spool.files import put
from spool.results import LEFT_OUT

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from agent.fleet.layout import Mirror
    from agent.fleet.peer import Peer
    from agent.fleet.refused import Refused

MOST_NAMED: Final = 100


@dataclass(slots=True)
class SecondLook:
    """What a comparison with the host showed.

    Args:
        different: as `results/ID` and `logs/NAME`.
        left_out: paths in a result that are neither files nor folders there, by id.
        unread: why a result could not be compared, by id.
    """

    different: set[str] = field(default_factory=set)
    left_out: dict[str, list[str]] = field(default_factory=dict)
    unread: dict[str, str] = field(default_factory=dict)


def verify(peer: Peer, logs: Mapping[str, str | None], complaints: str, refused: Refused) -> set[str]:
    """Return those of some fetched results that are whole and verified, with their logs.

    Args:
        peer: the host.
        logs: the name of its log by result; None: it has none.
        complaints: of the rsync that fetched them; a file that it could not read differs now.
        refused: takes what cannot be read there.

    Raises:
        TransferError: the connection broke.
        CallError: a program is missing here.
        OSError: our own disk.
    """
    seen = SecondLook()
    _look(peer, logs, seen)
    verified = set()
    for task_id, name in logs.items():
        why = seen.unread.get(task_id) or _complaint(complaints, task_id, seen)
        if why is not None:
            refused.add(f"results/{task_id}", f"not all of it can be read there: {why}")
        elif f"results/{task_id}" not in seen.different and f"logs/{name}" not in seen.different:
            _say(peer.mirror, task_id, seen.left_out.get(task_id, []))
            verified.add(task_id)
    return verified


def _complaint(complaints: str, task_id: str, seen: SecondLook) -> str | None:
    """Return what rsync said of a result that is not what the host has."""
    if f"results/{task_id}" not in seen.different:
        return None
    return next((line for line in complaints.splitlines() if f"/results/{task_id}/" in line), None)


def _look(peer: Peer, logs: Mapping[str, str | None], seen: SecondLook) -> None:
    if not logs:
        return
    entries = [f"results/{task_id}/" for task_id in logs]
    entries += [f"logs/{name}{end}" for name in logs.values() if name is not None for end in ("", ".1")]
    here = size_bytes(peer.mirror.incoming / entry for entry in entries)
    ended = copy(peer, entries, "--checksum", "--dry-run", "--itemize-changes", reading_bytes=here)
    if ended.code == INCOMPLETE and len(logs) > 1:
        for half in _halves(logs):
            _look(peer, half, seen)
        return
    if ended.code == INCOMPLETE:
        seen.unread |= dict.fromkeys(logs, telling(ended))
    for change, name in listed(ended.out):
        if not change.startswith(".d"):  # only a folder's time
            parts = os.fsdecode(name).split("/")
            seen.different.add("/".join(parts[:2]).removesuffix(".1"))
    for path in skipped(ended.out):
        place, _, rest = path.partition("/")
        task_id, _, inside = rest.partition("/")
        if place == "results" and task_id in logs and inside:
            seen.left_out.setdefault(task_id, []).append(inside)


def _halves(logs: Mapping[str, str | None]) -> Iterator[dict[str, str | None]]:
    items = list(logs.items())
    middle = len(items) // 2
    yield dict(items[:middle])
    yield dict(items[middle:])


def _say(mirror: Mirror, task_id: str, left_out: list[str]) -> None:
    """List what was left out beside the result; a name that begins with a dot is never one of the host's."""
    path = mirror.incoming / "results" / task_id / LEFT_OUT
    if not left_out:
        path.unlink(missing_ok=True)
        return
    lines = [one_line(name) for name in left_out[:MOST_NAMED]]
    if len(left_out) > MOST_NAMED:
        lines.append(f"and {len(left_out) - MOST_NAMED} more")
    put(path, "".join(f"{line}\n" for line in lines).encode(), durable=False)
    log.warning(
        "links and special files of a result stay on their host",
        host=mirror.name,
        task_id=task_id,
        count=len(left_out),
        first=lines[0],
    )
