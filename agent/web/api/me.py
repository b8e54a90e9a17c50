"""Who is asking, and what answers."""

from __future__ import annotations

import importlib.metadata

from fastapi import APIRouter

from agent.client.models import Me
from agent.web.api.parameters import Anyone, Now

routes = APIRouter(tags=["Server"])


@routes.get("/me", summary="Who you are to the server")
def get_me(context: Now, identity: Anyone) -> Me:
    """Say whom the server takes you for, what you may do, and which version answers."""
    return Me(
        name=identity.name,
        scopes=tuple(sorted(identity.scopes)),
        csrf=identity.csrf,
        version=importlib.metadata.version("aispool"),
        workspace=str(context.desk.workspace.root),
    )
