"""Anthropic messages: `POST …/v1/messages` (docs.anthropic.com/en/api/messages)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from agent.collab.providers.schemas import instruction, name_of, wire_schema
from agent.collab.providers.wire import (
    Ask,
    SaidNothingError,
    Spoken,
    count,
    nothing,
    pick,
    refused,
    system_of,
)
from spool.records import Usage

if TYPE_CHECKING:
    from collections.abc import Mapping

LISTING: Final = "/v1/models?limit=1000"
VERSION: Final = "2023-06-01"
DEFAULT_MAX_TOKENS: Final = 4096
"""This format demands a limit."""


def headers(key: str | None) -> dict[str, str]:
    """Return the headers of every request."""
    return {"anthropic-version": VERSION, **({"x-api-key": key} if key else {})}


def call(ask: Ask) -> tuple[str, dict[str, Any]]:
    """Return the path below the base URL, and the document."""
    # it has no mode for JSON: what is no tool is told in words
    told = ask.schema is not None and ask.mode != "tool"
    system = system_of(ask, instruction(ask.schema) if told and ask.schema else "")
    body: dict[str, Any] = {
        "model": ask.model,
        "max_tokens": ask.max_tokens or DEFAULT_MAX_TOKENS,
        "messages": [{"role": m.role, "content": m.text} for m in ask.messages if m.role != "system"],
    }
    if system:
        body["system"] = system
    if ask.temperature is not None:
        body["temperature"] = ask.temperature
    if ask.schema is not None and ask.mode == "tool":
        name = name_of(ask.schema)
        tool = {"name": name, "description": "Give the answer.", "input_schema": wire_schema(ask.schema)}
        body |= {"tools": [tool], "tool_choice": {"type": "tool", "name": name}}
    return "/v1/messages", body


def spoken(document: Mapping[str, Any]) -> Spoken:
    """Read an answer.

    Raises:
        ProviderError: it is none.
    """
    reason = document.get("stop_reason")
    content = document.get("content")
    text = _text_of(content if isinstance(content, list) else [])
    if reason == "refusal":
        raise refused("stop_reason refusal")
    used = pick(document, "usage")
    given = [
        count(pick(used, name))
        for name in ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens")
    ]
    usage = Usage(
        input_tokens=None if given[0] is None else sum(number or 0 for number in given),
        output_tokens=count(pick(used, "output_tokens")),
    )
    if not text.strip():
        if reason == "max_tokens":
            raise SaidNothingError(usage)
        raise nothing(f"no text, stop_reason {reason}")
    model = document.get("model")
    return Spoken(text, model if isinstance(model, str) else None, usage, cut=reason == "max_tokens")


def _text_of(blocks: list[Any]) -> str:
    for block in blocks:
        arguments = pick(block, "input")
        if pick(block, "type") == "tool_use" and isinstance(arguments, dict):
            return json.dumps(arguments, ensure_ascii=False)
    texts = (pick(block, "text") for block in blocks if pick(block, "type") == "text")
    return "".join(text for text in texts if isinstance(text, str))


def models(document: Mapping[str, Any]) -> tuple[str, ...]:
    """Read the list of models."""
    listed = pick(document, "data")
    names = (pick(entry, "id") for entry in listed) if isinstance(listed, list) else ()
    return tuple(name for name in names if isinstance(name, str))
