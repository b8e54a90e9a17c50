"""Figures over time."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import Response

from agent.client.models import Metrics
from agent.collab import labels
from agent.collab.metrics import exposition, figures, read_runs
from agent.service import metrics
from agent.web.api import schemas
from agent.web.api.parameters import Moment, Now, Reader
from agent.web.api.submitting import as_things_stand

routes = APIRouter(tags=["Metrics"])


@routes.get("/metrics", summary="Get figures over time")
def get_metrics(
    context: Now,
    _identity: Reader,
    since: Annotated[Moment | None, Query(description="Default: 30 days before `until`.")] = None,
    until: Annotated[Moment | None, Query(description="Default: now.")] = None,
) -> Metrics:
    """Get how roles, providers and scores do, what they cost, and how much gets done, by hour or day."""
    with as_things_stand():
        return Metrics.model_validate(metrics.series(context.desk, since, until))


@routes.get(
    "/metrics/prometheus", summary="Get figures for Prometheus", response_class=Response,
    responses={200: schemas.answer_of("text/plain", "In Prometheus' text format.")},
)  # fmt: skip
def get_prometheus(context: Now, _identity: Reader) -> Response:
    """Get the figures of all runs that are kept, in Prometheus' text format."""
    workspace = context.desk.workspace
    text = exposition(figures(read_runs(workspace), labels.read_all(workspace)))
    return Response(text, media_type="text/plain; version=0.0.4; charset=utf-8")
