"""Collaborative runs: asked for, followed, approved and labelled."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import asdict
from typing import Annotated, Any, Final

from annotated_types import Ge, Le
from fastapi import APIRouter, Path, Query, Response
from fastapi.concurrency import run_in_threadpool
from pydantic import BeforeValidator

from agent.client.models import (
    Command,
    CommandList,
    Explain,
    Explained,
    LabelAsked,
    Labelled,
    ProviderList,
    Question,
    Run,
    RunPage,
    RunRow,
    Said,
    Submitted,
    Tune,
    Tuning,
    Word,
)
from agent.collab import feedback, learning
from agent.collab.learning.applying import TuneError
from agent.service import actions, collab
from agent.service.errors import ServiceError
from agent.web.api import schemas, sse
from agent.web.api.parameters import (
    Approver,
    Cursor,
    Flag,
    Host,
    IdempotencyKey,
    Limit,
    Now,
    Operator,
    Reader,
    Submitter,
    TaskId,
    digits,
)
from agent.web.api.submitting import as_things_stand
from agent.web.context import Context, Identity
from spool.records import OVER

routes = APIRouter(prefix="/collab", tags=["Collaborative runs"])

LOOK_S: Final = 5.0
"""A run's files are looked at so often where no change is noticed."""
Number = Annotated[int, Ge(1), Le(10_000), BeforeValidator(digits), Path(examples=[1])]


@routes.get("/runs", summary="List runs")
def list_runs(
    context: Now,
    _identity: Reader,
    text: Annotated[str, Query(max_length=1000, examples=["disk"])] = "",
    cursor: Cursor = None,
    limit: Limit = 20,
) -> RunPage:
    """List collaborative runs of all hosts, the latest first."""
    found = collab.runs(context.desk, context.index, limit=limit, cursor=cursor, text=text)
    rows = tuple(RunRow.model_validate(row) for row in found["rows"])
    return RunPage(runs=rows, next=found["next"], total=found["total"])


@routes.post("/runs", status_code=201, summary="Ask all roles")
def start_run(
    context: Now,
    identity: Submitter,
    question: Question,
    response: Response,
    idempotency_key: IdempotencyKey = None,
) -> Submitted:
    """Ask several models one question, each in its role. It is a task: cancel, log and retry work on it."""
    asked = question.model_dump(exclude={"question"})
    with as_things_stand():
        said = collab.start(context.desk, question.question, by=identity.name, key=idempotency_key, **asked)
    if said.replayed:
        response.status_code = 200
    response.headers["Location"] = f"/api/v1/collab/runs/{said.task_id}"
    return Submitted.model_validate(said, from_attributes=True)


@routes.post("/explain", summary="Say what would happen with a question")
def explain(context: Now, _identity: Reader, asked: Explain) -> Explained:
    """Say who would answer a question, and by which rule. Nobody is asked or paid."""
    with as_things_stand():
        found = collab.explain(context.desk.workspace, asked.question, kind=asked.kind, domain=asked.domain)
    return Explained.model_validate(found)


@routes.get("/runs/{task_id}", summary="Show a run")
def get_run(context: Now, _identity: Reader, task_id: TaskId, host: Host = None) -> Run:
    """Show all that is known of a run: roles, answers, scores, commands, the report."""
    return _run(context, task_id, host)


@routes.get(
    "/runs/{task_id}/report", summary="Get a run's report as Markdown", response_class=Response,
    responses={200: schemas.answer_of("text/markdown", "report.md")},
)  # fmt: skip
def get_run_report(context: Now, _identity: Reader, task_id: TaskId, host: Host = None) -> Response:
    """Get the report for people, as Markdown; 409 while there is none."""
    found = context.desk.find(task_id, host)
    text = collab.report_text(found.place.workspace, task_id)
    if text is None:
        raise ServiceError("conflict", f"{task_id} has no report yet: {found.view.state}")
    return Response(text, media_type="text/markdown")


@routes.get(
    "/runs/{task_id}/stream", summary="Follow a run", response_class=Response,
    responses={200: schemas.events("`run` (the whole run) at each change, then `over`.")},
)  # fmt: skip
def follow_run(
    context: Now, identity: Reader, task_id: TaskId, follows: sse.Follows, host: Host = None
) -> Response:
    """Follow a run, as server-sent events, until it is over.

    Without `Accept: text/event-stream` it tells how the run is now, and ends.
    """
    _run(context, task_id, host)
    return sse.stream(_changes(context, identity, task_id, host, follows=follows))


async def _changes(
    context: Context, identity: Identity, task_id: str, host: str | None, *, follows: bool
) -> AsyncIterator[str]:
    seen: tuple[object, ...] | None = None
    number = 0
    while identity.may("read"):
        revision = context.live.revision
        stamp = await run_in_threadpool(collab.stamp, context.desk, task_id, host)
        if stamp != seen:
            run = await run_in_threadpool(_run, context, task_id, host)
            number += 1
            yield sse.event("run", run.model_dump(mode="json"), number)
            seen = stamp
            if run.state in OVER:
                yield sse.event("over", {"state": run.state}, number)
                return
        if not follows:
            return
        await context.live.changed(revision, LOOK_S)


@routes.get("/runs/{task_id}/commands", summary="List what a run proposes to do")
def list_commands(context: Now, _identity: Reader, task_id: TaskId, host: Host = None) -> CommandList:
    """List the proposed commands with their exact bytes, how they were rated, and what became of them."""
    found = collab.commands(context.desk, task_id, host)
    return CommandList(task_id=task_id, commands=tuple(Command.model_validate(each) for each in found))


@routes.post("/runs/{task_id}/commands/{number}/approve", summary="Approve a proposed command")
def approve_command(
    context: Now, identity: Approver, task_id: TaskId, number: Number, word: Word, host: Host = None
) -> Said:
    """Let a command run: exactly the bytes that this SHA-256 is of. It is in the audit log with your name."""
    return _say(context, identity, task_id, number, word, host, approved=True)


@routes.post("/runs/{task_id}/commands/{number}/decline", summary="Decline a proposed command")
def decline_command(
    context: Now, identity: Approver, task_id: TaskId, number: Number, word: Word, host: Host = None
) -> Said:
    """Refuse a command; the run goes on without it."""
    return _say(context, identity, task_id, number, word, host, approved=False)


@routes.post("/runs/{task_id}/label", summary="Say how a run turned out")
def label_run(context: Now, identity: Operator, task_id: TaskId, asked: LabelAsked) -> Labelled:
    """Say whether a run turned out good or bad: confidence is calibrated by it. `none` takes it back."""
    found = collab.label(context.desk, task_id, asked.outcome, by=identity.name, why=asked.why)
    return Labelled.model_validate(found)


@routes.get("/providers", summary="List who could answer a role")
def list_providers(
    context: Now,
    _identity: Reader,
    *,
    ask: Annotated[Flag, Query(description="Ask each for its list of models, which costs nothing.")] = False,
) -> ProviderList:
    """List the providers: whether they have a key, and what is wrong. No key is ever shown."""
    from agent.collab.providers.examine import examine  # noqa: PLC0415 - HTTP is slow to import
    from agent.collab.providers.registry import open_providers  # noqa: PLC0415

    with open_providers(context.desk.workspace) as providers:
        found = [_filled(asdict(one)) for one in examine(providers, ask=ask)]
    return ProviderList.model_validate({"providers": found})


@routes.get("/tuning", summary="List who should rather play which role")
def list_proposals(context: Now, _identity: Reader) -> Tuning:
    """List what the labelled runs propose, with the evidence; nothing is changed."""
    found = feedback.proposals(context.desk.workspace)
    return Tuning(proposals=tuple(each.document() for each in found), applied=False, kept=None)


@routes.post("/tuning/apply", summary="Let others play some roles")
def apply_proposals(context: Now, identity: Operator, asked: Tune | None = None) -> Tuning:
    """Write proposals into roles.toml: those that are named, or all. The file as it was is kept."""
    known = {each.name: each for each in feedback.proposals(context.desk.workspace)}
    for name in asked.names if asked else ():
        if name not in known:
            raise ServiceError("not_found", f"there is no proposal {name}: the list names all there are")
    chosen = [known[name] for name in (asked.names if asked and asked.names else known)]
    if not chosen:
        return Tuning(proposals=(), applied=False, kept=None)
    try:
        done = learning.apply(context.desk.workspace, chosen, who=identity.name)
    except TuneError as error:
        raise ServiceError("conflict", str(error)) from None
    return Tuning(proposals=tuple(each.document() for each in chosen), applied=True, kept=str(done.folder))


@routes.post("/tuning/undo", summary="Undo the last change of who plays which role")
def undo_proposals(context: Now, identity: Operator) -> Said:
    """Bring roles.toml back to what it was before the last change."""
    try:
        done = learning.undo(context.desk.workspace, who=identity.name)
    except TuneError as error:
        raise ServiceError("conflict", str(error)) from None
    names = ", ".join(done.names)
    return Said(
        task_id="roles.toml", host=None, said=f"is as it was before: {names}", warning=None, changed=True
    )


def _run(context: Context, task_id: str, host: str | None) -> Run:
    try:
        return Run.model_validate(collab.run(context.desk, task_id, host))
    except ServiceError as error:
        if error.kind != "invalid":
            raise
        raise ServiceError("not_found", error.message) from None


def _say(
    context: Context,
    identity: Identity,
    task_id: str,
    number: int,
    word: Word,
    host: str | None,
    *,
    approved: bool,
) -> Said:
    with as_things_stand():
        speak = actions.approve if approved else actions.decline
        said = speak(context.desk, task_id, number, word.sha256, host=host, by=identity.name)
    return Said.model_validate(said, from_attributes=True)


def _filled(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value or None if isinstance(value, str) else value for name, value in fields.items()}
