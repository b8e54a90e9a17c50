"""How things are and were: usage, report, health, doctor; and cleaning up."""

from __future__ import annotations

import time
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal

from annotated_types import Ge, Le
from fastapi import APIRouter, Query
from pydantic import BeforeValidator

from agent import audit
from agent.client.models import Cleaned, Doctor, Health, Report, Usage
from agent.config import load, load_or_defaults
from agent.host.retention import prune_now
from agent.inspect import doctor, health, report, usage
from agent.service.leftovers import remove_rejected, remove_temporary
from agent.web.api.parameters import Moment, Now, Operator, Reader, digits
from spool.records import utc_now

routes = APIRouter(tags=["Server"])

_DAY_S = 86_400


@routes.get("/usage", summary="Add up tokens and money")
def get_usage(
    context: Now,
    _identity: Reader,
    by: Annotated[Literal["tool", "day", "label"], Query(description="The parts.")] = "tool",
    since: Annotated[Moment | None, Query(description="Default: all that is kept.")] = None,
) -> Usage:
    """Add up the tokens and the money of all attempts; what a tool does not say is unknown, not 0."""
    workspace = context.desk.workspace
    now = datetime.now().astimezone()
    budgets = load_or_defaults(workspace)[0].budgets
    found = usage.usage(workspace, by, since, now, budgets)
    return Usage.model_validate(usage.usage_document(workspace, found))


@routes.get("/report", summary="Say what was done")
def get_report(
    context: Now,
    _identity: Reader,
    since: Annotated[Moment | None, Query(description="Default: 24 hours ago.")] = None,
) -> Report:
    """Say by host what was done, failed, waits and cost, and what was refused."""
    workspace = context.desk.workspace
    now = datetime.now(UTC)
    found = report.report(workspace, since or now - timedelta(days=1), now)
    return Report.model_validate(report.report_document(workspace, found))


@routes.get("/health", summary="Say how the machine is")
def get_health(context: Now, _identity: Reader) -> Health:
    """Look at agents, sessions, processes, the queue, the disk and the logs of the server's machine."""
    workspace = context.desk.workspace
    return Health.model_validate(health.health_document(workspace, health.examine(workspace)))


@routes.get("/doctor", summary="Check the machine")
def get_doctor(context: Now, _identity: Reader) -> Doctor:
    """Check the server's machine, the workspace and the tools, and say what to do about each finding."""
    root = context.desk.workspace.root
    return Doctor.model_validate(doctor.doctor_document(root, doctor.examine(root)))


@routes.post("/clean", summary="Remove what is no longer kept")
def clean(
    context: Now,
    identity: Operator,
    rejected_days: Annotated[
        Annotated[int, Ge(0), Le(36_500), BeforeValidator(digits)] | None,
        Query(description="Also remove rejected files older than this.", examples=[30]),
    ] = None,
) -> Cleaned:
    """Remove what retention no longer keeps, and what broken-off uploads left behind for over a day."""
    workspace = context.desk.workspace
    audit.append(workspace, "clean", who=identity.name, rejected_days=rejected_days)
    pruned = asdict(prune_now(workspace, load(workspace), utc_now()))
    temporary = remove_temporary(workspace, time.time())
    rejected = []
    if rejected_days is not None:
        rejected = remove_rejected(workspace, time.time() - rejected_days * _DAY_S)
    return Cleaned.model_validate(
        {
            "pruned": pruned,
            "temporary": [str(path) for path in temporary],
            "rejected": [str(path) for path in rejected],
        }
    )
