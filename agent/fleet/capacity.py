"""How much a host can take, from what its agents last said and what is on its way to it."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from agent.fleet.route import UNKNOWN_DURATION_S, Capacity
from spool.records import DamagedError, Record
from spool.workspace import AGENT_PREFIX

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from agent.fleet.hosts import Host
    from agent.fleet.layout import Mirror
    from spool.task import Task

BEAT: Final = "agent.json"
STALE_S: Final = 120.0
"""An agent whose sign of life did not change for so long, while its host was collected, does not work."""


class Beat(Record):
    """What we need of an agent.json; what an older agent does not say is unknown."""

    name: str
    host: str
    slots: int
    state: str = "working"
    disk_error: str | None = None
    running: int = 0
    waiting: int = 0
    tools: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class OnItsWay:
    """A task that a host was given, or will be.

    Args:
        counted: the host's agent counts it already.
    """

    task: Task
    counted: bool


class Pulses:
    """Which agents of a host still work: a sign of life is a change, as a host's clock may be wrong."""

    def __init__(self) -> None:
        self._seen: dict[Path, tuple[int, float]] = {}

    def collected(self, mirror: Mirror, now_s: float) -> None:
        """Look at the signs of life that were just collected."""
        for folder in _agents(mirror):
            path = folder / BEAT
            with suppress(FileNotFoundError):
                changed_ns = path.stat().st_mtime_ns
                if self._seen.get(path, (None, 0.0))[0] != changed_ns:
                    self._seen[path] = (changed_ns, now_s)

    def working(self, mirror: Mirror, now_s: float) -> list[Beat]:
        """Return what the agents that work last said."""
        beats = []
        for folder in _agents(mirror):
            _, since_s = self._seen.get(folder / BEAT, (0, now_s))
            with suppress(DamagedError, OSError):
                beat = Beat.read(folder / BEAT)
                if beat is not None and beat.state != "stopped" and now_s - since_s < STALE_S:
                    beats.append(beat)
        return beats


def _agents(mirror: Mirror) -> list[Path]:
    try:
        return [path for path in mirror.workspace.agents() if path.name.startswith(AGENT_PREFIX)]
    except FileNotFoundError:
        return []


def capacity(
    host: Host, mirror: Mirror, beats: list[Beat], given: Iterable[OnItsWay], unreachable: str | None
) -> Capacity:
    """Put together what is known of one host.

    Args:
        host: as it is configured.
        mirror: its folder.
        beats: of its working agents.
        given: what is on its way to it, or was given to it and is not over.
        unreachable: why it is not reached, when it is not.
    """
    tasks = list(given)
    slots = sum(beat.slots for beat in beats) or host.slots or 1
    counted = sum(1 for one in tasks if one.counted)
    others = max(0, sum(beat.running + beat.waiting for beat in beats) - counted)
    said = frozenset(tool for beat in beats for tool in beat.tools)
    own_s = sum(one.task.weight * _duration_s(one.task) for one in tasks)
    return Capacity(
        name=host.name,
        slots=slots,
        aliases=frozenset({beat.host for beat in beats} | {beat.name for beat in beats}),
        labels=frozenset(host.labels),
        tools=said or (frozenset(host.tools) if host.tools is not None else None),
        problem=unreachable or _problem(mirror, beats),
        taken=others + sum(one.task.weight for one in tasks),
        backlog_s=others * UNKNOWN_DURATION_S + own_s,
    )


def _duration_s(task: Task) -> float:
    return UNKNOWN_DURATION_S if task.estimated_duration is None else task.estimated_duration


def _problem(mirror: Mirror, beats: list[Beat]) -> str | None:
    if not beats:
        return "has no agent at work"
    if (mirror.workspace.configs / "paused").exists():
        return "is paused"
    failing = next((beat.disk_error for beat in beats if beat.disk_error), None)
    return f"has trouble with its disk ({failing[:100]})" if failing else None
