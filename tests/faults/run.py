"""Plays the fault groups on several workers, keeps what was done in a file, and writes the report.

SIGINT and SIGTERM end it early: its workers and all that they started end too, what was done stays done.
"""
# ruff: noqa: T201, S311 - a program that talks to people, and draws cases, not keys

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import queue
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from faults import checker, groups, report

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import IO

HERE = Path(__file__).resolve().parent
CASE_LIMIT_S = 400.0
LOOK_S = 0.2
ENOUGH = 20
"""So many cases of a group tell how long the others take."""
TASKS_A_SECOND = 15.0
"""How fast eight agents are that are disturbed, for the estimate."""


def shim() -> Path:
    """Compile the shim, once for each of its versions."""
    source = HERE / "shim.c"
    digest = hashlib.sha256(source.read_bytes()).hexdigest()[:16]
    folder = Path(tempfile.gettempdir()) / f"aispool-faults-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.stat().st_uid != os.getuid():
        raise PermissionError(f"{folder} belongs to another user: remove it")
    built = folder / f"shim-{digest}.so"
    if not built.exists():
        temporary = folder / f".shim-{os.getpid()}.so"
        subprocess.run(
            ["cc", "-O1", "-shared", "-fPIC", "-o", str(temporary), str(source), "-ldl"], check=True
        )
        temporary.rename(built)
    return built


def base_folder() -> Path:
    """Return where the worlds lie: in memory, where an fsync costs nothing."""
    memory = Path("/dev/shm")
    parent = memory if os.access(memory, os.W_OK) else Path(tempfile.gettempdir())
    return parent / f"aispool-faults-{os.getuid()}-{os.getpid()}"


class Worker:
    """One worker process; it is started anew when a case hangs or breaks it."""

    def __init__(self, base: Path) -> None:
        self._base = base
        self._process: subprocess.Popen[str] | None = None

    def play(self, case: dict[str, Any]) -> dict[str, Any]:
        """Play one case."""
        process = self._process or self._start()
        assert process.stdin is not None
        assert process.stdout is not None
        limit_s = CASE_LIMIT_S + 2 * case.get("seconds", 0) + case.get("tasks", 0)
        timer = threading.Timer(limit_s, process.kill)
        timer.start()
        try:
            process.stdin.write(json.dumps(case) + "\n")
            process.stdin.flush()
            answer = process.stdout.readline()
        except BrokenPipeError:
            answer = ""
        finally:
            timer.cancel()
        if not answer:
            process.kill()
            process.wait()
            self._process = None
            return {"case": case, "broken": "the worker died or hung", "violations": [], "injected": []}
        return dict(json.loads(answer))

    def _start(self) -> subprocess.Popen[str]:
        environment = dict(os.environ) | {"LD_PRELOAD": str(shim()), "PYTHONPATH": str(HERE.parent)}
        self._process = subprocess.Popen(
            ["nice", "-n", "10", sys.executable, "-m", "faults.worker", str(self._base)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        return self._process

    def close(self) -> None:
        """End it."""
        if self._process is not None:
            assert self._process.stdin is not None
            assert self._process.stdout is not None
            self._process.stdin.close()
            self._process.wait()
            self._process.stdout.close()
            self._process = None


class Stop:
    """Ends a run early, with all that lives in its worlds.

    Args:
        base: where the worlds lie; who has this path in its command line or environment is ours.
    """

    def __init__(self, base: Path) -> None:
        self._base = base
        self.signal: int | None = None

    def install(self) -> None:
        """Take the signals by which people end a program."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._ask)

    def _ask(self, number: int, _frame: object) -> None:
        self.signal = number

    def end(self) -> None:
        """Kill what lives in the worlds; call it again while somebody may still start something."""
        for pid in checker.processes_of(self._base):
            for number in (signal.SIGKILL, signal.SIGCONT):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, number)

    def clear(self) -> None:
        """Remove the worlds, their processes and mounts."""
        while checker.processes_of(self._base):
            self.end()
            time.sleep(LOOK_S)
        for line in reversed(Path("/proc/self/mounts").read_text().splitlines()):
            if (place := line.split()[1]).startswith(f"{self._base}/"):
                subprocess.run(["umount", "--lazy", place], check=False)
        subprocess.run(["rm", "-rf", str(self._base)], check=False)


class Bar:
    """One line that tells how far we are.

    Args:
        total: cases.
        expected_s: how long all of them take one after the other.
        jobs: workers at once.
    """

    def __init__(self, total: int, expected_s: float, jobs: int) -> None:
        self._total, self._done = total, 0
        self._expected_s, self._done_s, self._rate = expected_s, 0.0, float(jobs)
        self._began_s = self._told_s = time.monotonic()
        self.violations = self.broken = 0

    def step(self, answer: dict[str, Any], expected_s: float) -> None:
        """Count one case."""
        self._done += 1
        self._done_s += expected_s
        self.violations += bool(answer["violations"])
        self.broken += "broken" in answer
        now_s = time.monotonic()
        if now_s - self._told_s < (0.5 if sys.stderr.isatty() else 30) and self._done < self._total:
            return
        self._told_s = now_s
        elapsed_s = now_s - self._began_s
        # the first cases tell little of all
        rate = (self._done_s + self._rate * 60) / (elapsed_s + 60)
        left_s = max(self._expected_s - self._done_s, 0) / rate
        filled = 30 * self._done // max(self._total, 1)
        text = (
            f"[{'#' * filled}{'.' * (30 - filled)}] {self._done}/{self._total} cases, "
            f"{self.violations} with violations, {self.broken} broken, {left_s / 60:.0f} min left"
        )
        print(
            f"\r{text}" if sys.stderr.isatty() else text,
            end="" if sys.stderr.isatty() else "\n",
            file=sys.stderr,
        )


def key_of(case: dict[str, Any]) -> str:
    """Name a case by its content."""
    return json.dumps(case, sort_keys=True)


def play_all(
    cases: list[dict[str, Any]],
    jobs: int,
    base: Path,
    out: IO[str],
    *,
    until_s: float = float("inf"),
    expected: Callable[[dict[str, Any]], float] = lambda _case: 2.0,
    stop: Stop | None = None,
) -> tuple[list[Any], Bar]:
    """Play cases on `jobs` workers; every answer is written at once, so that a run can be resumed."""
    bar = Bar(len(cases), sum(map(expected, cases)), jobs)
    stop = stop or Stop(base)
    waiting: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
    for case in cases:
        waiting.put(case)
    answers: list[dict[str, Any]] = []
    commit = report.commit()
    lock = threading.Lock()

    def work(number: int) -> None:
        worker = Worker(base / f"w{number}")
        while time.monotonic() < until_s and stop.signal is None:
            try:
                case = waiting.get_nowait()
            except queue.Empty:
                break
            answer = worker.play(case)
            if stop.signal is not None:
                break  # whatever came of it, it was ended by us
            with lock:
                answers.append(answer)
                kept = report.shortened(answer) | {"commit": commit}
                out.write(json.dumps(kept) + "\n")
                out.flush()
                bar.step(answer, expected(case))
        worker.close()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(jobs)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        threads[0].join(LOOK_S)
        for thread in threads[1:]:
            thread.join(0 if threads[0].is_alive() else LOOK_S)
        if stop.signal is not None:
            stop.end()
    return answers, bar


def main() -> int:
    """Run what the command line asks for."""
    options = _options()
    base = base_folder()
    base.mkdir(parents=True, exist_ok=True)
    options.state.parent.mkdir(parents=True, exist_ok=True)
    if options.fresh:
        options.state.unlink(missing_ok=True)
    stop = Stop(base)
    stop.install()
    try:
        if options.case:
            return _play_one(base, json.loads(options.case))
        answers = report.read(options.state)
        expected = _expectation(answers)
        with options.state.open("a") as out:
            fresh = _cases(base, options, {key_of(answer["case"]) for answer in answers}, stop)
            total_s = sum(map(expected, fresh))
            longest_s = max(map(expected, fresh), default=0.0)
            print(
                f"{len(fresh)} cases, about {max(total_s / options.jobs, longest_s) / 60:.0f} min on quiet "
                f"cores with {options.jobs} workers",
                file=sys.stderr,
            )
            until_s = time.monotonic() + options.minutes * 60
            more = {"until_s": until_s, "expected": expected, "stop": stop}
            _, bar = play_all(fresh, options.jobs, base, out, **more)
        told = {name: (group.title, group.missing()) for name, group in groups.GROUPS.items()}
        report.write(options.state, options.report, told, seed=options.seed)
        print(
            f"\n{options.report}: {bar.violations} cases with violations, {bar.broken} broken",
            file=sys.stderr,
        )
        if stop.signal is not None:
            print(f"stopped; run it again to go on ({options.state})", file=sys.stderr)
            return 128 + stop.signal
        return 1 if bar.violations or bar.broken else 0
    finally:
        stop.clear()


def _play_one(base: Path, case: dict[str, Any]) -> int:
    worker = Worker(base / "w0")
    answer = worker.play(case)
    worker.close()
    shown = {name: value for name, value in answer.items() if name != "tail"}
    print(json.dumps(shown, indent=1), answer.get("tail", ""), sep="\n")
    return 1 if answer["violations"] or "broken" in answer else 0


def _cases(base: Path, options: argparse.Namespace, done: set[str], stop: Stop) -> list[dict[str, Any]]:
    """Return the cases that are to be played, the longest first: nothing waits for them at the end."""
    chosen = options.group or list(groups.GROUPS)
    playable = []
    for name in chosen:
        if why := groups.GROUPS[name].missing():
            print(f"{groups.GROUPS[name].title}: not played: {why}", file=sys.stderr)
        else:
            playable.append(name)
    traces = _traces(base, options, playable, stop)
    if stop.signal is not None:
        return []
    cases = [case for name in playable for case in groups.GROUPS[name].cases(traces, options.seed)]
    random.Random(options.seed).shuffle(cases)
    cases.sort(key=lambda case: -_least_s(case))
    return [case for case in cases if key_of(case) not in done][: options.most]


def _least_s(case: dict[str, Any]) -> float:
    return float(case.get("seconds", 0) + case.get("tasks", 0) / TASKS_A_SECOND)


def _expectation(answers: list[dict[str, Any]]) -> Callable[[dict[str, Any]], float]:
    """Return how long a case takes: as its group's cases took so far, else as they took elsewhere."""
    took: dict[str, list[float]] = {}
    for answer in answers:
        if "seconds" in answer and not _least_s(answer["case"]):
            took.setdefault(answer["case"]["group"], []).append(answer["seconds"])
    means = {name: statistics.mean(of) for name, of in took.items() if len(of) >= ENOUGH}
    usual = {name: means.get(name, group.case_s) for name, group in groups.GROUPS.items()}
    return lambda case: _least_s(case) or usual[case["group"]]


def _traces(base: Path, options: argparse.Namespace, chosen: list[str], stop: Stop) -> groups.Traces:
    """Play what finds every call, without any fault."""
    cases = [
        case
        for name in chosen
        for case in groups.GROUPS[name].traces()
        if not options.scenario or case["scenario"] in options.scenario
    ]
    unique = list({key_of(case): case for case in cases}.values())
    with Path(os.devnull).open("w") as nowhere:
        answers, _ = play_all(unique, options.jobs, base, nowhere, stop=stop)
    for answer in answers:
        if answer["violations"] or "broken" in answer:
            raise SystemExit(f"without any fault: {json.dumps(answer)[-3000:]}")
    return {answer["case"]["scenario"]: answer["injected"] for answer in answers}


def _options() -> argparse.Namespace:
    state = (
        Path(os.environ.get("XDG_STATE_HOME") or "~/.local/state").expanduser()
        / "aispool-faults"
        / "done.jsonl"
    )
    parser = argparse.ArgumentParser(prog="scripts/faults", description=__doc__)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="workers at once")
    parser.add_argument(
        "--group", action="append", choices=list(groups.GROUPS), help="only these; repeatable"
    )
    parser.add_argument("--scenario", action="append", help="kill and error: only these; repeatable")
    parser.add_argument(
        "--seed", type=int, default=1, help="the same seed makes the same cases in the same order"
    )
    parser.add_argument(
        "--minutes", type=float, default=float("inf"), help="stop after so long; run again to go on"
    )
    parser.add_argument("--most", type=int, default=None, help="play at most so many cases")
    parser.add_argument("--fresh", action="store_true", help="forget what was done before")
    parser.add_argument("--state", type=Path, default=state, help="where what was done is kept")
    parser.add_argument("--report", type=Path, default=HERE / "REPORT.md")
    parser.add_argument("--case", help="play one case, given as the JSON of the report, and show all of it")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
