"""Results: what is over."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from agent.client.models import Result, TaskPage
from agent.service.errors import ServiceError
from agent.web.api.parameters import Host, Now, Reader, TaskId
from agent.web.api.tasks import Wait, Wanted, page_of, wanted, when_over
from spool.records import OVER

routes = APIRouter(tags=["Results"])


@routes.get("/results", summary="List what is over")
def list_results(
    context: Now,
    _identity: Reader,
    asked: Annotated[Wanted, Depends(wanted)],
    request: Request,
    response: Response,
) -> TaskPage:
    """List the tasks that are over; the parameters are those of the list of tasks."""
    query = asked.query
    over = {str(state) for state in OVER}
    states = tuple(sorted(over & set(query.states) if query.states else over))
    if not states:
        return TaskPage(tasks=(), next=None, total=0, revision=context.index.revision, complete=True)
    return page_of(context, replace(query, states=states), request, response)


@routes.get("/results/{task_id}", summary="Get the result of a task")
async def get_result(
    context: Now, _identity: Reader, task_id: TaskId, host: Host = None, wait_s: Wait = 0
) -> Result:
    """Get result.json of a task that is over; 409 while it is not. With `wait_s`, wait for its end."""
    document = await when_over(context, task_id, host, wait_s)
    if document["result"] is None:
        raise ServiceError("conflict", f"{task_id} is not over: {document['state']}: {document['standing']}")
    return Result.model_validate(document["result"])
