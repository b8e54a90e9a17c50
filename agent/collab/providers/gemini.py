"""Gemini: `POST …/models/NAME:generateContent` (ai.google.dev/api/generate-content)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

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

LISTING: Final = "/models?pageSize=1000"
_SPEAKERS: Final = {"user": "user", "assistant": "model"}
_BLOCKED: Final = frozenset({"SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "LANGUAGE"})


def headers(key: str | None) -> dict[str, str]:
    """Return the headers of every request: the key is never in the address, which proxies write down."""
    return {"x-goog-api-key": key} if key else {}


def call(ask: Ask) -> tuple[str, dict[str, Any]]:
    """Return the path below the base URL, and the document."""
    told = ask.schema is not None and ask.mode in {"prompt", "json_object"}
    system = system_of(ask, instruction(ask.schema) if told and ask.schema else "")
    body: dict[str, Any] = {
        "contents": [
            {"role": _SPEAKERS[m.role], "parts": [{"text": m.text}]}
            for m in ask.messages
            if m.role != "system"
        ]
    }
    if system:
        body["systemInstruction"] = {"parts": [{"text": system}]}
    config: dict[str, Any] = {}
    if ask.temperature is not None:
        config["temperature"] = ask.temperature
    if ask.max_tokens is not None:
        config["maxOutputTokens"] = ask.max_tokens
    if ask.schema is not None:
        body |= _demanded(ask)
        config |= _shape(ask)
    if config:
        body["generationConfig"] = config
    return f"/models/{quote(ask.model.removeprefix('models/'), safe='')}:generateContent", body


def _shape(ask: Ask) -> dict[str, Any]:
    assert ask.schema is not None
    match ask.mode:
        case "json_schema":
            return {"responseMimeType": "application/json", "responseJsonSchema": wire_schema(ask.schema)}
        case "json_object":
            return {"responseMimeType": "application/json"}
        case "tool" | "prompt":
            return {}


def _demanded(ask: Ask) -> dict[str, Any]:
    if ask.mode != "tool" or ask.schema is None:
        return {}
    name = name_of(ask.schema)
    function = {"name": name, "parametersJsonSchema": wire_schema(ask.schema)}
    calling = {"mode": "ANY", "allowedFunctionNames": [name]}
    return {
        "tools": [{"functionDeclarations": [function]}],
        "toolConfig": {"functionCallingConfig": calling},
    }


def spoken(document: Mapping[str, Any]) -> Spoken:
    """Read an answer.

    Raises:
        ProviderError: it is none.
    """
    if isinstance(blocked := pick(document, "promptFeedback", "blockReason"), str):
        raise refused(blocked)
    candidate = pick(document, "candidates", 0)
    reason = pick(candidate, "finishReason")
    parts = pick(candidate, "content", "parts")
    text = _text_of(parts if isinstance(parts, list) else [])
    used = pick(document, "usageMetadata")
    made = [count(pick(used, name)) for name in ("candidatesTokenCount", "thoughtsTokenCount")]
    usage = Usage(
        input_tokens=count(pick(used, "promptTokenCount")),
        output_tokens=None if made == [None, None] else sum(number or 0 for number in made),
    )
    if not text.strip():
        if reason in _BLOCKED:
            raise refused(str(reason))
        if reason == "MAX_TOKENS":
            raise SaidNothingError(usage)
        raise nothing(f"no text, finishReason {reason}")
    model = document.get("modelVersion")
    return Spoken(text, model if isinstance(model, str) else None, usage, cut=reason == "MAX_TOKENS")


def _text_of(parts: list[Any]) -> str:
    for part in parts:
        arguments = pick(part, "functionCall", "args")
        if isinstance(arguments, dict):
            return json.dumps(arguments, ensure_ascii=False)
    texts = (pick(part, "text") for part in parts if not pick(part, "thought"))
    return "".join(text for text in texts if isinstance(text, str))


def models(document: Mapping[str, Any]) -> tuple[str, ...]:
    """Read the list of models: those that generate content."""
    listed = pick(document, "models")
    found: list[str] = []
    for entry in listed if isinstance(listed, list) else []:
        name, methods = pick(entry, "name"), pick(entry, "supportedGenerationMethods")
        if isinstance(name, str) and (not isinstance(methods, list) or "generateContent" in methods):
            found.append(name.removeprefix("models/"))
    return tuple(found)
