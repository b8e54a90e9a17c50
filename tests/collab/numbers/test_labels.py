from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

from agent import audit
from agent.collab import feedback, labels, memory
from agent.collab.scores import Factors, confidence

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from spool.workspace import Workspace


def good(workspace: Workspace, task_id: str, by: labels.By = "person") -> feedback.Learned:
    return feedback.label(workspace, task_id, good=True, by=by, who="ana")


def bad(workspace: Workspace, task_id: str, by: labels.By = "person") -> feedback.Learned:
    return feedback.label(workspace, task_id, good=False, by=by, who="ana")


def counting(workspace: Workspace, task_id: str) -> bool | None:
    label = labels.read_one(workspace, task_id)
    return None if label is None else label.good


def test_a_label_keeps_what_is_learned_from(workspace: Workspace, run_of: Callable[..., Path]) -> None:
    """Scores, roles and the validator's marks: the run may be pruned afterwards."""
    run_of("r1", domain="security")
    feedback.label(workspace, "r1", good=True, by="person", who="ana", why="it was the disk")
    kept = json.loads((workspace.root / "collab/labels/person/r1.json").read_text())
    assert (kept["good"], kept["who"], kept["why"], kept["domain"]) == (
        True,
        "ana",
        "it was the disk",
        "security",
    )
    assert kept["raw"] == pytest.approx((0.8 * 0.9 * 0.8) ** 0.25)
    assert (kept["consensus_percent"], kept["safety"]) == (80.0, 1.0)
    analyst = next(role for role in kept["roles"] if role["role"] == "analyst")
    assert (analyst["provider"], analyst["model"]) == ("qwen", "qwen-max")
    assert (analyst["checks_passed"], analyst["checks_made"], analyst["independent"]) == (4, 5, True)
    entry = list(audit.entries(workspace))[-1]
    assert (entry.event, entry.task_id, entry.who) == ("labelled", "r1", "ana")


def test_a_persons_word_stands_above_a_checks(workspace: Workspace, run_of: Callable[..., Path]) -> None:
    """Whichever comes first; and when it is taken back, the check's counts again."""
    run_of("r1")
    bad(workspace, "r1", by="check")
    assert counting(workspace, "r1") is False
    good(workspace, "r1")
    bad(workspace, "r1", by="check")
    assert counting(workspace, "r1") is True
    assert feedback.take_back(workspace, "r1", who="ana").label is not None
    assert counting(workspace, "r1") is False


def test_a_person_may_change_their_mind(workspace: Workspace, run_of: Callable[..., Path]) -> None:
    """The later word replaces the earlier; taken back twice is an error that says so."""
    run_of("r1")
    good(workspace, "r1")
    bad(workspace, "r1")
    assert len(labels.read_all(workspace).known) == 1
    assert counting(workspace, "r1") is False
    feedback.take_back(workspace, "r1", who="ana")
    assert counting(workspace, "r1") is None
    with pytest.raises(feedback.LabelError, match="nobody has labelled r1"):
        feedback.take_back(workspace, "r1", who="ana")


@pytest.mark.parametrize("task_id", ["r2", "../r1", "", "x" * 300])
def test_only_runs_are_labelled(workspace: Workspace, run_of: Callable[..., Path], task_id: str) -> None:
    """A misspelt id, and one that is a path, are told; nothing is written."""
    run_of("r1")
    with pytest.raises(feedback.LabelError, match="no collaborative run"):
        good(workspace, task_id)
    with pytest.raises(feedback.LabelError, match="nobody has labelled"):
        feedback.take_back(workspace, task_id, who="ana")
    assert not (workspace.root / "collab/labels").exists()


def test_a_run_in_session_can_be_labelled(workspace: Workspace, run_of: Callable[..., Path]) -> None:
    """As its own post-checks do, before its folder moves."""
    run_of("r1", place="sessions")
    assert good(workspace, "r1", by="check").label is not None


def test_scores_of_the_step_count_where_there_is_no_report(
    workspace: Workspace, run_of: Callable[..., Path]
) -> None:
    """A run that was killed before its report has its scores in the step of phase 4."""
    folder = run_of("r1", report=False)
    step = json.loads((folder / "steps/2-analyst.json").read_text())
    scored = confidence(Factors(0.5, 0.5, 0.5, 0.5))
    step |= {
        "name": "4-consensus",
        "phase": 4,
        "role": "code",
        "response": {
            "consensus": {"percent": 50.0, "coverage_percent": 60.0},
            "confidence": {"percent": scored.percent, "raw": scored.raw, "calibrated": False},
        },
    }
    (folder / "steps/4-consensus.json").write_text(json.dumps(step))
    label = good(workspace, "r1").label
    assert label is not None
    assert label.consensus_percent == 50.0
    assert label.raw == pytest.approx(0.5)
    assert [role.role for role in label.roles] == ["analyst", "validator"]


def test_damaged_labels_are_left_out_and_named(workspace: Workspace, run_of: Callable[..., Path]) -> None:
    """One broken file does not cost the others."""
    for name in ("r1", "r2", "r3"):
        run_of(name)
        good(workspace, name)
    folder = workspace.root / "collab/labels/person"
    (folder / "r2.json").write_text('{"task_id": "r2"')
    (folder / "r3.json").unlink()
    (folder / "r3.json").symlink_to(folder / "r1.json")
    found = labels.read_all(workspace)
    assert [label.task_id for label in found.known] == ["r1"]
    assert len(found.damaged) == 2
    assert "r2.json is damaged" in found.damaged[0]


def test_confidence_is_calibrated_from_the_fiftieth_label(
    workspace: Workspace, run_of: Callable[..., Path]
) -> None:
    """The labels on disk are all there is: with the fiftieth, the next run is calibrated."""
    for number in range(50):
        share = 0.9 if number % 2 else 0.4
        run_of(f"r{number}", factors=Factors(share, share, share, share))
        feedback.label(workspace, f"r{number}", good=bool(number % 2), by="person", who="ana")
        known = confidence(Factors(0.9, 0.9, 0.9, 0.9), labels.calibrator(workspace))
        assert known.calibrated == (number == 49)
    assert (known.percent or 0) > 90
    (workspace.root / "collab/labels/person/r0.json").unlink()
    assert labels.calibrator(workspace).method is None


def test_a_shut_gate_is_no_experience(workspace: Workspace, run_of: Callable[..., Path]) -> None:
    """What was shown as 0 because a command was denied tells nothing about the score."""
    run_of("r1", factors=Factors(0.9, 0.9, 0.9, 0.9, 0.0))
    run_of("r2", factors=Factors(0.9, 0.9, 0.9, 0.9, 0.5))
    good(workspace, "r1")
    good(workspace, "r2")
    (outcome,) = labels.read_all(workspace).outcomes()
    assert outcome.asks
    assert outcome.root == pytest.approx(0.9)


def test_memories_learn_the_outcome(workspace: Workspace, run_of: Callable[..., Path]) -> None:
    """What a run left is marked as good or bad, and unmarked when that is taken back."""
    run_of("r1")
    kept = memory.remember(workspace, "the disk was full", source="analyst", task_id="r1")
    assert good(workspace, "r1").memories == 1
    assert memory.read_all(workspace)[0].entry.outcome == "good"
    feedback.take_back(workspace, "r1", who="ana")
    assert memory.read_all(workspace)[0].entry.outcome is None
    assert os.listdir(workspace.root / "collab/memory") == [f"{kept.id}.json"]
