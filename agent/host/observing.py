"""What goes on in a session, read from its attempt's files and locks; never from the terminal.

A wrapper that lives is left alone. One that never came is launched again. One that died is taken note of
under its own lock: what is left of its tool is ended first, then the attempt is recorded as lost.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from agent import log
from agent.host.launching import launcher_of
from agent.host.session import attach_command
from agent.launchers import LaunchError
from agent.proctree import Ending, Tree
from agent.tools.adapters import adapter_of
from spool.attempt import Phase
from spool.files import put, put_new, read_regular
from spool.records import Exit, Started, State

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agent.host.session import Session
    from agent.host.site import Site
    from agent.launchers.base import Outlook
    from spool.attempt import Attempt

RELAUNCH_S = 15.0
"""A wrapper that has not come by then is launched again; should both come, one of them refuses."""
LAST_WORDS_S = 30.0
"""So long a cluster is given to say why it ended an attempt, before the end is told without its words."""
QUESTION_BYTES = 1 << 20


def observe(site: Site, session: Session) -> Phase:
    """Bring our picture of a session up to date and return how far its attempt is.

    ENDED: to be settled. INTENDED: to be launched (again). EMPTY: to be prepared. Otherwise look later.
    """
    attempt = session.attempt
    if attempt is None:
        return Phase.EMPTY
    phase = attempt.phase()
    if phase is Phase.RUNNING:
        _running(site, session, attempt)
    elif phase in {Phase.ORPHANED, Phase.VANISHED}:
        return _gone(site, session, attempt)
    elif phase is Phase.ENDED and session.on_cluster:
        return _note_end(site, session, attempt)
    elif phase is Phase.INTENDED and session.cancelled:
        return _cancel_unstarted(site, session, attempt)
    elif phase is Phase.INTENDED and _is_to_come(site, session):
        return Phase.RUNNING
    return phase


def _note_end(site: Site, session: Session, attempt: Attempt) -> Phase:
    """Write down what the cluster says of an attempt that it ended; later it may not know it any more."""
    ended = Exit.read(attempt.exit)
    if ended is None or ended.ended_by != "shutdown" or attempt.ended_by_cluster.exists():
        return Phase.ENDED
    outlook = _outlook(site, session)
    since_s = _gone_since_s(site, session)
    if outlook is not None and outlook.asked_s <= since_s:
        if site.monotonic_s() < since_s + LAST_WORDS_S:
            return Phase.RUNNING  # what it said last was said before
        outlook = None
    words = f"Slurm ended it while it ran: {outlook.words if outlook else 'it does not say why'}"
    put(attempt.ended_by_cluster, words.encode())
    if outlook is not None and outlook.in_line:
        _end_job(site, session)  # put back in line, it would begin only to refuse
    return Phase.ENDED


def _gone_since_s(site: Site, session: Session) -> float:
    """Return since when the attempt is not seen to run; what a cluster said before is no news of it."""
    if session.gone_s is None:
        session.gone_s = site.monotonic_s()
    return session.gone_s


def _is_to_come(site: Site, session: Session) -> bool:
    """Tell whether the attempt's wrapper may still come from what was started."""
    outlook = _outlook(site, session)
    if outlook is None:
        return not launch_is_due(site, session)
    if outlook.may_run:
        session.change(site, State.QUEUED, outlook.words)
        return True
    # no sooner, or a node that takes no job would get the same one again and again
    if launch_is_due(site, session):
        return False
    if session.state is not State.DEFERRED:  # else it says why it was not taken
        session.change(site, State.QUEUED, f"{outlook.words}; it is handed over again")
    return True


def _gone(site: Site, session: Session, attempt: Attempt) -> Phase:
    """Judge an attempt of whose wrapper no lock is seen; locks do not reach every node of a cluster."""
    outlook = _outlook(site, session)
    if outlook is None:
        return _lost(site, session, attempt, None)
    is_old = outlook.asked_s <= _gone_since_s(site, session)  # it may have begun or ended since
    if is_old or (outlook.may_run and not outlook.in_line):
        if not is_old:
            session.gone_s = None
        _running(site, session, attempt)
        return Phase.RUNNING
    phase = _lost(site, session, attempt, f"Slurm ended it while it ran: {outlook.words}")
    if phase is Phase.ENDED and outlook.in_line:
        _end_job(site, session)  # put back in line, it would begin only to refuse
    return phase


def _outlook(site: Site, session: Session) -> Outlook | None:
    return launcher_of(site, session).outlook(session.task_id)


def launch_is_due(site: Site, session: Session) -> bool:
    """Tell whether the wrapper was not started by us, or did not come in time."""
    return session.launched_s is None or site.monotonic_s() >= session.launched_s + RELAUNCH_S


def _running(site: Site, session: Session, attempt: Attempt) -> None:
    if session.started is None:
        session.started = Started.read(attempt.started)
        if session.started is None:
            return  # its wrapper is about to write it
    if session.on_cluster and session.attach is None:
        _note_attach(site, session)
    question = _question(site, session, attempt)
    if question is None:
        session.question = None
        changed = session.change(
            site, State.RUNNING, f"attempt {attempt.number} runs", soon=not session.on_cluster
        )
    else:
        session.question = question
        changed = session.change(site, State.WAITING_INPUT, "it waits for a person's answer")
    if changed:
        log.info("session observed", task_id=session.task_id, state=session.state)


def _note_attach(site: Site, session: Session) -> None:
    """Let status.json say how to join a job, as soon as the cluster says on which node it runs."""
    outlook = _outlook(site, session)
    if session.intent is not None and outlook is not None and outlook.may_run and not outlook.in_line:
        if session.launched_s is not None and outlook.asked_s <= session.launched_s:
            return  # that was the attempt before
        session.attach = attach_command(site, session.intent)
        session.unwritten = session.attach is not None


def _question(site: Site, session: Session, attempt: Attempt) -> str | None:
    """Return what a person is asked, in words; None while nobody is."""
    try:
        raw = read_regular(attempt.waiting, QUESTION_BYTES).decode(errors="replace").strip()
    except FileNotFoundError:
        return None
    except OSError:
        return "it waits, but its question cannot be read"
    tool = site.registry.get(session.task.tool)
    return adapter_of(tool).question(raw) if tool else raw


def _lost(site: Site, session: Session, attempt: Attempt, why: str | None) -> Phase:
    started = Started.read(attempt.started)
    if session.ending is None:
        log.warning("wrapper is gone", task_id=session.task_id, attempt=attempt.number)
        session.ending = Ending(_tree(site, attempt, started), site.config.grace_s)
    if not session.ending.step(site.monotonic_s()):
        session.change(site, State.RUNNING, "its wrapper died; what is left of the tool is being ended")
        return Phase.ORPHANED
    session.ending = None
    if why is None:
        rebooted = started is not None and started.boot_id != site.boot
        why = "the machine went down while it ran" if rebooted else "its wrapper was killed while it ran"
    return record_end(site, attempt, "lost", f"{why}; nobody saw how it ended", started)


def _tree(site: Site, attempt: Attempt, started: Started | None) -> Tree:
    known = started is not None and started.boot_id == site.boot
    return Tree(
        str(attempt.folder),
        attempt.tree_lock,
        started.tool_pid if started and known else None,
        started.tool_start_ticks if started and known else None,
    )


def _cancel_unstarted(site: Site, session: Session, attempt: Attempt) -> Phase:
    if session.on_cluster:
        _end_job(site, session)  # first: where locks do not reach its node, it could begin meanwhile
    return record_end(site, attempt, "cancel", None, None)


def _end_job(site: Site, session: Session) -> None:
    """Cancel a job whose attempt is over; one that comes all the same refuses."""
    try:
        launcher_of(site, session).end(session.task_id)
    except LaunchError as error:
        log.warning("job not cancelled", task_id=session.task_id, what=str(error))


def record_end(
    site: Site, attempt: Attempt, by: str | None, error: str | None, started: Started | None
) -> Phase:
    """Write `exit` in the wrapper's place, under its lock: a wrapper that still comes then refuses."""
    with _wrapper_lock(attempt) as held:
        if not held:
            return Phase.RUNNING
        if attempt.exit.exists():
            return Phase.ENDED
        if started is None and attempt.started.exists():
            return Phase.RUNNING  # it came and went since we looked: look again
        now = site.utc_now()
        began = started.started_at if started else now
        ended = Exit(
            ended_by=by,
            error=error,
            started_at=began,
            finished_at=now,
            duration_s=max((now - began).total_seconds(), 0),
        )
        # never in place of the wrapper's own: a network file system may show that late
        with suppress(FileExistsError):
            put_new(attempt.exit, ended.encoded())
    return Phase.ENDED


@contextmanager
def _wrapper_lock(attempt: Attempt) -> Iterator[bool]:
    """Hold wrap.lock for a moment; False when a wrapper has it."""
    descriptor = os.open(attempt.wrap_lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(descriptor)
