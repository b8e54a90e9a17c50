"""Taking up what lies there: our own claims and sessions, and those of agents that are proved dead.

Another agent is dead when it worked on this machine and its lock is free, or when a person says so with
a file named `dead` in its folder. Age never decides. While we take over we hold its lock, so that it
cannot come back in the middle. A lock outside of the workspace must be the very file that it held: two
containers of one machine, which share a network home, do not see each other's.
"""

from __future__ import annotations

import os
from functools import lru_cache
from typing import TYPE_CHECKING

from agent import log
from agent.cluster import CLUSTER
from agent.host.beat import is_called_dead, read_beat
from agent.host.claiming import Verdict, carry_on, end_unstarted, proceed
from agent.host.launching import launcher_of
from agent.host.reading import records_of
from agent.host.reviewing import ask_for_reviews
from agent.host.session import Session
from agent.host.trouble import is_everybodys
from spool.attempt import attempts_of
from spool.claim import Claim, claims_of, is_over, take_over, was_over
from spool.files import move
from spool.locks import NameTakenError, agent_lock_path, identity_of, take_agent_lock
from spool.names import is_task_id
from spool.records import DamagedError, Intent, State, Status
from spool.results import RESULT, STATUS, move_finished, read_task
from spool.workspace import AGENT_PREFIX

if TYPE_CHECKING:
    from collections.abc import Container, Iterator
    from pathlib import Path

    from agent.host.site import Site
    from spool.task import AcceptedTask


def own_sessions(site: Site, known: Container[str]) -> Iterator[Session]:
    """Yield every session of ours that is not known yet, what was left of claims carried on first."""
    for mine in claims_of(site.folder):
        _carry_on_alone(site, mine)
    yield from _sessions_of(site, site.name, known)


def _carry_on_alone(site: Site, mine: Claim) -> AcceptedTask | None:
    """Carry on one claim; what is wrong with it alone keeps no other, and is tried again later."""
    try:
        return carry_on(site, mine)
    except OSError as error:
        if is_everybodys(error):
            raise
        log.warning("claim is not carried on", task_id=mine.task_id, what=str(error))
        return None


def sessions_of_the_dead(site: Site) -> Iterator[Session]:
    """Yield what dead agents left behind, made ours."""
    for folder in site.workspace.agents():
        name = folder.name.removeprefix(AGENT_PREFIX)
        if name == site.name or not is_dead(site, folder):
            continue
        try:
            lock = take_agent_lock(site.workspace, name)
        except NameTakenError:
            continue
        try:
            yield from _take_all(site, folder, name)
            ask_for_reviews(site, folder)
        finally:
            lock.release()


def is_dead(site: Site, folder: Path) -> bool:
    """Tell whether an agent can be proved dead; its lock is still to be taken."""
    if is_called_dead(folder):
        return True
    try:
        beat = read_beat(folder)
    except DamagedError:
        return False
    lock = agent_lock_path(site.workspace, folder.name.removeprefix(AGENT_PREFIX))
    is_ours_to_see = lock.parent == folder or identity_of(lock) is not None
    if beat is None:
        # it died before its first claim: there is nothing to take over but what a command left
        return is_ours_to_see
    if lock.parent != folder and beat.lock is not None:
        is_ours_to_see = identity_of(lock) == beat.lock
    return is_ours_to_see and (beat.boot_id == site.boot or beat.host == site.host)


def open_session(site: Site, folder: Path) -> Session | None:
    """Read a session from its folder; one whose result was written already is moved to results/."""
    if (folder / RESULT).exists():
        move_finished(site.workspace, folder)
        return None
    if is_over(site.workspace, folder.name) and not was_over(folder):
        # killed while publishing an id that another task had used: back into a claim, which is then refused
        move(folder, site.folder / folder.name)
        proceed(site, Claim(folder.name, site.folder / folder.name))
        return None
    try:
        task = read_task(folder)
        if task is None:
            return None
        status = _status_of(folder)
        if status is not None and status.state.is_over:
            end_unstarted(site, task, Verdict(status.state, status.reason))
            return None
        session = Session(task, folder, State.QUEUED, "taken up again", site.utc_now())
        session.look_at_attempts()
        session.on_cluster = launcher_of(site, session).name == CLUSTER
        session.records = records_of(site, session)
    except DamagedError as error:
        _say_once(folder.name, str(error)[:500])
        return None
    return session


def _sessions_of(site: Site, agent: str, known: Container[str] = ()) -> Iterator[Session]:
    names = os.listdir(site.workspace.sessions)
    for name in sorted(n for n in names if is_task_id(n) and n not in known):
        folder = site.workspace.sessions / name
        if _owner(folder) == agent and (session := open_session(site, folder)) is not None:
            yield session


def _published(site: Site, mine: Claim) -> Iterator[Session]:
    if _carry_on_alone(site, mine) is not None:
        session = open_session(site, site.workspace.sessions / mine.task_id)
        if session is not None:
            yield session


def _owner(folder: Path) -> str | None:
    """Return whose session it is; where one record is damaged, the other tells."""
    try:
        status = _status_of(folder)
        if status is not None:
            return status.agent
        attempts = attempts_of(folder)
        intent = Intent.read(attempts[-1].intent) if attempts else None
    except (DamagedError, OSError) as error:
        _say_once(folder.name, str(error)[:500])
        return None
    return intent.agent if intent else None


def _status_of(folder: Path) -> Status | None:
    """Return what a session last said of itself; a damaged status is none, and is written anew.

    Raises:
        OSError: it cannot be read now; it may say that the task is over.
    """
    try:
        return Status.read(folder / STATUS)
    except DamagedError as error:
        log.warning("status is damaged", task_id=folder.name, what=str(error)[:500])
        return None


def _take_all(site: Site, folder: Path, name: str) -> Iterator[Session]:
    for claim in claims_of(folder):
        mine = take_over(site.workspace, site.name, claim.folder)
        if mine is not None:
            log.info("claim taken over", task_id=mine.task_id, agent=name)
            yield from _published(site, mine)
    for session in _sessions_of(site, name):
        log.info("session taken over", task_id=session.task_id, agent=name)
        session.write_status(site)
        yield session


@lru_cache(maxsize=1024)
def _say_once(task_id: str, what: str) -> None:
    """Log what is wrong with a session once, though every scan finds it again."""
    log.warning("session is damaged", task_id=task_id, what=what)
