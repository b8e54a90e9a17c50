"""Anthropic messages: `/v1/messages`, whole or as server-sent events."""

from __future__ import annotations

import itertools
import json
from typing import Any

VENDOR = "anthropic"
_numbers = itertools.count(1)


def tools(body: dict[str, Any]) -> tuple[bool, bool]:
    """Tell whether tools are offered, and whether a tool's result came last."""
    content = (body.get("messages") or [{}])[-1].get("content")
    blocks = content if isinstance(content, list) else []
    return bool(body.get("tools")), any(block.get("type") == "tool_result" for block in blocks)


def streams(_path: str, body: dict[str, Any]) -> bool:
    """Tell whether the client wants events."""
    return bool(body.get("stream"))


def whole(body: dict[str, Any], step: dict[str, Any]) -> dict[str, Any]:
    """Answer in one piece."""
    usage = step.get("usage", {})
    return {
        "id": f"msg_{next(_numbers)}",
        "type": "message",
        "role": "assistant",
        "model": body.get("model", "fake"),
        "content": [_block(step)],
        "stop_reason": "tool_use" if "tool" in step else "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": usage.get("input", 11), "output_tokens": usage.get("output", 7)},
    }


def events(body: dict[str, Any], step: dict[str, Any]) -> list[tuple[str | None, Any]]:
    """Answer in events: start, one content block, stop."""
    message = whole(body, step)
    block = message["content"][0]
    if block["type"] == "tool_use":
        empty = {**block, "input": {}}
        delta = {"type": "input_json_delta", "partial_json": json.dumps(block["input"])}
    else:
        empty = {**block, "text": ""}
        delta = {"type": "text_delta", "text": block["text"]}
    stop = {"stop_reason": message["stop_reason"], "stop_sequence": None}
    made: list[dict[str, Any]] = [
        {"type": "message_start", "message": {**message, "content": [], "stop_reason": None}},
        {"type": "content_block_start", "index": 0, "content_block": empty},
        {"type": "content_block_delta", "index": 0, "delta": delta},
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": stop, "usage": message["usage"]},
        {"type": "message_stop"},
    ]
    return [(str(event["type"]), event) for event in made]


def _block(step: dict[str, Any]) -> dict[str, Any]:
    if "tool" not in step:
        return {"type": "text", "text": step.get("text", "")}
    call = {"name": step["tool"]["name"], "input": step["tool"].get("arguments", {})}
    return {"type": "tool_use", "id": f"toolu_{next(_numbers)}", **call}
