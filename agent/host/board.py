"""Who is in session, and each step of theirs: launch, observe, settle, rerun, end."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from agent import log
from agent.cluster import CLUSTER
from agent.host.budgets import Budgets
from agent.host.claiming import CANCELLED, end_unstarted, proceed, refuse, take, take_and_end
from agent.host.following import end_by_dependency, ended_by_dependency, unmet_dependency
from agent.host.launching import prepare, start
from agent.host.limiting import limits_of
from agent.host.observing import observe, record_end
from agent.host.recovering import open_session, own_sessions, sessions_of_the_dead
from agent.host.reruns import is_asked
from agent.host.reviewing import ask_for_reviews, intend_review
from agent.host.runners import Busy
from agent.host.schedule import Refuse, Settle
from agent.host.settling import result_of, settle
from agent.host.trouble import TakenOverError, is_everybodys
from agent.host.waiting import WITH_CLUSTER
from spool.attempt import Phase
from spool.claim import TASK, Claim, reclaim_result
from spool.files import sync_names
from spool.known import state_on_disk
from spool.names import is_task_id
from spool.records import DamagedError, Result, State
from spool.refusal import Refusal
from spool.results import finish

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.config import AgentConfig
    from agent.host.dropped import Dropped
    from agent.host.intake import Intake
    from agent.host.outbox import Event, Outbox
    from agent.host.room import Limits
    from agent.host.schedule import WaitingIndex
    from agent.host.session import Session
    from agent.host.site import Site
    from agent.tools.registry import Registry

MOST_AT_ONCE = 500
"""Tasks that are handed to a cluster together; a larger burst need not wait for its last."""
MOST_HERE = 8
"""The same for this machine, where the first is to run within the blink of an eye."""
BUSY_S = 10.0
"""After how long a login that was in use is asked for again."""


class Board:
    """The sessions of one agent."""

    def __init__(self, site: Site, intake: Intake, index: WaitingIndex, outbox: Outbox) -> None:
        self._site = site
        self._intake = intake
        self._index = index
        self._outbox = outbox
        self.sessions: dict[str, Session] = {}
        self.budgets = Budgets(site.workspace, site.config.budgets, site.utc_now)
        self.trouble: str | None = None
        self._said: dict[str, str] = {}
        self._prepared: dict[str, tuple[Session, bool]] = {}

    @property
    def is_ending_something(self) -> bool:
        """Tell whether processes are being ended, which wants a look soon."""
        return any(session.ending is not None for session in self.sessions.values())

    def reload(self, config: AgentConfig, registry: Registry) -> Site:
        """Work with other options from now on; the name stays, it is our lock."""
        self._site = replace(self._site, config=config, registry=registry)
        self._intake.site = self._site
        self._intake.judge_again()
        self._outbox.reload(config)
        self.budgets.reload(config.budgets)
        self._index.touch_all()
        return self._site

    def scan(self) -> None:
        """Take up what we left after a kill or a failing disk, and what dead agents left; look at all."""
        for session in own_sessions(self._site, self.sessions):
            self._join(session)
        for session in sessions_of_the_dead(self._site):
            self._join(session)
        for session in list(self.sessions.values()):
            self._step(session)
        self.start_prepared()
        ask_for_reviews(self._site, self._site.folder)

    def observe_active(self) -> None:
        """Look at the sessions in which something may have happened by itself."""
        for session in list(self.sessions.values()):
            if session.state is not State.DEFERRED:
                self._step(session)

    def next_status_s(self) -> float | None:
        """Return when the next status that was put off is to be written, on the monotonic clock."""
        due = [session.write_at_s for session in self.sessions.values() if session.write_at_s is not None]
        return min(due, default=None)

    def write_statuses(self, due_s: float) -> None:
        """Write what was put off until then, on the monotonic clock."""
        for session in list(self.sessions.values()):
            if session.write_at_s is not None and session.write_at_s <= due_s:
                self._alone(session, lambda one: one.write_status(self._site))

    def answer_bell(self, task_id: str) -> None:
        """Look at one task now."""
        (self._site.bell / task_id).unlink(missing_ok=True)
        session = self.sessions.get(task_id)
        if session is not None:
            self._step(session)
        elif is_task_id(task_id) and is_asked(self._site.workspace, task_id):
            self.rerun(task_id)

    def launch(self, task_id: str) -> bool:
        """Start a waiting task, or the next attempt of a session.

        Raises:
            OSError: no task can be started.
        """
        try:
            self._launch(task_id)
        except TakenOverError as error:
            self._let_go(task_id, str(error))
        except OSError as error:
            if self._is_everybodys(error):
                raise
            if isinstance(error, FileNotFoundError) and not self._has(task_id):
                self._let_go(task_id, str(error))
            else:
                self._fail_alone(task_id, error)
        return True

    def _launch(self, task_id: str) -> None:
        session = self.sessions.get(task_id)
        if session is None:
            dropped = self._intake.get(task_id)
            if dropped is None:
                self._index.remove(task_id)
                return
            task = take(self._site, dropped)
            self._intake.forget(dropped.path)
            session = open_session(self._site, self._site.workspace.sessions / task_id) if task else None
            if session is None:
                self._intake.examine(dropped.path)  # it may have been given back
                return
            if session.attempt is not None:
                raise TakenOverError("another agent has begun it since we published it")
            self.sessions[task_id] = session
        self._index.remove(task_id)
        if self._is_begun(session):
            self._step(session)
        else:
            self._begin(session)

    @staticmethod
    def _is_begun(session: Session) -> bool:
        """Tell whether its last attempt was prepared and not judged: by whom we overtook."""
        attempt = session.attempt
        judged = {record.number for record in session.records}
        return attempt is not None and attempt.number not in judged and attempt.intent.exists()

    def _has(self, task_id: str) -> bool:
        """Tell whether a task's session or claim is still where we had it."""
        session = self.sessions.get(task_id)
        folder = session.folder if session is not None else self._site.folder / task_id
        return (folder / TASK).exists() if session is not None else folder.is_dir()

    def _let_go(self, task_id: str, what: str) -> None:
        """Forget a task that another agent took over, who took us for dead."""
        log.warning("task was taken over by another agent", task_id=task_id, what=what)
        session = self.sessions.get(task_id)
        if session is not None:
            self._drop(session)
        self._index.remove(task_id)
        dropped = self._intake.get(task_id)
        if dropped is not None:
            self._intake.forget(dropped.path)
            self._intake.examine(dropped.path)  # it may have been given back

    def _fail_alone(self, task_id: str, error: OSError) -> None:
        """End a task that cannot be started for reasons of its own, so that it keeps nobody else."""
        log.warning("task cannot be started", task_id=task_id, what=str(error))
        self._index.remove(task_id)
        what = f"it could not be prepared: {error}"
        session = self.sessions.get(task_id)
        if session is not None:
            self._finish(session, result_of(self._site, session, State.FAILED, what))
            return
        mine = Claim(task_id, self._site.folder / task_id)
        if mine.folder.is_dir():
            refuse(self._site, mine, Refusal(what, "mend that and drop it again", task_id=task_id))
        elif (dropped := self._intake.get(task_id)) is not None:
            self._intake.refuse(dropped.path, Refusal(what, "mend that and drop it again", task_id=task_id))

    def end(self, decision: Settle | Refuse) -> bool:
        """End a waiting task that can never start."""
        dropped = self._intake.get(decision.task_id)
        if dropped is None:
            self._index.remove(decision.task_id)
            return True
        if isinstance(decision, Refuse):
            remedy = "remove one of these dependencies and drop the tasks again"
            what = decision.reason.removesuffix(f"; {remedy}")
            refusal = Refusal(what, remedy, field="dependencies", task_id=decision.task_id)
            self._intake.refuse(dropped.path, refusal)
            return True
        self._end_waiting(dropped, State(decision.state), decision.reason)
        return True

    def cancel_waiting(self, task_id: str, reason: str) -> bool:
        """End a waiting task because somebody asked for it; False when it does not wait any more."""
        dropped = self._intake.get(task_id)
        if dropped is None:
            return False
        self._end_waiting(dropped, State.CANCELLED, reason)
        return state_on_disk(self._site.workspace, task_id) == State.CANCELLED

    def _end_waiting(self, dropped: Dropped, state: State, reason: str) -> None:
        take_and_end(self._site, dropped, state, reason)
        self._intake.forget(dropped.path)
        self._index.touch(dropped.task_id)
        self._announce(dropped.task_id)

    def rerun(self, task_id: str) -> None:
        """Take a finished task back into session, because a person asked for it."""
        if task_id in self.sessions or not is_asked(self._site.workspace, task_id):
            return
        mine = reclaim_result(self._site.workspace, self._site.name, task_id)
        if mine is None or proceed(self._site, mine) is None:
            return
        log.info("task runs again", task_id=task_id)
        session = open_session(self._site, self._site.workspace.sessions / task_id)
        if session is not None:
            self._join(session)

    def state_of(self, task_id: str) -> str | None:
        """Return the state of a task that has a session or a result."""
        session = self.sessions.get(task_id)
        if session is not None:
            with_cluster = session.on_cluster and session.state in {State.QUEUED, State.RUNNING}
            return WITH_CLUSTER if with_cluster and session.launched_s is not None else session.state.value
        if (self._site.workspace.sessions / task_id).exists():
            return State.RUNNING.value  # of another agent
        return state_on_disk(self._site.workspace, task_id)

    def limits(self, blocked: str | None, *, draining: bool) -> Limits:
        """Return what may be started now."""
        closed = self.budgets.closed()
        return limits_of(self._site, self.sessions.values(), closed, blocked, draining=draining)

    def launcher_problem(self) -> str | None:
        """Return why sessions cannot be started on this machine at all, or None."""
        launcher = self._site.launcher()
        return launcher.available() if launcher.name != CLUSTER else None

    def _join(self, session: Session) -> None:
        self.sessions[session.task_id] = session
        dropped = self._intake.get(session.task_id)
        if dropped is not None:  # another agent had taken that file, who has lost the task since
            self._intake.forget(dropped.path)
            self._intake.examine(dropped.path)
        self._step(session)

    def _step(self, session: Session) -> None:
        """Bring one session forward as far as it goes."""
        self._alone(session, self._bring_forward)

    def _alone(self, session: Session, step: Callable[[Session], None]) -> None:
        """Do something with one session; what keeps it from that harms no other."""
        try:
            step(session)
        except DamagedError as error:
            self._say(session, str(error))
        except OSError as error:
            if self._is_everybodys(error):
                self.trouble = f"{session.task_id}: {error}"
            self._say(session, str(error))
        else:
            self._said.pop(session.task_id, None)

    def _is_everybodys(self, error: OSError) -> bool:
        ws = self._site.workspace
        return is_everybodys(error, self._site.folder, ws.sessions, ws.results)

    def _say(self, session: Session, what: str) -> None:
        """Log what keeps a session where it is, once."""
        if self._said.get(session.task_id) != what:
            self._said[session.task_id] = what
            log.warning("session is not brought forward", task_id=session.task_id, what=what)

    def _bring_forward(self, session: Session) -> None:
        if not (session.folder / TASK).exists():
            # it is in results/: the disk failed after the rename, when it was no longer in session
            self._drop(session)
            return
        before = session.state
        phase = observe(self._site, session)
        if phase is Phase.ENDED:
            self._settle(session)
        elif phase is Phase.EMPTY:
            self._wait_for_turn(session)
        elif phase is Phase.INTENDED:
            if session.intent is None:
                session.look_at_attempts()  # written since we looked, by an agent that has let go of the task
            self._start_again(session)
        elif session.state is State.WAITING_INPUT and before is not State.WAITING_INPUT:
            self._tell("on-waiting", session)

    def _begin(self, session: Session) -> None:
        refusal = prepare(self._site, session)
        if isinstance(refusal, Busy):
            session.next_attempt_at = self._site.utc_now() + timedelta(seconds=BUSY_S)
            session.change(self._site, State.DEFERRED, refusal.reason)
            self._index.insert(session.retrying())
            return
        if refusal is not None:
            self._finish(session, result_of(self._site, session, State.FAILED, refusal.sentence()))
            return
        self._start(session, is_new=session.attempt is not None and session.attempt.number == 1)

    def _start_again(self, session: Session) -> None:
        """Start a prepared attempt that did not begin, once what it was handed over behind has succeeded."""
        unmet = unmet_dependency(self._site, session)
        if unmet is None:
            if session.on_cluster and session.state is not State.DEFERRED:
                log.warning("wrapper did not come", task_id=session.task_id, what=session.reason)
            self._start(session)
        elif unmet.state is None:
            session.change(self._site, State.QUEUED, unmet.words)
        elif end_by_dependency(self._site, session, unmet.words):
            self._settle(session)

    def _start(self, session: Session, *, is_new: bool = False) -> None:
        """Start a prepared attempt together with others, at the latest once the pass is over."""
        self._prepared[session.task_id] = (session, is_new)
        if len(self._prepared) >= (MOST_AT_ONCE if session.on_cluster else MOST_HERE):
            self.start_prepared()

    def start_prepared(self) -> None:
        """Start what was prepared, in as few calls as can be.

        Raises:
            OSError: the disk; what was not started is started at the next look.
        """
        sync_names()  # a wrapper relies on all that was prepared for it
        prepared, self._prepared = self._prepared, {}
        never = start(self._site, [session for session, _ in prepared.values()]) if prepared else {}
        for session, is_new in prepared.values():
            self._index.touch(session.task_id)
            if is_new:
                self._tell("on-start", session)
        for task_id, words in never.items():
            session, _ = prepared[task_id]
            if session.attempt and record_end(self._site, session.attempt, None, words, None) is Phase.ENDED:
                self._settle(session)

    def _settle(self, session: Session) -> None:
        if (words := ended_by_dependency(session)) is not None:
            self._finish(session, result_of(self._site, session, State.DEPENDENCY_FAILED, words))
            return
        judged = {record.number for record in session.records}
        number = session.attempt.number if session.attempt is not None else 0
        if session.state is State.DEFERRED and not session.cancelled and number in judged:
            # again: a disk that failed while it was settled or prepared has kept it out of line
            session.bound_wait(self._site.utc_now())
            self._index.insert(session.retrying())
            return
        result = settle(self._site, session)
        self.budgets.settled(session.task, session.records)
        if result is None:
            self._index.insert(session.retrying())
        else:
            self._finish(session, result)

    def _wait_for_turn(self, session: Session) -> None:
        if session.cancelled:
            self._drop(session)
            end_unstarted(self._site, session.task, CANCELLED)
            self._announce(session.task_id)
            return
        if session.state is not State.DEFERRED:
            session.change(self._site, State.DEFERRED, "it waits for its turn")
        self._index.insert(session.retrying())

    def _finish(self, session: Session, result: Result) -> None:
        if not session.told:
            self._outbox.add("on-finish", result.encoded)
            session.told = True  # finishing is tried again for as long as the disk fails
        is_reviewed = intend_review(self._site, session.task, result)
        finish(self._site.workspace, session.folder, result)
        if is_reviewed:
            ask_for_reviews(self._site, self._site.folder)
        self._drop(session)
        log.info("task over", task_id=session.task_id, state=result.state, reason=result.reason)

    def _drop(self, session: Session) -> None:
        self.sessions.pop(session.task_id, None)
        self._said.pop(session.task_id, None)
        self._index.remove(session.task_id)
        self._index.touch(session.task_id)

    def _tell(self, event: Event, session: Session) -> None:
        self._outbox.add(event, lambda: session.status(self._site).encoded())

    def _announce(self, task_id: str) -> None:
        file = self._site.workspace.results / task_id / "result.json"
        if file.exists():
            self._outbox.add("on-finish", file.read_bytes)
