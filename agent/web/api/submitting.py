"""Dropping a task, and editing one that waits: the body is the task file itself, byte by byte."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Header, Query, Request, Response
from starlette.datastructures import UploadFile

from agent.client.models import Checked, Said, Submitted
from agent.service import actions
from agent.service.errors import ServiceError
from agent.service.files import open_file
from agent.web.api import schemas
from agent.web.api.parameters import Host, IdempotencyKey, Now, Operator, Reader, Submitter, TaskId
from agent.web.api.problems import ProblemError
from agent.web.context import Context
from spool.refusal import Refusal
from spool.task import parse_task

routes = APIRouter(tags=["Tasks"])

JSON: Final = "application/json"
FORM: Final = "multipart/form-data"
ANY: Final[dict[str, Any]] = {"type": "object"}
_ETAG: Final = re.compile(r'"([0-9a-f]{64})"')
_NO_WORD: Final = frozenset({"", ".", ".."})


@dataclass(frozen=True, slots=True)
class Drop:
    """A task file's bytes, and what travels with it."""

    content: bytes
    attachments: dict[str, bytes] = field(default_factory=dict)


async def _json_body(request: Request) -> Drop:
    if media_type(request) != JSON:
        raise ProblemError(415, f"send the task as {JSON}")
    return Drop(await request.body())


async def _drop(request: Request) -> Drop:
    """Read a body of either kind."""
    if media_type(request) == JSON:
        return Drop(await request.body())
    if media_type(request) != FORM:
        raise ProblemError(
            415, f"send the task as {JSON}, or as the part `task` of {FORM} with parts `files`"
        )
    async with request.form(max_files=1000, max_fields=10) as form:
        task = form.get("task")
        if task is None:
            raise ProblemError(422, "body: there is no part `task`: it holds the task's JSON")
        content = await task.read() if isinstance(task, UploadFile) else task.encode()
        attachments: dict[str, bytes] = {}
        for part in form.getlist("files"):
            if not isinstance(part, UploadFile):
                raise ProblemError(
                    422, "body: a part `files` has no filename: curl writes one with -F files=@FILE"
                )
            attachments[_plain_name(part.filename, attachments)] = await part.read()
        return Drop(content, attachments)


def _plain_name(name: str | None, others: dict[str, bytes]) -> str:
    if name is None or name in _NO_WORD or "/" in name or not name.isprintable() or len(name.encode()) > 255:  # noqa: PLR2004 - a file system's
        raise ProblemError(422, f"body: {name!r} is no name for a file: leave out folders")
    if name in others:
        raise ProblemError(409, f"body: two files are named {name!r}: rename one")
    return name


def media_type(request: Request) -> str:
    """Return a body's type without its parameters."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


TaskBody = Annotated[Drop, Depends(_json_body)]
TaskOrForm = Annotated[Drop, Depends(_drop)]
Name = Annotated[
    str | None,
    Query(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$", examples=["nightly"],
        description="NAME of the NAME.json that it becomes; with an Idempotency-Key its id is.",
    ),
]  # fmt: skip


@routes.post("/tasks", status_code=201, summary="Drop a task", openapi_extra=schemas.task_or_form())
def submit_task(
    context: Now,
    identity: Submitter,
    drop: TaskOrForm,
    response: Response,
    host: Host = None,
    name: Name = None,
    idempotency_key: IdempotencyKey = None,
) -> Submitted:
    """Drop a task into the workspace, or for a host. When this answers, it survives a power cut.

    The body is what a file in tasks/ would hold. With an Idempotency-Key a repeated request never makes a
    second task, whatever died in between: it is answered with 200 and the first one's id.
    """
    _parsed(drop.content)
    with as_things_stand():
        said = actions.submit(
            context.desk,
            drop.content,
            name=name,
            host=host,
            attachments=drop.attachments,
            key=idempotency_key,
            by=identity.name,
        )
    if said.replayed:
        response.status_code = 200
    if said.task_id is not None:
        response.headers["Location"] = f"/api/v1/tasks/{said.task_id}"
    return Submitted.model_validate(said, from_attributes=True)


@routes.post("/check", summary="Check a task, and drop nothing", openapi_extra=schemas.task_body())
def check_task(context: Now, _identity: Submitter, drop: TaskBody) -> Checked:
    """Check a task as the agent would, and say what is odd about it."""
    _parsed(drop.content)
    with as_things_stand():
        return Checked.model_validate(actions.check(context.desk, drop.content), from_attributes=True)


@routes.get(
    "/tasks/{task_id}/source", summary="Get the task file of a task that waits", response_class=Response,
    responses={200: schemas.answer_of(JSON, "The file; its ETag is what an edit names.", **ANY)},
)  # fmt: skip
def get_source(context: Now, _identity: Reader, task_id: TaskId, host: Host = None) -> Response:
    """Get the file of a task that waits in tasks/ or held/, to edit it."""
    content = _source(context, task_id, host)
    return Response(content, media_type=JSON, headers={"ETag": f'"{hashlib.sha256(content).hexdigest()}"'})


@routes.put("/tasks/{task_id}/source", summary="Edit a task that waits", openapi_extra=schemas.task_body())
def edit_task(
    context: Now,
    identity: Operator,
    _starter: Submitter,
    task_id: TaskId,
    drop: TaskBody,
    if_match: Annotated[
        str,
        Header(
            alias="If-Match",
            pattern=_ETAG.pattern.join("^$"),
            description="The ETag of the file that you edited.",
            examples=['"' + "0" * 64 + '"'],
        ),
    ],
    host: Host = None,
) -> Said:
    """Replace the file of a task that waits, if it is still the one that you read.

    It takes `submit`, too: what it says is run.
    """
    before = if_match.strip('"')
    if hashlib.sha256(_source(context, task_id, host)).hexdigest() != before:
        raise ProblemError(412, f"{task_id} is not the file that you edited any more: get it again")
    _parsed(drop.content)
    with as_things_stand():
        said = actions.edit(context.desk, task_id, before, drop.content, host=host, by=identity.name)
    return Said.model_validate(said, from_attributes=True)


def _source(context: Context, task_id: str, host: str | None) -> bytes:
    """Return the file of a task that waits."""
    found = context.desk.find(task_id, host)
    if found.view.place not in {"tasks", "held"}:
        raise ServiceError("conflict", f"{task_id} does not wait any more: {found.view.state}")
    with closing(open_file(context.desk, task_id, found.view.name, host).stream) as stream:
        return stream.read()


def _parsed(content: bytes) -> None:
    """Return when these bytes are a task, whatever this machine can run.

    Raises:
        ServiceError: they are none.
    """
    refused = parse_task(content)
    if isinstance(refused, Refusal):
        fields: dict[str, Any] = {"what": refused.what, "remedy": refused.remedy, "place": refused.place}
        raise ServiceError("invalid", refused.sentence(), **fields)


@contextmanager
def as_things_stand() -> Iterator[None]:
    """Answer 409 for what is well formed, and yet cannot be done here as things stand."""
    try:
        yield
    except ServiceError as error:
        if error.kind != "invalid":
            raise
        raise ProblemError(409, error.message, **error.fields) from None
