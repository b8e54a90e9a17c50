"""How a run turned out, in a person's words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from agent.collab import feedback, labels
from agent.collab.scores.calibration import PLATT_FROM
from agent.service.errors import ServiceError

if TYPE_CHECKING:
    from agent.collab.feedback import Learned
    from agent.service.places import Desk
    from spool.workspace import Workspace

Outcome = Literal["good", "bad", "none"]


def label(desk: Desk, task_id: str, outcome: Outcome, *, by: str, why: str = "") -> dict[str, Any]:
    """Say how a run turned out; `none` takes it back.

    Returns:
        label (null, or good, by, who, why, labelled_at), labelled (how many runs are), needed (from how many
        on Confidence is calibrated), tuned (names in roles.toml), problem (why nothing was tuned, or null).

    Raises:
        ServiceError: there is no such run, or nothing to take back.
    """
    try:
        learned = say(desk.workspace, task_id, outcome, by=by, why=why)
    except feedback.LabelError as error:
        raise ServiceError("not_found", str(error)) from None
    known, needed = calibration(desk.workspace)
    return {
        "label": shown(desk.workspace, task_id),
        "labelled": known,
        "needed": needed,
        "tuned": list(learned.tuned),
        "problem": learned.problem,
    }


def say(workspace: Workspace, task_id: str, outcome: Outcome, *, by: str, why: str = "") -> Learned:
    """Write the label, or take it back.

    Raises:
        LabelError: there is no such run, or nothing to take back.
    """
    if outcome == "none":
        return feedback.take_back(workspace, task_id, who=by)
    return feedback.label(workspace, task_id, good=outcome == "good", by="person", who=by, why=why)


def calibration(workspace: Workspace) -> tuple[int, int]:
    """Return how many labelled outcomes are known, and from how many on Confidence is calibrated."""
    return len(labels.read_all(workspace).outcomes()), PLATT_FROM


def shown(workspace: Workspace, task_id: str) -> dict[str, Any] | None:
    """Return the label that counts for a run; None when there is none."""
    found = labels.read_one(workspace, task_id)
    return (
        found.model_dump(mode="json", include={"good", "by", "who", "why", "labelled_at"}) if found else None
    )
