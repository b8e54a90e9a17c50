"""OpenAI chat completions: `/v1/chat/completions`, whole or as server-sent events."""

from __future__ import annotations

import json
import time
from typing import Any

VENDOR = "openai"


def tools(body: dict[str, Any]) -> tuple[bool, bool]:
    """Tell whether tools are offered, and whether a tool's result came last."""
    messages = body.get("messages") or [{}]
    return bool(body.get("tools")), messages[-1].get("role") == "tool"


def streams(_path: str, body: dict[str, Any]) -> bool:
    """Tell whether the client wants events."""
    return bool(body.get("stream"))


def whole(body: dict[str, Any], step: dict[str, Any]) -> dict[str, Any]:
    """Answer in one piece."""
    choice = {"index": 0, "message": {"role": "assistant", **_content(step)}, "finish_reason": _reason(step)}
    return {**_head(body, "chat.completion"), "choices": [choice], "usage": _usage(step)}


def events(body: dict[str, Any], step: dict[str, Any]) -> list[tuple[str | None, Any]]:
    """Answer in events: role, content, reason with usage, end."""
    head = _head(body, "chat.completion.chunk")
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}]
    if "tool" in step:
        call = _content(step)["tool_calls"][0]
        deltas.append({"tool_calls": [{"index": 0, **call}]})
    else:
        deltas.extend({"content": part} for part in _parts(step))
    chunks: list[Any] = [
        {**head, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas
    ]
    chunks.append({**head, "choices": [{"index": 0, "delta": {}, "finish_reason": _reason(step)}]})
    chunks.append({**head, "choices": [], "usage": _usage(step)})
    return [(None, chunk) for chunk in [*chunks, "[DONE]"]]


def _head(body: dict[str, Any], kind: str) -> dict[str, Any]:
    model = body.get("model", "fake")
    return {"id": "chatcmpl-1", "object": kind, "created": int(time.time()), "model": model}


def _content(step: dict[str, Any]) -> dict[str, Any]:
    if "tool" not in step:
        return {"content": step.get("text", "")}
    function = {"name": step["tool"]["name"], "arguments": json.dumps(step["tool"].get("arguments", {}))}
    return {"content": None, "tool_calls": [{"id": "call_1", "type": "function", "function": function}]}


def _parts(step: dict[str, Any]) -> list[str]:
    words: list[str] = step.get("text", "").split(" ")
    return [word if number == 0 else f" {word}" for number, word in enumerate(words)]


def _reason(step: dict[str, Any]) -> str:
    return "tool_calls" if "tool" in step else "stop"


def _usage(step: dict[str, Any]) -> dict[str, int]:
    usage = step.get("usage", {})
    given, made = usage.get("input", 11), usage.get("output", 7)
    return {"prompt_tokens": given, "completion_tokens": made, "total_tokens": given + made}
