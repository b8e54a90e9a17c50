"""JSON Schemas of task, status, result and control, generated from the models.

`python -m spool.schemas` writes them. They are for clients in other languages. What a schema cannot say
(strict parsing, times as people write them) is in spool/README.md.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spool.control import Control
from spool.files import put
from spool.names import TASK_ID
from spool.records import Result, Status
from spool.task import MAX_PRIORITY, PRIORITIES, Task

if TYPE_CHECKING:
    from pydantic import BaseModel

FOLDER = Path(__file__).parent / "schema"
_DRAFT = "https://json-schema.org/draft/2020-12/schema"
_ID = {"type": "string", "pattern": f"^{TASK_ID.pattern}$"}
_ULID = "^[0-7][0-9A-HJKMNP-TV-Z]{25}$"
_PRIORITY = {
    "anyOf": [
        {"enum": list(PRIORITIES)},
        {"type": "integer", "minimum": -MAX_PRIORITY, "maximum": MAX_PRIORITY},
    ],
    "default": "normal",
}


def schemas() -> dict[str, bytes]:
    """Return each schema's content by its file name."""
    return {
        "task.schema.json": _encoded(_task()),
        "status.schema.json": _encoded(_of(Status)),
        "result.schema.json": _encoded(_of(Result)),
        "control.schema.json": _encoded(_control()),
    }


def _of(model: type[BaseModel]) -> dict[str, Any]:
    schema: dict[str, Any] = _plain(model.model_json_schema(mode="serialization"))
    schema["properties"]["task_id"].update(_ID)
    return {"$schema": _DRAFT, **schema}


def _task() -> dict[str, Any]:
    schema: dict[str, Any] = _plain(Task.model_json_schema(mode="validation"))
    fields = schema["properties"]
    fields["task_id"] = _ID
    fields["tool"] = _ID
    fields["group"] = {"anyOf": [_ID, {"type": "null"}], "default": None}
    fields["priority"] = _PRIORITY
    fields["dependencies"]["items"] = _ID
    for name in ("not_before", "expires_at", "created_at"):
        # wider than the format date-time: a day alone, or a time without a zone, is the host's local time
        fields[name] = {"type": ["string", "null"], "default": None}
    fields["parameters"]["properties"] = {name: {"type": "string"} for name in ("prompt", "cwd", "output")}
    schema["anyOf"] = [
        {"required": ["command"]},
        {"required": ["parameters"], "properties": {"parameters": {"required": ["prompt"]}}},
    ]
    # unknown fields are kept under metadata with a warning
    schema["additionalProperties"] = True
    return {"$schema": _DRAFT, **schema}


def _control() -> dict[str, Any]:
    schema: dict[str, Any] = _plain(Control.model_json_schema(mode="serialization"))
    fields = schema["properties"]
    fields["id"]["pattern"] = fields["workspace_id"]["anyOf"][0]["pattern"] = _ULID
    fields["task_id"]["anyOf"][0].update(_ID)
    fields["collected"]["anyOf"][0]["propertyNames"] = _ID
    return {"$schema": _DRAFT, **schema}


def _plain(schema: Any) -> Any:
    """Leave out the titles, which only repeat the names, and notes that are about our code."""
    if isinstance(schema, list):
        return [_plain(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    kept = {key: _plain(value) for key, value in schema.items() if key not in {"title", "description"}}
    for named in ("properties", "$defs"):
        if named in schema:
            kept[named] = {name: _plain(value) for name, value in schema[named].items()}
    return kept


def _encoded(schema: dict[str, Any]) -> bytes:
    return (json.dumps(schema, indent=2, ensure_ascii=False) + "\n").encode()


def main() -> None:
    """Write every schema."""
    FOLDER.mkdir(exist_ok=True)
    for name, content in schemas().items():
        put(FOLDER / name, content)
        (FOLDER / name).chmod(0o644)


if __name__ == "__main__":
    main()
