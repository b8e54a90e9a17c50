"""What processes cost, read from proc(5); they are known by a mark in their environment."""

from __future__ import annotations

import os
import re
import signal
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

MARK = "BENCH_MARK"
END_S = 20.0


@dataclass(frozen=True, slots=True)
class Usage:
    """What processes have used up to a moment.

    Args:
        cpu_s: on a processor, all threads that live.
        wakeups: how often one of their threads began to run after it had waited.
    """

    at_s: float
    cpu_s: float
    wakeups: int

    def since(self, before: Usage) -> tuple[float, float]:
        """Return the share of one core and the wake-ups a second since then."""
        passed_s = self.at_s - before.at_s
        return (self.cpu_s - before.cpu_s) / passed_s, (self.wakeups - before.wakeups) / passed_s


def marked(mark: str) -> list[int]:
    """Return the living processes that were started with this mark."""
    wanted = f"{MARK}={mark}".encode()
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit() and int(name) != os.getpid():
            with suppress(OSError):
                if wanted in (Path("/proc") / name / "environ").read_bytes().split(b"\0"):
                    found.append(int(name))
    return found


def usage(pids: list[int]) -> Usage:
    """Read what processes have used so far; schedstat counts nanoseconds, stat only ticks of 10 ms."""
    nanoseconds = wakeups = 0
    for pid in pids:
        for task in Path(f"/proc/{pid}/task").iterdir():
            with suppress(FileNotFoundError, ProcessLookupError):
                nanoseconds += int((task / "schedstat").read_text().split()[0])
                wakeups += _number("voluntary_ctxt_switches", (task / "status").read_text())
    return Usage(time.monotonic(), nanoseconds / 1e9, wakeups)


def resident_mib(pid: int) -> float:
    """Return the resident memory of one process."""
    return _number("VmRSS", Path(f"/proc/{pid}/status").read_text()) / 1024


def proportional_mib(pids: list[int]) -> float:
    """Return the memory of processes, with what they share counted once."""
    total = 0
    for pid in pids:
        with suppress(OSError):
            total += _number("Pss", Path(f"/proc/{pid}/smaps_rollup").read_text())
    return total / 1024


def end(mark: str) -> None:
    """Kill what still carries the mark, and wait until it is gone."""
    deadline_s = time.monotonic() + END_S
    while pids := marked(mark):
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if time.monotonic() > deadline_s:
            raise TimeoutError(f"still there: {pids}")
        time.sleep(0.02)


def _number(name: str, text: str) -> int:
    found = re.search(rf"^{name}:\s+(\d+)", text, re.MULTILINE)
    return int(found[1]) if found else 0
