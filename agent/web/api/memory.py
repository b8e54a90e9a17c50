"""What runs remember for later ones."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query

from agent.client.models import Memory, MemoryAsked, MemoryList
from agent.collab import memory
from agent.service.errors import ServiceError
from agent.web.api.parameters import TASK_ID_PATTERN, Host, Limit, Now, Operator, Reader

routes = APIRouter(prefix="/collab/memory", tags=["Collaborative runs"])

MemoryId = Annotated[str, Path(pattern=TASK_ID_PATTERN, examples=["01JD6WZ8Q4X5N7M2K9T3V0B1RS"])]


@routes.get("", summary="List what is remembered")
def list_memories(
    context: Now,
    _identity: Reader,
    text: Annotated[
        str,
        Query(max_length=1000, description="What fits these words, the best first.", examples=["slow disk"]),
    ] = "",
    host: Host = None,
    limit: Limit = 50,
) -> MemoryList:
    """List what is remembered, the oldest first; with `text`, what a run would find, the best first."""
    workspace = context.desk.workspace
    if text.strip():
        found = memory.recall(workspace, text, limit, host)
    else:
        found = [each for each in memory.read_all(workspace) if host in {None, each.entry.host or host}][
            :limit
        ]
    return MemoryList(entries=tuple(_of(each) for each in found))


@routes.post("", status_code=201, summary="Remember something")
def add_memory(context: Now, identity: Operator, asked: MemoryAsked) -> Memory:
    """Keep something for later runs."""
    try:
        kept = memory.remember(
            context.desk.workspace, asked.text, source=identity.name, host=asked.host, domain=asked.domain
        )
    except memory.RememberError as error:
        raise ServiceError("conflict", str(error)) from None
    return _of(kept)


@routes.get("/{memory_id}", summary="Show what is remembered")
def get_memory(context: Now, _identity: Reader, memory_id: MemoryId) -> Memory:
    """Show one entry whole."""
    found = memory.read_one(context.desk.workspace, memory_id)
    if found is None:
        raise _unknown(memory_id)
    return _of(found)


@routes.delete("/{memory_id}", status_code=204, summary="Forget something")
def forget_memory(context: Now, identity: Operator, memory_id: MemoryId) -> None:
    """Forget an entry, in the index as well. Reports that quoted it stay as they are."""
    if not memory.forget(context.desk.workspace, [memory_id], who=identity.name):
        raise _unknown(memory_id)


def _of(found: memory.Remembered) -> Memory:
    return Memory.model_validate(found.document())


def _unknown(memory_id: str) -> ServiceError:
    return ServiceError("not_found", f"nothing is remembered as {memory_id}: the list shows all there is")
