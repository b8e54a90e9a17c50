"""Ending a waiting task as an agent would: the same steps, under a name and a lock of this process.

Whoever takes over what a killed process left finds `cancel` in the claim and finishes the same way; a
file claimed before that was made is only given back, and waits as before.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import threading
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from agent.config import host_name
from agent.host.claiming import proceed
from agent.host.dropped import Dropped, waiting_of
from agent.host.site import Site
from agent.inspect.agents import COMMAND_LINE_PREFIX
from agent.service.errors import ServiceError
from agent.tools.registry import Registry
from spool.claim import claim, claims_of, is_over
from spool.files import no_writer_holds, open_regular, read_descriptor
from spool.locks import agent_lock_path, take_agent_lock
from spool.names import WHY_SUFFIX, given_id, stem_of
from spool.records import State, utc_now
from spool.results import CANCEL, places_of_session, read_result
from spool.submit import request
from spool.view import Why

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agent.config import AgentConfig
    from spool.view import View
    from spool.workspace import Workspace

LOCK_PATIENCE_S: Final = 2.0
"""An agent that looks whether we are dead holds our lock for a moment."""


class _AnyTask(Registry):
    """Refuses nothing: what never starts need not be able to, and tools.toml may be broken just now."""

    __slots__ = ()

    def check(self, *_task: object, **_how: object) -> None:
        """Find nothing wrong."""


def cancel_waiting(workspace: Workspace, view: View, config: AgentConfig) -> str | None:
    """Cancel a waiting task and return its id; None when it is no longer what or where it was.

    Raises:
        ServiceError: its file is being written, or is no task.
        OSError: the workspace is unwritable; what was claimed is finished by any agent.
    """
    try:
        dropped = _seen(view, config)
    except FileNotFoundError:
        return None
    if is_over(workspace, dropped.task_id) or next(places_of_session(workspace, dropped.task_id), None):
        return None
    with _as_agent(workspace) as name:
        mine = claim(workspace, name, dropped.path, dropped.task_id)
        if mine is None:
            return None
        request(mine.folder / CANCEL)
        proceed(Site(workspace, name, config, _AnyTask({}), utc_now), mine, dropped)
    result = read_result(workspace, dropped.task_id)
    return dropped.task_id if result is not None and result.state is State.CANCELLED else None


def _seen(view: View, config: AgentConfig) -> Dropped:
    """Return the finished file as an agent that accepted it would know it."""
    if view.task is None:
        raise ServiceError(
            "conflict", f"{view.path} is not a task yet ({view.reason}): remove the file instead"
        )
    with open_regular(view.path) as descriptor:
        if no_writer_holds(descriptor) is False:
            raise ServiceError("conflict", f"{view.path} is being written: try again when its writer is done")
        arrived_at = datetime.fromtimestamp(os.fstat(descriptor).st_ctime, UTC)
        content = read_descriptor(descriptor, config.max_task_bytes)
    digest = hashlib.sha256(content).digest()
    waiting = waiting_of(view.task, _id_of(view), arrived_at, held=view.place == "held")
    is_given = view.task.task_id is None
    return Dropped(str(view.path), waiting, digest, is_given)


def _id_of(view: View) -> str:
    """Return the id that the file asks for, or that an agent gave it, or a new one."""
    if view.task is not None and view.task.task_id is not None:
        return view.task.task_id
    why = Why.read(view.path.with_name(stem_of(view.name) + WHY_SUFFIX))
    return why.task_id if why else given_id(stem_of(view.name))


@contextmanager
def _as_agent(workspace: Workspace) -> Iterator[str]:
    """Hold a name and its lock; what a failure leaves there is for the agents to take over."""
    name = f"{COMMAND_LINE_PREFIX}{host_name()}"[:70] + f"-{os.getpid()}-{threading.get_native_id()}"
    lock = take_agent_lock(workspace, name, LOCK_PATIENCE_S)
    try:
        yield name
        folder = workspace.agent(name)
        if not claims_of(folder):
            agent_lock_path(workspace, name).unlink(missing_ok=True)
            shutil.rmtree(folder, ignore_errors=True)
    finally:
        lock.release()
