from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from agent.config import load
from agent.host.reviewing import ask_for_reviews, intend_review
from agent.host.site import Site
from agent.tools.registry import Registry
from spool.names import child_id, is_task_id
from spool.records import AttemptRecord, Result, State, utc_now
from spool.results import finish
from spool.task import AcceptedTask

if TYPE_CHECKING:
    from pathlib import Path

    from spool.workspace import Workspace


@pytest.fixture
def site(workspace: Workspace) -> Site:
    return Site(workspace, "a1", load(workspace), Registry.load(workspace), utc_now)


def in_session(site: Site, task_id: str = "job", *, review: bool = True) -> tuple[AcceptedTask, Path]:
    task = AcceptedTask(
        task_id=task_id, tool="shell", command="true", review=review, labels=("nightly",),
        source_name=f"{task_id}.json", source_sha256="0" * 64, submitted_at=utc_now(),
    )  # fmt: skip
    folder = site.workspace.sessions / task_id
    folder.mkdir()
    (folder / "task.json").write_text(task.model_dump_json())
    return task, folder


def result(task: AcceptedTask, state: State = State.SUCCEEDED, *, attempts: int = 1) -> Result:
    records = tuple(AttemptRecord(number=n + 1, state=state, reason="over") for n in range(attempts))
    return Result(
        task_id=task.task_id, tool="shell", command="true", state=state, reason="over", host="h",
        source_name=task.source_name, submitted_at=task.submitted_at, finished_at=utc_now(), attempts=records,
    )  # fmt: skip


def dropped(site: Site) -> list[str]:
    return sorted(path.name for path in site.workspace.tasks.glob("*.json"))


def test_a_result_is_reviewed_by_one_task(site: Site) -> None:
    """The task that reviews comes when the result is there, and names it."""
    task, folder = in_session(site)
    over = result(task)
    assert intend_review(site, task, over)
    ask_for_reviews(site, site.folder)
    assert dropped(site) == []
    finish(site.workspace, folder, over)
    ask_for_reviews(site, site.folder)
    ask_for_reviews(site, site.folder)
    assert dropped(site) == ["job.review.json"]
    fields = json.loads((site.workspace.tasks / "job.review.json").read_text())
    assert fields["tool"] == "collab"
    assert fields["command"] == "review"
    assert fields["parameters"] == {"of": "job"}
    assert fields["labels"] == ["nightly"]


def test_a_kill_between_any_two_steps_makes_one_review(site: Site) -> None:
    """Each step done twice, in any state that a kill can leave, comes to the same."""
    task, folder = in_session(site)
    over = result(task)
    for _ in range(2):
        intend_review(site, task, over)
        ask_for_reviews(site, site.folder)
    finish(site.workspace, folder, over)
    note = site.folder / ".reviews" / "job"
    ask_for_reviews(site, site.folder)
    note.touch()  # killed after the drop, before the note was removed
    (site.workspace.tasks / "job.review.json").rename(site.workspace.held / "job.review.json")
    ask_for_reviews(site, site.folder)
    assert dropped(site) == []
    assert not note.exists()


def test_a_review_that_is_over_is_not_asked_for_again(site: Site) -> None:
    """A task that a person runs again keeps the review that it has."""
    task, folder = in_session(site)
    review, review_folder = in_session(site, "job.review", review=False)
    finish(site.workspace, review_folder, result(review))
    over = result(task)
    intend_review(site, task, over)
    finish(site.workspace, folder, over)
    ask_for_reviews(site, site.folder)
    assert dropped(site) == []


@pytest.mark.parametrize(
    ("state", "attempts", "review"),
    [
        (State.CANCELLED, 1, True),
        (State.EXPIRED, 0, True),
        (State.FAILED, 0, True),
        (State.SUCCEEDED, 1, False),
    ],
)
def test_what_has_nothing_to_review_is_not_reviewed(
    site: Site,
    state: State,
    attempts: int,
    review: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    """Neither what never ran, nor what a person ended, nor what nobody wants reviewed."""
    task, _ = in_session(site, review=review)
    assert not intend_review(site, task, result(task, state, attempts=attempts))


def test_an_id_that_has_no_room_for_more_is_cut() -> None:
    """The id of the review is an id, always the same, and another task's is another."""
    long = "x" * 100
    assert is_task_id(child_id(long, "review"))
    assert child_id(long, "review") == child_id(long, "review")
    assert child_id(long, "review") != child_id("x" * 99 + "y", "review")
    assert child_id("job", "review") == "job.review"
