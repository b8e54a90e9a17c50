"""Tasks: the list, and one."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal
from urllib.parse import urlencode

from annotated_types import Ge, Le
from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from pydantic import BeforeValidator

from agent.client.models import Counts, SortBy, TaskDetail, TaskPage
from agent.service import index as lists
from agent.service import listing
from agent.web.api.parameters import Cursor, Host, Limit, Moment, Now, Reader, TaskId, digits
from agent.web.context import Context
from spool.records import OVER, State

routes = APIRouter(tags=["Tasks"])

MOST_WAIT_S: Final = 60
_MANY: Final = {"max_length": 20}
Names = Annotated[list[Annotated[str, Query(min_length=1, max_length=100)]], Query(max_length=20)]
Wait = Annotated[
    int,
    Ge(0),
    Le(MOST_WAIT_S),
    BeforeValidator(digits),
    Query(description="Answer when it is over, or after so many seconds.", examples=[0]),
]


@dataclass(frozen=True, slots=True)
class Wanted:
    """The parameters of a list."""

    query: lists.Query


def wanted(
    *,
    host: Annotated[Names, Query(description="Of this host; repeatable. `here`: the own workspace.")] = [],  # noqa: B006 - FastAPI copies
    state: Annotated[list[State], Query(max_length=20, description="In this state; repeatable.")] = [],  # noqa: B006
    tool: Annotated[Names, Query(description="Of this tool; repeatable.")] = [],  # noqa: B006
    label: Annotated[Names, Query(description="With this label; repeatable.")] = [],  # noqa: B006
    group: Annotated[Names, Query(description="Of this group; repeatable.")] = [],  # noqa: B006
    text: Annotated[
        str,
        Query(max_length=1000, description="Each word must be in what is listed of it.", examples=["make"]),
    ] = "",
    since: Annotated[Moment | None, Query(description="Came into its state at or after.")] = None,
    until: Annotated[Moment | None, Query(description="Came into its state before.")] = None,
    sort: Annotated[SortBy, Query(description="By which field.")] = "changed_at",
    order: Annotated[
        Literal["desc", "asc"], Query(description="The latest or largest first, or last.")
    ] = "desc",
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Wanted:
    """Return the query that the parameters make."""
    return Wanted(
        lists.Query(
            hosts=tuple(host),
            states=tuple(str(each) for each in state),
            tools=tuple(tool),
            labels=tuple(label),
            groups=tuple(group),
            text=text,
            since=since,
            until=until,
            sort=sort,
            descending=order == "desc",
            cursor=cursor,
            limit=limit,
        )
    )


@routes.get("/tasks", summary="List tasks")
def list_tasks(
    context: Now,
    _identity: Reader,
    asked: Annotated[Wanted, Depends(wanted)],
    request: Request,
    response: Response,
) -> TaskPage:
    """List the tasks of the workspace and of all hosts: filtered, sorted, page by page."""
    return page_of(context, asked.query, request, response)


@routes.get("/counts", summary="Count tasks by state")
def count_tasks(context: Now, _identity: Reader, host: Host = None) -> Counts:
    """Say how many tasks stand in each state, on all hosts or on one."""
    if host is not None:
        context.desk.place(host)
    counts = context.index.counts((host,) if host else ())
    return Counts(states=counts, revision=context.index.revision)


@routes.get("/tasks/{task_id}", summary="Show one task")
async def get_task(
    context: Now, _identity: Reader, task_id: TaskId, host: Host = None, wait_s: Wait = 0
) -> TaskDetail:
    """Show all that is known of one task. With `wait_s`, answer as soon as it is over."""
    return TaskDetail.model_validate(await when_over(context, task_id, host, wait_s))


def page_of(context: Context, query: lists.Query, request: Request, response: Response) -> TaskPage:
    """Return a part of the list, with a Link header to the next."""
    for host in query.hosts:
        context.desk.place(host)
    page = context.index.query(query)
    if page.next is not None:
        response.headers["Link"] = next_link(request, page.next)
    return TaskPage(
        tasks=tuple(page.rows),
        next=page.next,
        total=page.total,
        revision=page.revision,
        complete=page.complete,
    )


def next_link(request: Request, cursor: str) -> str:
    """Return the Link header (RFC 8288) of a page that is not the last."""
    others = [(name, value) for name, value in request.query_params.multi_items() if name != "cursor"]
    return f'<{request.url.path}?{urlencode([*others, ("cursor", cursor)])}>; rel="next"'


async def when_over(context: Context, task_id: str, host: str | None, wait_s: int) -> dict[str, Any]:
    """Return a task's document, as soon as it is over or the time is up.

    Who waits holds no thread meanwhile: there are few, and all routes work in them.
    """
    until = time.monotonic() + wait_s
    is_last = wait_s == 0
    while True:
        revision = context.live.revision
        document = await run_in_threadpool(listing.task, context.desk, task_id, host)
        if is_last or document["state"] in OVER:
            return document
        is_last = await context.live.changed(revision, until - time.monotonic()) == revision
