"""Schemas that are no model's: a task file, which is kept byte by byte, and answers that are no JSON."""

from __future__ import annotations

import json
from typing import Any, Final

from spool.schemas import schemas

TASK: Final = "Task"
_EXAMPLE: Final = {"tool": "shell", "command": "echo hello $1", "parameters": {"args": ["world"]}}
_TIMES: Final = ("not_before", "expires_at", "created_at")
_INPUT: Final = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}:[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*$"
_NO_NUL: Final = r"^[^\u0000]*$"
_DATA: Final = frozenset({"default", "examples", "enum"})
_VALUE: Final = "JsonValue"
_VALUE_REF: Final = f"#/components/schemas/{_VALUE}"
_ANY_VALUE: Final[dict[str, Any]] = {
    "description": "Any JSON without NUL characters, nested no deeper than 60 levels.",
    "anyOf": [
        {"type": ["number", "boolean", "null"]},
        {"type": "string", "pattern": _NO_NUL},
        {"type": "array", "items": {"$ref": _VALUE_REF}},
        {
            "type": "object",
            "additionalProperties": {"$ref": _VALUE_REF},
            "propertyNames": {"pattern": _NO_NUL},
        },
    ],
}
_INSTRUCTIONS: Final = "The task file itself, as it would lie in tasks/. Each field is in spool/README.md."


def components() -> dict[str, Any]:
    """Return the schemas of a task and of what it refers to, by the names that openapi.json gives them."""
    task: dict[str, Any] = json.loads(schemas()["task.schema.json"])
    named = {f"{TASK}{name}": schema for name, schema in task.pop("$defs").items()}
    del task["$schema"]
    for field in _TIMES:
        # a file may say it in more ways: here it is said in the one that all programs write
        task["properties"][field] = {"type": ["string", "null"], "format": "date-time", "default": None}
    name = task["properties"]["tool"]
    for field in ("partition", "account", "qos"):
        named[f"{TASK}Resources"]["properties"][field] = {"anyOf": [name, {"type": "null"}], "default": None}
    task["properties"]["inputs"]["items"] = {"type": "string", "pattern": _INPUT}
    task["properties"]["env"]["additionalProperties"] = False
    task["anyOf"] = [
        {"required": ["command"], "properties": {"command": {"minLength": 1}}},
        {
            "required": ["parameters"],
            "properties": {
                "parameters": {"required": ["prompt"], "properties": {"prompt": {"minLength": 1}}}
            },
        },
    ]
    task["description"] = _INSTRUCTIONS
    task["examples"] = [_EXAMPLE]
    shown = {**{name: _renamed(schema) for name, schema in named.items()}, TASK: _renamed(task)}
    return {**{name: _without_nul(schema) for name, schema in shown.items()}, _VALUE: _ANY_VALUE}


def _renamed(schema: Any) -> Any:
    if isinstance(schema, dict):
        return {key: _reference(value) if key == "$ref" else _renamed(value) for key, value in schema.items()}
    return [_renamed(each) for each in schema] if isinstance(schema, list) else schema


def _without_nul(schema: Any) -> Any:
    """Say of each string what strict parsing holds of all of a file."""
    if isinstance(schema, list):
        return [_without_nul(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    shown = {key: value if key in _DATA else _without_nul(value) for key, value in schema.items()}
    if (
        shown.get("type") in ("string", ["string", "null"])
        and not {"enum", "pattern", "format"} & shown.keys()
    ):
        shown["pattern"] = _NO_NUL
    if shown.get("additionalProperties") is True:
        shown |= {"additionalProperties": {"$ref": _VALUE_REF}, "propertyNames": {"pattern": _NO_NUL}}
    return shown


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


def events(about: str) -> dict[str, Any]:
    """Return the description of a stream of server-sent events: the schema is that of each event."""
    texts = {name: {"type": "string"} for name in ("id", "event", "data")}
    shape = {"type": "object", "properties": texts, "required": ["event", "data"]}
    return answer_of("text/event-stream", about, **shape)
