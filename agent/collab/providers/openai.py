"""Chat completions as OpenAI defined them and most others serve them: `POST …/chat/completions`."""

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

LISTING: Final = "/models"


def headers(key: str | None) -> dict[str, str]:
    """Return the headers of every request."""
    return {"authorization": f"Bearer {key}"} if key else {}


def call(ask: Ask) -> tuple[str, dict[str, Any]]:
    """Return the path below the base URL, and the document."""
    told = ask.schema is not None and ask.mode in {"prompt", "json_object"}
    system = system_of(ask, instruction(ask.schema) if told and ask.schema else "")
    turns = [{"role": m.role, "content": m.text} for m in ask.messages if m.role != "system"]
    body: dict[str, Any] = {
        "model": ask.model,
        "messages": [*([{"role": "system", "content": system}] if system else []), *turns],
    }
    if ask.temperature is not None:
        body["temperature"] = ask.temperature
    if ask.max_tokens is not None:
        body["max_completion_tokens" if ask.newer_limit else "max_tokens"] = ask.max_tokens
    if ask.schema is not None:
        body |= _shape(ask)
    return "/chat/completions", body


def _shape(ask: Ask) -> dict[str, Any]:
    assert ask.schema is not None
    name = name_of(ask.schema)
    match ask.mode:
        case "json_schema":
            shape = {"name": name, "strict": True, "schema": wire_schema(ask.schema)}
            return {"response_format": {"type": "json_schema", "json_schema": shape}}
        case "json_object":
            return {"response_format": {"type": "json_object"}}
        case "tool":
            function = {"name": name, "parameters": wire_schema(ask.schema)}
            demanded = {"type": "function", "function": {"name": name}}
            return {"tools": [{"type": "function", "function": function}], "tool_choice": demanded}
        case "prompt":
            return {}


def spoken(document: Mapping[str, Any]) -> Spoken:
    """Read an answer.

    Raises:
        ProviderError: it is none.
    """
    choice = pick(document, "choices", 0)
    message = pick(choice, "message")
    if not isinstance(message, dict):
        # some gateways answer 200 and put the failure inside
        raise nothing(json.dumps(pick(document, "error") or "no choices")[:200])
    if isinstance(refusal := message.get("refusal"), str) and refusal:
        raise refused(refusal[:200])
    reason = pick(choice, "finish_reason")
    text = pick(message, "tool_calls", 0, "function", "arguments") or _text_of(message.get("content"))
    if reason == "content_filter" and not text:
        raise refused("a content filter")
    used = pick(document, "usage")
    usage = Usage(
        input_tokens=count(pick(used, "prompt_tokens")), output_tokens=count(pick(used, "completion_tokens"))
    )
    if not isinstance(text, str) or not text.strip():
        if reason == "length":
            raise SaidNothingError(usage)
        raise nothing(f"no text, finish_reason {reason}")
    model = document.get("model")
    return Spoken(text, model if isinstance(model, str) else None, usage, cut=reason == "length")


def _text_of(content: Any) -> str:
    if isinstance(content, list):
        return "".join(text for part in content if isinstance(text := pick(part, "text"), str))
    return content if isinstance(content, str) else ""


def models(document: Mapping[str, Any]) -> tuple[str, ...]:
    """Read the list of models."""
    listed = pick(document, "data")
    names = (pick(entry, "id") for entry in listed) if isinstance(listed, list) else ()
    return tuple(name for name in names if isinstance(name, str))
