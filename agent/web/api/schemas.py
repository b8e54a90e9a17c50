"""Schemas that are no model's: a task file, which is kept byte by byte, and answers that are no JSON."""

from __future__ import annotations

import json
from typing import Any, Final

from spool.schemas import schemas

TASK: Final = "Task"
_EXAMPLE: Final = {"tool": "shell", "command": "echo hello $1", "parameters": {"args": ["world"]}}
_TIMES: Final = ("not_before", "expires_at", "created_at")
_INSTRUCTIONS: Final = "The task file itself, as it would lie in tasks/. Each field is in spool/README.md."


def components() -> dict[str, Any]:
    """Return the schema of a task, and those that it refers to, by the names that openapi.json gives them."""
    task: dict[str, Any] = json.loads(schemas()["task.schema.json"])
    named = {f"{TASK}{name}": schema for name, schema in task.pop("$defs").items()}
    del task["$schema"]
    for name in _TIMES:
        # a file may say it in more ways: here it is said in the one that all programs write
        task["properties"][name] = {"type": ["string", "null"], "format": "date-time", "default": None}
    task["description"] = _INSTRUCTIONS
    task["examples"] = [_EXAMPLE]
    return {**{name: _renamed(schema) for name, schema in named.items()}, TASK: _renamed(task)}


def _renamed(schema: Any) -> Any:
    if isinstance(schema, dict):
        return {key: _reference(value) if key == "$ref" else _renamed(value) for key, value in schema.items()}
    return [_renamed(each) for each in schema] if isinstance(schema, list) else schema


def _reference(text: str) -> str:
    return text.replace("#/$defs/", f"#/components/schemas/{TASK}")


def task_body() -> dict[str, Any]:
    """Return the description of a body that is a task."""
    return {"requestBody": {"required": True, "content": _json()}}


def task_or_form() -> dict[str, Any]:
    """Return the description of a body that is a task, or a form of a task and files."""
    form = {
        "schema": {
            "type": "object",
            "properties": {
                "task": {"$ref": f"#/components/schemas/{TASK}"},
                "files": {"type": "array", "items": {"type": "string", "format": "binary"}},
            },
            "required": ["task"],
        },
        "encoding": {"task": {"contentType": "application/json"}},
    }
    return {"requestBody": {"required": True, "content": {**_json(), "multipart/form-data": form}}}


def _json() -> dict[str, Any]:
    return {"application/json": {"schema": {"$ref": f"#/components/schemas/{TASK}"}}}


def answer_of(media_type: str, about: str, **schema: Any) -> dict[str, Any]:
    """Return the description of an answer that is no document of ours."""
    return {"description": about, "content": {media_type: {"schema": schema or {"type": "string"}}}}
