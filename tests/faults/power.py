"""Group 3: the power is cut after every call that changes a disk, on ext4 and on xfs.

The workspace lies on a mounted loop image. Each process stops itself after each such call (the shim's
`stop`), the image is copied as it is at that moment, and the process goes on. What was not written to the
image yet is lost, as in a power cut. Each copy is then mounted at the same place in
a mount and process name space of its own, with another boot id: no process of before is there. The agent
recovers, and the checker looks. Needs root.
"""

from __future__ import annotations

import contextlib
import copy
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from faults import case as step_case
from faults import checker, namespaces
from faults.points import point_of
from faults.scenarios import SCENARIOS
from faults.world import World, state_of

if TYPE_CHECKING:
    from pathlib import Path

FILE_SYSTEMS = {
    "ext4": (64 << 20, ["mkfs.ext4", "-q", "-F"], []),
    "xfs": (320 << 20, ["mkfs.xfs", "-q", "-f"], ["-o", "nouuid"]),
}
PLAYED = (
    *(
        "plain",
        "idempotent",
        "refused",
        "retried",
        "cancelled-waiting",
        "dependent",
        "expired",
        "rerun",
        "held",
    ),
    *("pruned", "taken-over"),
)
RECOVERY_LIMIT_S = 60.0


@dataclass(slots=True)
class Cut:
    """The disk and the world outside at one moment."""

    image: Path
    ledger: Path
    history: checker.History
    row: list[str]


@dataclass(slots=True)
class Cutter:
    """Copies the image whenever a process of the world has stopped itself."""

    world: World
    image: Path
    cuts: list[Cut] = field(default_factory=list)
    _seen: int = 0

    def poll(self) -> None:
        """Look for a process that stopped after its latest call."""
        rows = self.world.injected()
        latest = {row[1]: row for row in rows}
        for pid, row in latest.items():
            if state_of(int(pid)) == "T":
                others = [int(other) for other in latest if other != pid and state_of(int(other)) in "SRD"]
                _signal(others, signal.SIGSTOP)
                while any(state_of(other) not in "TX" for other in others):
                    time.sleep(0.0005)  # one in the middle of a call: the copy is to be of one moment
                self._copy(row)
                _signal([int(pid), *others], signal.SIGCONT)

    def _copy(self, row: list[str]) -> None:
        number = len(self.cuts)
        ledger = self.image.with_name(f"ledger.{number}")
        image = self.image.with_name(f"cut.{number}")
        while True:
            before = self.image.stat().st_mtime_ns
            # first what the tools did: a tool that starts while we copy has not started in this world
            ledger.write_bytes(self.world.ledger.read_bytes() if self.world.ledger.exists() else b"")
            subprocess.run(["cp", "--sparse=always", str(self.image), str(image)], check=True)
            if self.image.stat().st_mtime_ns == before:
                break  # nobody wrote meanwhile: the copy is of one moment, and the ledger of no earlier one
        self.cuts.append(Cut(image, ledger, copy.deepcopy(self.world.history), row))


def _signal(pids: list[int], number: int) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def cases(_traces: object, _seed: int) -> list[dict[str, Any]]:
    """Every scenario on every file system; a case cuts the power after each of its calls."""
    if os.geteuid() != 0:
        return []
    return [
        {"group": "power", "scenario": name, "fs": fs, "role": role}
        for fs in FILE_SYSTEMS
        for name in PLAYED
        for role in ("*",)
    ]


def play(base: Path, case: dict[str, Any]) -> dict[str, Any]:
    """Play a scenario once, cutting the power after every call; recover from every cut."""
    size, make, options = FILE_SYSTEMS[case["fs"]]
    scenario = SCENARIOS[case["scenario"]]
    disks = base.with_name(f"{base.name}.disks")
    shutil.rmtree(disks, ignore_errors=True)
    disks.mkdir(parents=True)
    image = disks / "image"
    with image.open("wb") as file:
        file.truncate(size)
    subprocess.run([*make, str(image)], check=True, stdout=subprocess.DEVNULL)
    mounted: list[Path] = []

    def mount(root: Path) -> None:
        subprocess.run(["mount", "-o", "loop", str(image), str(root)], check=True)
        mounted.append(root)

    world = step_case.begin(base, scenario, mount)
    try:
        os.sync()
        cutter = Cutter(world, image)
        world.on_poll = cutter.poll
        world.faults([[case["role"], 1, -1, "stop"]])
        scenario.play(world)
        deadline_s = time.monotonic() + 5
        while time.monotonic() < deadline_s and checker.processes_of(base):
            cutter.poll()
            time.sleep(0.002)
    finally:
        world.kill_all()
        for root in mounted:
            subprocess.run(["umount", str(root)], check=False)
    found: list[str] = []
    try:
        kept = cutter.cuts[:: case.get("every", 1)]
        for number, cut in enumerate(kept):
            said = _recover(world, cut, options, scenario.recoverer)
            found += [f"cut {number} after {' '.join(cut.row[4:7])[:200]}: {text}" for text in said]
            cut.image.unlink(missing_ok=True)
    finally:
        shutil.rmtree(disks, ignore_errors=True)
        world.end()
    unplayed = [text for text in found if "the harness" in text]
    found = [text for text in found if text not in unplayed]
    points = [list(point_of([*cut.row[:2], f"power cut on {case['fs']}", *cut.row[3:]])) for cut in kept]
    answer = {"points": points, "violations": found[:40], "tail": "\n".join(found)[:9000]}
    return answer | ({"broken": "\n".join(unplayed)[:2000]} if unplayed else {})


def _recover(world: World, cut: Cut, options: list[str], recoverer: str) -> list[str]:
    """Boot from the copied disk: recover and check in name spaces of their own."""
    answer = cut.image.with_suffix(".answer")
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            _boot(world, cut, options, recoverer, answer)
            code = 0
        except BaseException as error:  # noqa: BLE001 - the parent reads it
            answer.write_text(json.dumps([f"the harness: {error!r}"]))
        finally:
            os._exit(code)
    deadline_s = time.monotonic() + RECOVERY_LIMIT_S
    while not os.waitpid(pid, os.WNOHANG)[0]:
        if time.monotonic() > deadline_s:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            return ["I5: recovery did not end"]
        time.sleep(0.005)
    if not answer.exists():
        return ["the harness could not boot from the copy"]
    return list(json.loads(answer.read_text()))


def _boot(world: World, cut: Cut, options: list[str], recoverer: str, answer: Path) -> None:
    namespaces.leave(namespaces.NEWNS)
    subprocess.run(
        ["mount", "-o", ",".join(["loop", *options[1:]]), str(cut.image), str(world.root)], check=True
    )
    world.ledger.touch()
    namespaces.cover(world.ledger, cut.ledger)
    namespaces.leave(namespaces.NEWPID)  # last: the first child from now on is its init
    init = os.fork()
    if init:
        os.waitpid(init, 0)
        return  # the mounts go with their name space
    try:
        namespaces.see_own_processes()
        namespaces.boot(cut.image.with_suffix(".boot"))
        after = World(world.base, cut.history)
        after.faults([])
        found = [*checker.torn_files(after.root), *checker.crossed(after.root, after.history)]
        for task_id in [t.task_id for t in cut.history.tasks if t.task_id == "held"]:
            after.run("release", "release", task_id)  # on hold is where it may well be at that moment
        ran = after.recover(recoverer)
        if ran[-1].code != 0:
            found.append(f"I5: recovery ended {ran[-1].code}: {ran[-1].output[-200:]}")
        found += after.findings()
        answer.write_text(json.dumps(sorted(set(found))))
    except BaseException as error:  # noqa: BLE001 - the parent reads it
        answer.write_text(json.dumps([f"the harness: {error!r}"]))
    finally:
        sys.stdout.flush()
        os._exit(0)
