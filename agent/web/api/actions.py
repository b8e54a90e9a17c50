"""What people ask of tasks: hold, release, cancel, retry, answer, move; and what is not to be started."""

from __future__ import annotations

from fastapi import APIRouter

from agent.client.models import Move, Pause, Reply, Retry, Said
from agent.service import actions
from agent.service.reassigning import reassign
from agent.service.said import Said as Done
from agent.web.api.parameters import Host, Now, Operator, TaskId
from agent.web.api.submitting import as_things_stand

routes = APIRouter(tags=["Actions"])


@routes.post("/tasks/{task_id}/hold", summary="Put a waiting task on hold")
def hold_task(context: Now, identity: Operator, task_id: TaskId, host: Host = None) -> Said:
    """Put a task that waits on hold: it is not started until it is released."""
    return _said(actions.hold(context.desk, task_id, host=host, by=identity.name))


@routes.post("/tasks/{task_id}/release", summary="Release a task that is on hold")
def release_task(context: Now, identity: Operator, task_id: TaskId, host: Host = None) -> Said:
    """Let a task that is on hold wait for its turn again."""
    return _said(actions.release(context.desk, task_id, host=host, by=identity.name))


@routes.post("/tasks/{task_id}/cancel", summary="Cancel a task")
def cancel_task(context: Now, identity: Operator, task_id: TaskId, host: Host = None) -> Said:
    """End a task: one that waits here and now, one that runs with TERM, a grace, then KILL."""
    return _said(actions.cancel(context.desk, task_id, host=host, by=identity.name))


@routes.post("/tasks/{task_id}/retry", summary="Run a finished task again")
def retry_task(
    context: Now, identity: Operator, task_id: TaskId, how: Retry | None = None, host: Host = None
) -> Said:
    """Run a task that is over again."""
    resume = how.resume if how else False
    return _said(actions.retry(context.desk, task_id, host=host, resume=resume, by=identity.name))


@routes.post("/tasks/{task_id}/answer", summary="Answer a task that waits for a person")
def answer_task(context: Now, identity: Operator, task_id: TaskId, reply: Reply, host: Host = None) -> Said:
    """Answer a tool that waits for a person."""
    return _said(actions.answer(context.desk, task_id, reply.text, host=host, by=identity.name))


@routes.post("/tasks/{task_id}/reassign", summary="Give a task that was sent to one host to another")
def reassign_task(context: Now, identity: Operator, task_id: TaskId, move: Move | None = None) -> Said:
    """Give it to another host. It moves when it has provably not started, is idempotent, or with force."""
    asked = move or Move()
    return _said(reassign(context.desk, task_id, to=asked.to, force=asked.force, by=identity.name))


@routes.post("/pause", summary="Start nothing more: in all, of a tool, or of a group")
def pause(context: Now, identity: Operator, what: Pause | None = None) -> Said:
    """Stop claiming. What runs goes on. An empty object pauses everything."""
    asked = what or Pause()
    with as_things_stand():
        said = actions.pause(
            context.desk, tool=asked.tool, group=asked.group, host=asked.host, by=identity.name
        )
    return _said(said)


@routes.post("/resume", summary="Start tasks again after a pause")
def resume(context: Now, identity: Operator, what: Pause | None = None) -> Said:
    """Claim again: give what was given to pause."""
    asked = what or Pause()
    with as_things_stand():
        said = actions.unpause(
            context.desk, tool=asked.tool, group=asked.group, host=asked.host, by=identity.name
        )
    return _said(said)


def _said(said: Done) -> Said:
    return Said.model_validate(said, from_attributes=True)
