"""/api/v1: everything that the command line does, for programs.

One module a resource, each with its `routes`. A route says which scope it takes, asks `agent.service`, and
answers with a model of `agent.client.models`; errors become problems in `problems`. `description` makes the
OpenAPI description of it. API.md, one folder up, has a curl line for each resource.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.web.api.app import make
from agent.web.api.etags import ETags
from agent.web.api.nudge import Nudge

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from agent.web.context import Context

__all__ = ["build", "make"]


def build(context: Context) -> ASGIApp:
    """Return the API, to be mounted at /api/v1."""
    return Nudge(ETags(make(context)), context.live)
