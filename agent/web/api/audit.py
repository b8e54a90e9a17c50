"""The audit log: who asked for what, and whether it is whole."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from agent.client.models import AuditPage, Verdict
from agent.service import audit
from agent.web.api.parameters import Cursor, Limit, Moment, Now, Reader
from spool.records import iso

routes = APIRouter(prefix="/audit", tags=["Audit"])

Words = Annotated[str | None, Query(min_length=1, max_length=1000)]


@routes.get("", summary="Search the audit log")
def search_audit(
    context: Now,
    _identity: Reader,
    *,
    text: Annotated[Words, Query(description="Is looked for in all of an entry.", examples=["login"])] = None,
    task_id: Annotated[Words, Query(description="Only about this task.", examples=["nightly"])] = None,
    event: Annotated[Words, Query(description="Only this event.", examples=["submit"])] = None,
    who: Annotated[Words, Query(description="Only of this one.", examples=["token:laptop"])] = None,
    since: Annotated[Moment | None, Query(description="At or after.")] = None,
    until: Annotated[Moment | None, Query(description="Before.")] = None,
    cursor: Annotated[Cursor, Query(pattern=r"^[0-9]{1,18}$")] = None,
    limit: Limit = 50,
) -> AuditPage:
    """Search the entries, the latest first."""
    wanted = audit.Filter(
        text=text,
        task_id=task_id,
        event=event,
        who=who,
        since=iso(since) if since else "",
        until=iso(until) if until else "",
    )
    return AuditPage.model_validate(audit.search(context.desk, wanted, cursor=cursor, limit=limit))


@routes.get("/verify", summary="Verify the audit log")
def verify_audit(
    context: Now,
    _identity: Reader,
    anchor: Annotated[
        str | None,
        Query(pattern=r"^[0-9a-f]{64}$", description="The digest of an entry, noted earlier elsewhere."),
    ] = None,
) -> Verdict:
    """Follow the chain from its first entry to its last, and say where it breaks."""
    return Verdict.model_validate(audit.verify(context.desk, anchor))
