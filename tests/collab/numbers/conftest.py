from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from collab.numbers.made import NOON, step, verdict

from agent.collab.records import QuestionRecord
from agent.collab.scores import Factors, confidence
from spool.files import make_folder, put_new

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime
    from pathlib import Path

    from agent.collab.records import StepRecord
    from spool.workspace import Workspace


@pytest.fixture
def run_of(workspace: Workspace) -> Callable[..., Path]:
    """Write a run's files as the pipeline leaves them; return its collab/ folder."""

    def write(
        task_id: str,
        steps: Sequence[StepRecord] | None = None,
        *,
        place: str = "results",
        domain: str | None = None,
        consensus: float | None = 80.0,
        factors: Factors | None = None,
        report: bool = True,
        asked_at: datetime = NOON,
    ) -> Path:
        folder = workspace.root / place / task_id / "collab"
        make_folder(folder / "steps")
        question = QuestionRecord(
            task_id=task_id, text="why?", type="performance", domain=domain, asked_at=asked_at
        )
        question.write(folder / "question.json")
        steps = steps if steps is not None else [step("2-analyst", "analyst"), verdict("analyst", 4, 5)]
        for each in steps:
            put_new(folder / "steps" / f"{each.name}.json", each.encoded())
        scored = confidence(factors or Factors(0.8, 1.0, 0.9, consensus and consensus / 100))
        if report:
            shown = {
                "consensus": {"percent": consensus, "coverage_percent": 90.0, "agreements": []},
                "confidence": {
                    "percent": scored.percent,
                    "raw": scored.raw,
                    "calibrated": scored.calibrated,
                    "factors": {n: getattr(scored.factors, n) for n in Factors.__dataclass_fields__},
                },
            }
            (folder / "report.json").write_text(json.dumps({"schema_version": 1, "summary": "…", **shown}))
        return folder

    return write
