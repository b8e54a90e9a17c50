"""Gemini: `models/NAME:generateContent` and `:streamGenerateContent`."""

from __future__ import annotations

from typing import Any

VENDOR = "gemini"


def tools(body: dict[str, Any]) -> tuple[bool, bool]:
    """Tell whether tools are offered, and whether a tool's result came last."""
    parts = (body.get("contents") or [{}])[-1].get("parts") or []
    return bool(body.get("tools")), any("functionResponse" in part for part in parts)


def streams(path: str, _body: dict[str, Any]) -> bool:
    """Tell whether the client wants events."""
    return ":streamGenerateContent" in path


def whole(_body: dict[str, Any], step: dict[str, Any]) -> dict[str, Any]:
    """Answer in one piece; a stream is this one piece too."""
    if "tool" in step:
        part: dict[str, Any] = {
            "functionCall": {"name": step["tool"]["name"], "args": step["tool"].get("arguments", {})}
        }
    else:
        part = {"text": step.get("text", "")}
    usage = step.get("usage", {})
    given, made = usage.get("input", 11), usage.get("output", 7)
    content = {"role": "model", "parts": [part]}
    return {
        "candidates": [{"content": content, "finishReason": "STOP", "index": 0}],
        "usageMetadata": {
            "promptTokenCount": given,
            "candidatesTokenCount": made,
            "totalTokenCount": given + made,
        },
        "modelVersion": "fake",
        "responseId": "r1",
    }


def events(body: dict[str, Any], step: dict[str, Any]) -> list[tuple[str | None, Any]]:
    """Answer in one event, or one per word when the stream is to be slow or to break."""
    if "tool" in step or not (step.get("delay_s") or step.get("disconnect")):
        return [(None, whole(body, step))]
    words = str(step.get("text", "")).split(" ")
    made: list[tuple[str | None, Any]] = []
    for number, word in enumerate(words):
        event = whole(body, {**step, "text": word if number == 0 else f" {word}"})
        if number < len(words) - 1:
            del event["candidates"][0]["finishReason"]
        made.append((None, event))
    return made
