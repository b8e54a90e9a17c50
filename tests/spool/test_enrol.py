"""Whose results a workspace keeps, and until when."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from spool.enrol import EnrolmentError, acknowledge, enrol, enrolment_of, is_enrolled, mark, marked
from spool.names import new_ulid
from spool.records import DamagedError, Result, State, utc_now
from spool.results import STATUS, digest_of_result, finish, finish_moving

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from conftest import Killer

    from spool.workspace import Workspace


def result(task_id: str) -> Result:
    at = utc_now()
    return Result(
        task_id=task_id, tool="shell", command="true", state=State.SUCCEEDED, reason="exit code 0", host="h",
        source_name=f"{task_id}.json", submitted_at=at, finished_at=at,
    )  # fmt: skip


def session(workspace: Workspace, task_id: str) -> Path:
    folder = workspace.sessions / task_id
    folder.mkdir()
    (folder / STATUS).write_text("{}")
    return folder


def test_a_workspace_has_one_collector(workspace: Workspace) -> None:
    """The same one may come again; another, or one that knows another workspace, may not."""
    assert not is_enrolled(workspace)
    first = enrol(workspace, "desk")
    assert enrol(workspace, "desk") == enrol(workspace, "desk", first.workspace_id) == first
    assert enrolment_of(workspace) == first
    with pytest.raises(EnrolmentError, match="is collected by desk"):
        enrol(workspace, "thief")
    with pytest.raises(EnrolmentError, match="another workspace"):
        enrol(workspace, "desk", new_ulid())
    workspace.enrolment.write_text("{")
    with pytest.raises(DamagedError):
        enrol(workspace, "desk")
    assert is_enrolled(workspace)


def test_a_result_is_marked_only_when_somebody_collects(workspace: Workspace) -> None:
    """The mark names the result by its digest; an acknowledgement of an earlier one takes nothing away."""
    finish(workspace, session(workspace, "alone"), result("alone"))
    enrol(workspace, "desk")
    folder = finish(workspace, session(workspace, "collected"), result("collected"))
    assert marked(workspace) == ["collected"]
    acknowledge(workspace, {"collected": "0" * 64, "nobody": "0" * 64})
    assert marked(workspace) == ["collected"]
    acknowledge(workspace, {"collected": digest_of_result(folder)})
    assert marked(workspace) == []


def test_killed_at_any_step_no_result_is_without_its_mark(workspace: Workspace, killer: Killer) -> None:
    """Whoever goes on, in the session or in results/, marks what was not marked."""
    enrol(workspace, "desk")
    numbers = iter(range(1000))
    folder = workspace.sessions

    def prepare() -> Callable[[], Path]:
        nonlocal folder
        folder = session(workspace, f"t{next(numbers)}")
        return lambda: finish(workspace, folder, result(folder.name))

    for _calls in killer.deaths(prepare):
        over = workspace.results / folder.name
        assert not over.exists() or folder.name in marked(workspace)
        if not over.exists():
            finish(workspace, folder, result(folder.name))
        assert folder.name in marked(workspace)


def test_enrolled_while_a_result_is_moved(workspace: Workspace) -> None:
    """Killed right after the move, the status beside the result tells that it is to be marked."""
    over = finish(workspace, session(workspace, "late"), result("late"))
    (over / STATUS).write_text("{}")
    enrol(workspace, "desk")
    finish_moving(workspace, over)
    assert marked(workspace) == ["late"]
    assert not (over / STATUS).exists()


def test_the_folder_of_marks_comes_back(workspace: Workspace) -> None:
    """Somebody removed it."""
    enrol(workspace, "desk")
    workspace.uncollected.rmdir()
    assert marked(workspace) == []
    mark(workspace, "one", "0" * 64)
    assert marked(workspace) == ["one"]
