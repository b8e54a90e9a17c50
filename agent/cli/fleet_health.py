"""`aispool health --host H|--all`: how hosts are, from their mirrors; our own machine is looked at itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from agent.cli.hosts import ANY, MirrorPlace
from agent.cli.place import failed, print_json

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agent.cli.place import Place


def print_health(place: Place, *, as_json: bool) -> None:
    """Print what is known of each host; exit 1 when one needs a person."""
    from agent.inspect.documents import document  # noqa: PLC0415 - only where it is used

    found = [_of(one) for one in place.places() if one.host != ANY]
    if as_json:
        print_json(document(place.workspace, hosts=found))
    else:
        for one in found:
            for line in _lines(one):
                click.echo(line)
    if any(one["problems"] for one in found):
        raise failed()


def _of(place: Place) -> dict[str, Any]:
    """Return one host's health; the fields are the same for our own machine and for a mirror."""
    from agent.inspect.health import examine  # noqa: PLC0415
    from agent.inspect.queue import counts, pauses  # noqa: PLC0415
    from spool.view import rejected  # noqa: PLC0415

    workspace = place.workspace
    if isinstance(place, MirrorPlace):
        name, agents, problems = place.host, _beats(place), _problems(place)
        seen_at = _seen_at(place)
    else:
        health = examine(workspace)
        name, problems, seen_at = health.host, health.problems, health.checked_at
        agents = [{"name": agent.name, "slots": agent.slots, "state": agent.state} for agent in health.agents]
    return {
        "host": name,
        "seen_at": seen_at,
        "problems": problems,
        "agents": agents,
        "queue": counts(workspace),
        "paused": pauses(workspace),
        "rejected": len(rejected(workspace)),
    }


def _beats(place: MirrorPlace) -> list[dict[str, Any]]:
    from agent.fleet.capacity import Pulses  # noqa: PLC0415

    return [beat.model_dump(mode="json") for beat in Pulses().working(place.there.mirror, 0.0)]


def _seen_at(place: MirrorPlace) -> str | None:
    from agent.fleet.state import read_state  # noqa: PLC0415
    from spool.records import DamagedError, iso  # noqa: PLC0415

    try:
        state = read_state(place.there.mirror)
    except DamagedError:
        return None
    return iso(state.last_seen_at) if state and state.last_seen_at else None


def _problems(place: MirrorPlace) -> list[str]:
    from agent.fleet.reasons import unreachable  # noqa: PLC0415

    dark = unreachable(place.there.mirror)
    beats = _beats(place)
    return [
        *([f"it {dark}"] if dark else []),
        *([] if beats else ["no agent works there"]),
        *(f"the agent {beat['name']}: {beat['disk_error']}" for beat in beats if beat["disk_error"]),
    ]


def _lines(one: dict[str, Any]) -> Iterator[str]:
    from agent.cli.table import size  # noqa: PLC0415
    from agent.sanitize import one_line  # noqa: PLC0415

    yield f"Host {one_line(one['host'])}, seen {one['seen_at'] or 'never'}"
    yield from (f"  ! {one_line(problem)}" for problem in one["problems"])
    for agent in one["agents"]:
        free = f", {size(agent['free_bytes'])} free" if agent.get("free_bytes") else ""
        load = f", load {agent['load']:g}" if agent.get("load") is not None else ""
        about = f"  agent {agent['name']}: {agent['state']}, {agent['slots']} slots{load}{free}"
        yield one_line(about)
    queue = ", ".join(f"{count} {state}" for state, count in one["queue"].items()) or "empty"
    refused = f", {one['rejected']} rejected" if one["rejected"] else ""
    paused = f", paused: {', '.join(one['paused'])}" if one["paused"] else ""
    yield one_line(f"  queue: {queue}{refused}{paused}")
