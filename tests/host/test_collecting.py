"""What an enrolled host keeps, and for how long."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from agent.config import AgentConfig
from agent.host.collecting import (
    forget_stray_marks,
    is_waiting_for_marks,
    mark_all,
    waiting_for_collector,
)
from agent.host.reruns import RerunSearch
from agent.host.retention import prune_now
from agent.host.site import Site, no_room
from agent.tools.registry import Registry
from spool.enrol import acknowledge, enrol, mark, marked
from spool.records import Result, State, utc_now
from spool.results import RESULT, STATUS, digest_of_result

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from spool.workspace import Workspace

ONE_DAY = AgentConfig(keep_days=1.0, keep_log_days=1.0)


def finished(workspace: Workspace, task_id: str) -> Path:
    """Make an old result that can be pruned, and its log."""
    folder = workspace.results / task_id
    folder.mkdir()
    at = utc_now()
    Result(
        task_id=task_id,
        tool="my-tool",
        command="true",
        state=State.SUCCEEDED,
        reason="exit code 0",
        host="h",
        source_name=f"{task_id}.json",
        submitted_at=at,
        finished_at=at,
    ).write(folder / RESULT)
    log = workspace.logs / f"my-tool-{task_id}.log"
    log.write_text("a line\n")
    for path in (folder, log):
        os.utime(path, (0, 0))
    return folder


def left(workspace: Workspace) -> set[str]:
    return {path.name for path in workspace.results.iterdir() if not path.name.startswith(".")}


def test_what_was_there_is_marked_before_anything_is_pruned(workspace: Workspace) -> None:
    """A collector that comes late misses nothing."""
    finished(workspace, "old")
    enrol(workspace, "desk")
    assert is_waiting_for_marks(workspace)
    assert prune_now(workspace, ONE_DAY, utc_now()).results == ()
    mark_all(workspace)
    assert not is_waiting_for_marks(workspace)
    assert marked(workspace) == ["old"]
    assert waiting_for_collector(workspace) == "1 result waits for the collector desk"


def test_marked_results_and_their_logs_stay(workspace: Workspace) -> None:
    """Until the collector has acknowledged them, however old they are."""
    enrol(workspace, "desk")
    mark_all(workspace)
    kept, gone = finished(workspace, "kept-1"), finished(workspace, "gone")
    mark(workspace, "kept-1", digest_of_result(kept))
    assert prune_now(workspace, ONE_DAY, utc_now()).results == (gone.name,)
    assert left(workspace) == {"kept-1"}
    assert [path.name for path in workspace.logs.iterdir()] == ["my-tool-kept-1.log"]
    acknowledge(workspace, {"kept-1": digest_of_result(kept)})
    prune_now(workspace, ONE_DAY, utc_now())
    assert left(workspace) == set()
    assert list(workspace.logs.iterdir()) == []


def test_an_unreadable_enrolment_prunes_nothing(workspace: Workspace) -> None:
    """Nobody knows what was collected."""
    finished(workspace, "old")
    workspace.enrolment.write_text("{")
    assert not is_waiting_for_marks(workspace)
    assert prune_now(workspace, ONE_DAY, utc_now()).results == ()
    assert left(workspace) == {"old"}


def test_marks_of_nothing_go(workspace: Workspace) -> None:
    """Those of a task in session, and of a result, stay."""
    enrol(workspace, "desk")
    finished(workspace, "over")
    (workspace.sessions / "runs").mkdir()
    for task_id in ("over", "runs", "nothing"):
        mark(workspace, task_id, "0" * 64)
    forget_stray_marks(workspace)
    assert set(marked(workspace)) == {"over", "runs"}


def test_a_result_whose_finishing_was_killed_is_marked(workspace: Workspace) -> None:
    """The round over results/ finds its status beside it."""
    folder = finished(workspace, "late")
    (folder / STATUS).write_text("{}")
    enrol(workspace, "desk")
    RerunSearch(workspace).next_slice()
    assert marked(workspace) == ["late"]
    assert not (folder / STATUS).exists()


def test_short_of_disk_it_says_who_is_waited_for(workspace: Workspace, clock: Callable[[], float]) -> None:
    """The reason for which nothing is claimed names the collector."""
    enrol(workspace, "desk")
    mark(workspace, "one", "0" * 64)
    config = AgentConfig(reserve_bytes=1 << 60)
    site = Site(workspace, "A", config, Registry.load(workspace), utc_now, monotonic_s=clock)
    assert "1 result waits for the collector desk" in (no_room(site) or "")
