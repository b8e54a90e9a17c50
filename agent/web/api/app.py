"""The API's app: its routers, and what holds for all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from fastapi import Depends, FastAPI

from agent.web.api import (
    actions,
    audit,
    chat,
    collab,
    description,
    events,
    files,
    hosts,
    logs,
    me,
    memory,
    metrics,
    problems,
    rejected,
    reports,
    results,
    submitting,
    tasks,
    tools,
)

if TYPE_CHECKING:
    from agent.web.context import Context

ROUTERS: Final = (
    me.routes,
    tasks.routes,
    submitting.routes,
    actions.routes,
    files.routes,
    logs.routes,
    results.routes,
    rejected.routes,
    events.routes,
    hosts.routes,
    collab.routes,
    memory.routes,
    chat.routes,
    metrics.routes,
    audit.routes,
    reports.routes,
    tools.routes,
)


def make(context: Context) -> FastAPI:
    """Return the app; `build` puts it behind what tags its answers."""
    app = FastAPI(
        title="aispool",
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        dependencies=[Depends(description.only_described)],
        separate_input_output_schemas=False,
        generate_unique_id_function=lambda route: route.name,
    )
    app.state.context = context
    app.state.routes = [route for routes in ROUTERS for route in routes.routes]
    problems.install(app)
    for routes in ROUTERS:
        app.include_router(routes)
    description.install(app)
    return app
