"""A run that is ended early leaves nothing alive, and what it has done."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from faults import checker

LIMIT_S = 60.0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_ends_the_workers_and_what_they_started(tmp_path: Path, number: int) -> None:
    """Each answer that was written is whole; the worlds and their processes are gone."""
    state = tmp_path / "state.jsonl"
    paths = ["--state", str(state), "--report", str(tmp_path / "REPORT.md")]
    command = [sys.executable, "-m", "faults.run", "--group", "killset", "--jobs", "2", *paths]
    tests = Path(__file__).resolve().parents[1]
    with subprocess.Popen(
        command, cwd=tests.parent, env=os.environ | {"PYTHONPATH": str(tests)}, stderr=subprocess.DEVNULL
    ) as run:
        ends_s = time.monotonic() + LIMIT_S
        while not (state.exists() and state.read_text().count("\n") >= 2):
            assert time.monotonic() < ends_s
            assert run.poll() is None
            time.sleep(0.05)
        run.send_signal(number)
        assert run.wait(LIMIT_S) == 128 + number
    assert checker.processes_of(Path(f"aispool-faults-{os.getuid()}-{run.pid}")) == {}
    answers = [json.loads(line) for line in state.read_text().splitlines()]
    assert len(answers) >= 2
    assert [answer for answer in answers if answer["violations"] or "broken" in answer] == []
