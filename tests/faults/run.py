"""Plays the fault groups on several workers, keeps what was done in a file, and writes the report."""
# ruff: noqa: T201, S311 - a program that talks to people, and draws cases, not keys

from __future__ import annotations

import argparse
import hashlib
import json
import os
import queue
import random
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import IO, Any

from faults import groups, report, steps

HERE = Path(__file__).resolve().parent
CASE_LIMIT_S = 400.0


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


class Bar:
    """One line that tells how far we are."""

    def __init__(self, total: int, done: int) -> None:
        self._total, self._done, self._began_done = total, done, done
        self._began_s = self._told_s = time.monotonic()
        self.violations = self.broken = 0

    def step(self, answer: dict[str, Any]) -> None:
        """Count one case."""
        self._done += 1
        self.violations += bool(answer["violations"])
        self.broken += "broken" in answer
        now_s = time.monotonic()
        if now_s - self._told_s < (0.5 if sys.stderr.isatty() else 30) and self._done < self._total:
            return
        self._told_s = now_s
        left_s = (now_s - self._began_s) / max(self._done - self._began_done, 1) * (self._total - self._done)
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
    cases: list[dict[str, Any]], jobs: int, base: Path, out: IO[str], until_s: float, bar: Bar
) -> list[Any]:
    """Play cases on `jobs` workers; every answer is written at once, so that a run can be resumed."""
    waiting: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
    for case in cases:
        waiting.put(case)
    answers: list[dict[str, Any]] = []
    commit = report.commit()
    lock = threading.Lock()

    def work(number: int) -> None:
        worker = Worker(base / f"w{number}")
        while time.monotonic() < until_s:
            try:
                case = waiting.get_nowait()
            except queue.Empty:
                break
            answer = worker.play(case)
            with lock:
                answers.append(answer)
                kept = report.shortened(answer) | {"commit": commit}
                out.write(json.dumps(kept) + "\n")
                out.flush()
                bar.step(answer)
        worker.close()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(jobs)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def main() -> int:
    """Run what the command line asks for."""
    options = _options()
    base = base_folder()
    base.mkdir(parents=True, exist_ok=True)
    options.state.parent.mkdir(parents=True, exist_ok=True)
    if options.fresh:
        options.state.unlink(missing_ok=True)
    until_s = time.monotonic() + options.minutes * 60
    try:
        if options.case:
            answer = Worker(base / "w0").play(json.loads(options.case))
            print(
                json.dumps({k: v for k, v in answer.items() if k != "tail"}, indent=1),
                answer.get("tail", ""),
                sep="\n",
            )
            return 1 if answer["violations"] or "broken" in answer else 0
        done = {key_of(answer["case"]) for answer in report.read(options.state)}
        chosen = options.group or list(groups.GROUPS)
        with options.state.open("a") as out:
            traces = _traces(base, options) if {"kill", "error", "crowd"} & set(chosen) else {}
            cases = [case for name in chosen for case in groups.GROUPS[name].cases(traces, options.seed)]
            random.Random(options.seed).shuffle(cases)
            cases.sort(
                key=lambda case: -_least_s(case)
            )  # the longest first: nothing waits for them at the end
            fresh = [case for case in cases if key_of(case) not in done][: options.most]
            bar = Bar(len(fresh), 0)
            play_all(fresh, options.jobs, base, out, until_s, bar)
        titles = {name: group.title for name, group in groups.GROUPS.items()}
        report.write(options.state, options.report, titles, seed=options.seed)
        print(
            f"\n{options.report}: {bar.violations} cases with violations, {bar.broken} broken",
            file=sys.stderr,
        )
        return 1 if bar.violations or bar.broken else 0
    finally:
        subprocess.run(["rm", "-rf", str(base)], check=False)


def _least_s(case: dict[str, Any]) -> float:
    return float(case.get("seconds", 0) + case.get("tasks", 0) / 10)


def _traces(base: Path, options: argparse.Namespace) -> dict[str, list[list[str]]]:
    cases = [c for c in steps.trace_cases() if not options.scenario or c["scenario"] in options.scenario]
    with Path(os.devnull).open("w") as nowhere:
        answers = play_all(cases, options.jobs, base, nowhere, float("inf"), Bar(len(cases), 0))
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
