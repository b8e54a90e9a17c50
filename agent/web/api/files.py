"""The files of a task: what it brought, what it left, what the tool printed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, BinaryIO, Final
from urllib.parse import quote

from fastapi import APIRouter, Path, Request
from fastapi.responses import Response, StreamingResponse

from agent.client.models import FileList
from agent.service import files
from agent.web.api import schemas
from agent.web.api.etags import matches
from agent.web.api.parameters import Host, Now, Reader, TaskId

routes = APIRouter(tags=["Files"])

ANYTHING: Final = "application/octet-stream"
PIECE_BYTES: Final = 1 << 16


@routes.get("/tasks/{task_id}/files", summary="List the files of a task")
def list_files(context: Now, _identity: Reader, task_id: TaskId, host: Host = None) -> FileList:
    """List the regular files of a task, by path."""
    return FileList.model_validate({"task_id": task_id, "files": files.files(context.desk, task_id, host)})


@routes.get(
    "/tasks/{task_id}/files/{path:path}", summary="Get one file of a task", response_class=Response,
    responses={200: schemas.answer_of(ANYTHING, "The file's bytes.", type="string", format="binary")},
)  # fmt: skip
def get_file(
    context: Now,
    _identity: Reader,
    request: Request,
    task_id: TaskId,
    path: Annotated[
        str,
        Path(
            min_length=1,
            max_length=4000,
            description="As the list of files names it.",
            examples=["attempts/001/stdout"],
        ),
    ],
    host: Host = None,
) -> Response:
    """Get a file's bytes. They come as a download, whatever is in them: no browser runs them as a page."""
    opened = files.open_file(context.desk, task_id, path, host)
    tag = f'"{opened.etag}"'
    if matches(request.headers.get("if-none-match", ""), tag):
        opened.stream.close()
        return Response(status_code=304, headers={"ETag": tag})
    name = quote(path.rpartition("/")[2], safe="")
    headers = {
        "ETag": tag,
        "Content-Length": str(opened.size_bytes),
        "Content-Disposition": f"attachment; filename*=UTF-8''{name}",
    }
    return StreamingResponse(_pieces(opened.stream, opened.size_bytes), media_type=ANYTHING, headers=headers)


def _pieces(stream: BinaryIO, size_bytes: int) -> Iterator[bytes]:
    """Yield as many bytes as were announced: a file that shrinks meanwhile breaks the answer off."""
    left = size_bytes
    with stream:
        while left and (piece := stream.read(min(PIECE_BYTES, left))):
            left -= len(piece)
            yield piece
