"""What the agent makes of what a cluster says, which comes late, or was said before."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from agent.config import load
from agent.host.launching import prepare, start
from agent.host.limiting import limits_of
from agent.host.observing import LAST_WORDS_S, RELAUNCH_S, observe, record_end
from agent.host.session import Session
from agent.host.site import Site
from agent.host.waiting import Lane
from agent.launchers import LaunchError, NeverStartsError, SessionExists, Start
from agent.launchers.base import Outlook
from agent.tools.registry import Registry
from spool.attempt import Phase
from spool.files import make_folder
from spool.records import Exit, Started, State, utc_now
from spool.task import AcceptedTask

if TYPE_CHECKING:
    from collections.abc import Sequence

    from spool.workspace import Workspace


@dataclass
class Scripted:
    """A cluster that says what a test wants."""

    name = "slurm"
    says: Outlook = field(default_factory=lambda: Outlook(may_run=True, words="it waits", in_line=True))
    errors: list[LaunchError] = field(default_factory=list)
    problem: str | None = None
    started: list[Start] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)

    def available(self) -> str | None:
        return self.problem

    def session_name(self, task_id: str) -> str:
        return f"task-{task_id}"

    def start_all(self, starts: Sequence[Start]) -> dict[str, LaunchError]:
        self.started += starts
        return {starts[0].task_id: self.errors.pop(0)} if self.errors else {}

    def outlook(self, _task_id: str) -> Outlook:
        return self.says

    def refusal(self, _resources: object, _time_s: float) -> None:
        return None

    def attach_command(self, task_id: str) -> list[str]:
        return ["join", self.says.words, task_id]

    def end(self, task_id: str) -> None:
        self.ended.append(task_id)


class Stand:
    """An agent with a scripted cluster, and one task of it whose attempt is prepared."""

    def __init__(self, workspace: Workspace) -> None:
        (workspace.configs / "agent.toml").write_text('launcher = "slurm"\nreserve_bytes = 0\n')
        self.now_s = 100.0
        self.cluster = Scripted()
        self.site = Site(
            workspace,
            "a",
            load(workspace),
            Registry.load(workspace),
            utc_now,
            monotonic_s=lambda: self.now_s,
            launchers={"slurm": self.cluster},  # type: ignore[dict-item]
        )
        make_folder(self.site.bell)

    def session(self, **more: Any) -> Session:
        fields = {"task_id": "t", "tool": "shell", "command": "true", "source_name": "t.json", **more}
        task = AcceptedTask.model_validate({**fields, "source_sha256": "", "submitted_at": datetime.now(UTC)})
        folder = self.site.workspace.sessions / "t"
        make_folder(folder)
        (folder / "task.json").write_text(task.model_dump_json())
        session = Session(task, folder, State.QUEUED, "", datetime.now(UTC))
        assert prepare(self.site, session) is None
        return session

    def says(self, words: str, *, may_run: bool = False, in_line: bool = False, ago_s: float = 0.0) -> None:
        self.cluster.says = Outlook(may_run, words, in_line, asked_s=self.now_s - ago_s)

    def begun(self, session: Session) -> None:
        """Let its wrapper run on a node from which no lock is seen here."""
        assert session.attempt is not None
        Started(
            wrapper_pid=1,
            wrapper_start_ticks=1,
            tool_pid=1,
            tool_start_ticks=1,
            boot_id="x",
            started_at=utc_now(),
        ).write(session.attempt.started)

    def exit(self, session: Session, by: str | None) -> None:
        assert session.attempt is not None
        now = utc_now()
        Exit(ended_by=by, started_at=now, finished_at=now, duration_s=0.0).write(session.attempt.exit)

    def cluster_said(self, session: Session) -> str:
        assert session.attempt is not None
        return session.attempt.ended_by_cluster.read_text()


@pytest.fixture
def stand(workspace: Workspace) -> Stand:
    return Stand(workspace)


@pytest.mark.parametrize("words", ["it waits in Slurm's queue", "Slurm does not know its job any more"])
def test_what_was_said_before_it_began_loses_nothing(stand: Stand, words: str) -> None:
    """Its files are newer than the answer; only one that was asked for later says that it is gone."""
    session = stand.session()
    waits = words.startswith("it waits")
    stand.says(words, may_run=waits, in_line=waits)
    stand.begun(session)
    stand.now_s += 1
    for _ in range(3):
        assert observe(stand.site, session) is Phase.RUNNING
    assert session.attempt is not None
    assert not session.attempt.exit.exists()
    stand.now_s += 1
    stand.says(words, may_run=waits, in_line=waits)
    assert observe(stand.site, session) is Phase.ENDED
    ended = Exit.read(session.attempt.exit)
    assert ended is not None
    assert ended.ended_by == "lost"
    assert stand.cluster.ended == (["t"] if waits else [])


def test_the_wrappers_own_word_stays(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    """An `exit` that a network file system shows late is not replaced by ours."""
    session = stand.session()
    stand.begun(session)
    stand.exit(session, None)
    attempt = session.attempt
    assert attempt is not None
    monkeypatch.setattr(type(attempt.exit), "exists", lambda _path: False)
    record_end(stand.site, attempt, "lost", "nobody saw it", Started.read(attempt.started))
    ended = Exit.read(attempt.exit)
    assert ended is not None
    assert ended.ended_by is None


def test_last_words_are_asked_for_after_the_end(stand: Stand) -> None:
    session = stand.session()
    stand.begun(session)
    stand.says("it runs in Slurm's job 7 on n1", may_run=True)
    stand.exit(session, "shutdown")
    stand.now_s += 1
    assert observe(stand.site, session) is Phase.RUNNING
    stand.now_s += 1
    stand.says("Slurm says of its job: PREEMPTED")
    assert observe(stand.site, session) is Phase.ENDED
    assert stand.cluster_said(session).endswith("PREEMPTED")


def test_last_words_are_not_waited_for_without_end(stand: Stand) -> None:
    """A controller that is away keeps no result back."""
    session = stand.session()
    stand.begun(session)
    stand.says("it runs in Slurm's job 7 on n1", may_run=True)
    stand.exit(session, "shutdown")
    stand.now_s += 1
    assert observe(stand.site, session) is Phase.RUNNING
    stand.now_s += LAST_WORDS_S
    assert observe(stand.site, session) is Phase.ENDED
    assert "job 7" not in stand.cluster_said(session)


def test_a_job_that_was_put_back_after_its_end_is_cancelled(stand: Stand) -> None:
    session = stand.session()
    stand.begun(session)
    stand.exit(session, "shutdown")
    observe(stand.site, session)
    stand.now_s += 1
    stand.says("it waits in Slurm's queue (BeginTime)", may_run=True, in_line=True)
    assert observe(stand.site, session) is Phase.ENDED
    assert stand.cluster.ended == ["t"]


def test_what_the_cluster_did_not_take_counts_against_its_bound(stand: Stand) -> None:
    """Else, while sbatch fails, every task would be claimed; one that is tried again later does not count."""
    session = stand.session()
    stand.cluster.errors.append(LaunchError("sbatch fails"))
    assert start(stand.site, [session]) == {}
    assert session.state is State.DEFERRED
    assert session.running().occupies_slot
    session.next_attempt_at = datetime.now(UTC) + timedelta(hours=1)
    assert not session.running().occupies_slot


def test_a_job_that_came_to_nothing_is_told_before_the_next(stand: Stand) -> None:
    """A node that lacks the workspace or the interpreter, say."""
    session = stand.session()
    start(stand.site, [session])
    stand.now_s += 1
    stand.says("Slurm says of its job: FAILED (NonZeroExitCode)")
    assert observe(stand.site, session) is Phase.RUNNING
    assert "NonZeroExitCode" in _status(session)["reason"]
    stand.now_s += RELAUNCH_S
    assert observe(stand.site, session) is Phase.INTENDED


def test_what_is_never_taken_is_told(stand: Stand) -> None:
    session = stand.session()
    stand.cluster.errors.append(NeverStartsError("Invalid qos"))
    assert start(stand.site, [session]) == {"t": "Invalid qos"}


@pytest.mark.parametrize("is_same", [False, True])
def test_only_the_job_of_another_attempt_is_ended(stand: Stand, is_same: bool) -> None:  # noqa: FBT001
    session = stand.session()
    stand.cluster.errors.append(SessionExists("there", is_same=is_same))
    start(stand.site, [session])
    assert stand.cluster.ended == ([] if is_same else ["t"])
    assert len(stand.cluster.started) == (1 if is_same else 2)


def test_how_to_join_is_the_running_jobs(stand: Stand) -> None:
    """Neither of the job before, nor of a launcher that is configured by now."""
    session = stand.session()
    start(stand.site, [session])
    stand.begun(session)
    stand.says("old", may_run=True, ago_s=10)
    observe(stand.site, session)
    assert "attach" not in _status(session) or _status(session)["attach"] is None
    stand.now_s += 1
    stand.says("new", may_run=True)
    (stand.site.workspace.configs / "agent.toml").write_text('launcher = "tmux"\n')
    observe(stand.site, session)
    assert _status(session)["attach"] == "join new t"


def test_a_person_may_take_as_long_as_allowed(stand: Stand) -> None:
    """Slurm's limit leaves room for the time that does not count."""
    session = stand.session(interactive=True, timeout=60, waiting_timeout=5000)
    start(stand.site, [session])
    assert session.intent is not None
    time_s = stand.cluster.started[0].time_s
    assert time_s is not None
    assert (time_s > 5000) is session.intent.interactive
    assert time_s >= 60 + stand.site.config.slurm.spare_s


def test_a_silent_cluster_keeps_only_its_own_tasks(stand: Stand) -> None:
    stand.cluster.problem = "Slurm's controller does not answer"
    limits = limits_of(stand.site, [], (), None, draining=False)
    assert limits.obstacle(Lane("shell", None, 1, None, on_cluster=True)) == stand.cluster.problem
    assert limits.obstacle(Lane("shell", None, 1, None)) is None


def test_a_cancelled_job_is_cancelled_before_its_attempt_is(stand: Stand) -> None:
    session = stand.session()
    (session.folder / "cancel").touch()
    seen = []
    assert session.attempt is not None
    exit_file = session.attempt.exit
    stand.cluster.end = lambda _task_id: seen.append(exit_file.exists())  # type: ignore[method-assign, assignment]
    assert observe(stand.site, session) is Phase.ENDED
    assert seen == [False]


def _status(session: Session) -> dict[str, Any]:
    status: dict[str, Any] = json.loads((session.folder / "status.json").read_text())
    return status
