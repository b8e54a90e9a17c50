from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from faults.run import Worker, base_folder

Play = Callable[[dict[str, Any]], dict[str, Any]]


@pytest.fixture(scope="module")
def play() -> Iterator[Play]:
    """Plays one case in a worker process and returns what was injected and what was violated."""
    base = base_folder()
    worker = Worker(base / "w0")

    def one(case: dict[str, Any]) -> dict[str, Any]:
        answer = worker.play(case)
        assert "broken" not in answer, answer["broken"]
        return answer

    yield one
    worker.close()
    shutil.rmtree(base, ignore_errors=True)
