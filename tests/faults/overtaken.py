"""Group 7, the single owner: paused after each of its calls, declared dead, overtaken, resumed.

The owner stops itself after a call that changes the disk. A person then says that its host is dead. The other
host is a process in name spaces of its own: another host name, another boot id, and it does not see who holds
the owner's lock, as on a network file system without locks. It takes over. The owner goes on after the other
has ended, or while the other works. Whoever of the two does what, nothing runs twice. Needs root.
"""

from __future__ import annotations

import os
import signal
import socket
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from faults import case as step_case
from faults import checker, namespaces, steps
from faults.points import point_of
from faults.scenarios import LOST, SCENARIOS
from faults.world import World, state_of

if TYPE_CHECKING:
    from pathlib import Path

PLAYED = (
    "plain",
    "idempotent",
    "retried",
    "cancelled",
    "dependent",
    "expired",
    "refused",
    "rerun",
    "timed-out",
)
RESUMED = ("after", "during", "running")
"""After the other agent has ended, as soon as it has taken over, as soon as a tool runs."""
OTHER_LIMIT_S = 60.0


def cases(traces: dict[str, list[list[str]]], _seed: int) -> list[dict[str, Any]]:
    """Each point of the owner, resumed at each of three moments."""
    if os.geteuid() != 0:
        return []
    found = []
    often = steps.Often(1)
    for name in PLAYED:
        calls = steps.counts(traces.get(name, []), "stop").get("agent", [])
        for number in often.thinned("agent", "stop", calls):
            for resumed in RESUMED:
                case = {"group": "crowd", "scenario": name, "paused": number, "resumed": resumed}
                found.append(case)
    return found


def play(base: Path, case: dict[str, Any]) -> dict[str, Any]:
    """Play one case."""
    began_s = time.monotonic()
    scenario = SCENARIOS[case["scenario"]]
    world = step_case.begin(base, scenario)
    try:
        site = [case["site"]] if "site" in case else []
        world.faults([["agent", case["paused"], 1, "stop", *site]])
        overtaking = Overtaking(world, case["resumed"])
        world.on_poll = overtaking.poll
        scenario.play(world)
        world.on_poll = None
        found = overtaking.finish()
        for task in world.history.tasks:
            if task.states != ("expired",):
                task.states += LOST  # a host that is dead takes with it what ran there
        world.recover("C")
        found += world.findings()
        rows = world.injected()
        fault = f"paused, overtaken, resumed {case['resumed']}"
        return {
            "points": [list(point_of([*row[:2], fault, *row[3:]])) for row in rows],
            "violations": sorted(set(found)),
            "seconds": round(time.monotonic() - began_s, 3),
            "tail": world.tail() if found else "",
        }
    finally:
        world.end()


@dataclass(slots=True)
class Overtaking:
    """Waits for the owner to stop, lets another host take over, and wakes it."""

    world: World
    resumed: str
    _other: tuple[int, Path] | None = None
    _owner: int = 0

    def poll(self) -> None:
        """Look whether the owner has stopped; do the rest then, once."""
        if self._other is not None:
            return
        rows = self.world.injected()
        if not rows or state_of(int(rows[0][1])) != "T":
            return
        self._owner = int(rows[0][1])
        folder = self.world.root / "sessions" / ".agent-A"
        (folder / "dead").touch()
        self._other = self.world.start(
            *("other", "agent", "--name", "B", "--slots", "2", "--drain"), before=self._become_another_host
        )
        until = {"after": self._has_ended, "during": self._has_taken_over, "running": self._runs}
        self.world.until(until[self.resumed], OTHER_LIMIT_S)
        os.kill(self._owner, signal.SIGCONT)

    def _has_ended(self) -> bool:
        assert self._other is not None
        return os.waitid(os.P_PID, self._other[0], os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

    def _has_taken_over(self) -> bool:
        log = self.world.root / "logs" / "agent.log"
        return self._has_ended() or (log.exists() and b"taken over" in log.read_bytes())

    def _runs(self) -> bool:
        return self._has_ended() or bool(checker.read_ledger(self.world.ledger))

    def finish(self) -> list[str]:
        """Wait for the other, too; return what was wrong with either."""
        if self._other is None:
            return []
        ran = self.world.wait(*self._other, OTHER_LIMIT_S)
        found = [] if ran.code == 0 else [f"I5: who took over ended {ran.code}: {ran.output[-300:]}"]
        said = [path.read_text(errors="replace") for path in self.world.base.glob("out.*")]
        found += [f"I5: an agent broke: {text[-300:]}" for text in said if "Traceback" in text]
        return found

    def _become_another_host(self) -> None:
        namespaces.leave(namespaces.NEWNS | namespaces.NEWUTS)
        socket.sethostname("elsewhere")
        namespaces.boot(self.world.base / "boot_id")
        lock = self.world.base / "unseen.lock"
        lock.touch()
        held = self.world.root / "sessions" / ".agent-A" / "lock"
        if held.exists():
            namespaces.cover(held, lock)
