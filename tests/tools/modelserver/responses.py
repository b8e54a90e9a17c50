"""OpenAI responses: `/v1/responses`, as codex asks for them, always as server-sent events."""

from __future__ import annotations

import itertools
import json
from typing import Any

VENDOR = "responses"
_numbers = itertools.count(1)


def tools(body: dict[str, Any]) -> tuple[bool, bool]:
    """Tell whether tools are offered, and whether a tool's result came last."""
    items = body.get("input") or [{}]
    last = items[-1] if isinstance(items, list) else {}
    return bool(body.get("tools")), str(last.get("type", "")).endswith("_output")


def streams(_path: str, body: dict[str, Any]) -> bool:
    """Tell whether the client wants events."""
    return bool(body.get("stream"))


def whole(body: dict[str, Any], step: dict[str, Any]) -> dict[str, Any]:
    """Answer in one piece."""
    usage = step.get("usage", {})
    given, made = usage.get("input", 11), usage.get("output", 7)
    return {
        "id": "resp_1",
        "object": "response",
        "status": "completed",
        "model": body.get("model", "fake"),
        "output": [_item(step)],
        "usage": {
            "input_tokens": given,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": made,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": given + made,
        },
    }


def events(body: dict[str, Any], step: dict[str, Any]) -> list[tuple[str | None, Any]]:
    """Answer in events: created, the item with its text, completed."""
    response = whole(body, step)
    item = response["output"][0]
    started = {**response, "status": "in_progress", "output": [], "usage": None}
    made: list[dict[str, Any]] = [
        {"type": "response.created", "response": started},
        {"type": "response.output_item.added", "output_index": 0, "item": item},
    ]
    if item["type"] == "message":
        place = {"item_id": item["id"], "output_index": 0, "content_index": 0}
        made.append({"type": "response.output_text.delta", **place, "delta": step.get("text", "")})
    made += [
        {"type": "response.output_item.done", "output_index": 0, "item": item},
        {"type": "response.completed", "response": response},
    ]
    return [(str(event["type"]), event) for event in made]


def _item(step: dict[str, Any]) -> dict[str, Any]:
    number = next(_numbers)
    if "tool" in step:
        arguments = json.dumps(step["tool"].get("arguments", {}))
        call = {"name": step["tool"]["name"], "arguments": arguments, "call_id": f"call_{number}"}
        return {"type": "function_call", "id": f"fc_{number}", "status": "completed", **call}
    content = [{"type": "output_text", "text": step.get("text", ""), "annotations": []}]
    return {
        "type": "message",
        "id": f"msg_{number}",
        "role": "assistant",
        "status": "completed",
        "content": content,
    }
