"""/api/v1: everything that the command line does, for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import FastAPI

if TYPE_CHECKING:
    from agent.web.context import Context


def build(context: Context) -> FastAPI:
    """Return the API's app."""
    del context
    return FastAPI(title="aispool", openapi_url="/openapi.json", docs_url=None, redoc_url=None)
