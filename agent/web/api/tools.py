"""The tools that tasks can name."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query

from agent.client.models import Tool, ToolList
from agent.config import load_or_defaults
from agent.inspect.tools import document_of, look
from agent.service.errors import ServiceError
from agent.tools.registry import Registry
from agent.web.api.parameters import TASK_ID_PATTERN, Flag, Now, Reader

routes = APIRouter(prefix="/tools", tags=["Tools"])


@routes.get("", summary="List the tools")
def list_tools(
    context: Now,
    _identity: Reader,
    *,
    versions: Annotated[Flag, Query(description="Ask each tool whose version no package tells.")] = False,
) -> ToolList:
    """List the tools that tasks can name: which are installed, which version, and what is missing."""
    workspace = context.desk.workspace
    registry = Registry.load(workspace)
    slots = registry.slots(load_or_defaults(workspace)[0])
    found = look(workspace, [registry.tools[name] for name in registry.names()], ask=versions)
    return ToolList(
        tools=tuple(Tool.model_validate(document_of(one, slots.get(one.tool.name))) for one in found)
    )


@routes.get("/{name}", summary="Show a tool")
def get_tool(
    context: Now, _identity: Reader, name: Annotated[str, Path(pattern=TASK_ID_PATTERN, examples=["shell"])]
) -> Tool:
    """Show how a tool is run, its commands, and what is missing."""
    workspace = context.desk.workspace
    registry = Registry.load(workspace)
    tool = registry.get(name)
    if tool is None:
        raise ServiceError(
            "not_found", f"there is no tool {name}: the tools are {', '.join(registry.names())}"
        )
    (found,) = look(workspace, [tool], ask=False)
    return Tool.model_validate(document_of(found, registry.slots(load_or_defaults(workspace)[0]).get(name)))
