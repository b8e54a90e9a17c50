"""A request to the scripted server, read from any of the three wire formats."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Call:
    """One request, in the same words for every wire.

    Args:
        number: counts the model calls of the server from 1.
        wire: openai, anthropic or gemini.
        system: all system text.
        prompt: the last thing that the user said.
        text: everything that was said, the system's text first.
        schema: the JSON schema that came with it in one of the wire's own ways; None when none did.
        demanded: the tool that the client demands; None when it demands none.
        headers: names in lower case.
    """

    number: int
    wire: str
    path: str
    headers: dict[str, str]
    body: dict[str, Any]
    model: str
    system: str
    prompt: str
    text: str
    schema: dict[str, Any] | None = None
    demanded: str | None = None
    temperature: float | None = None
    max_tokens: int | None = None


def read_call(number: int, wire: str, path: str, headers: dict[str, str], body: dict[str, Any]) -> Call:
    """Read a request of any wire."""
    read = {"openai": _read_openai, "anthropic": _read_anthropic, "gemini": _read_gemini}[wire]
    found = read(path, body)
    turns: list[tuple[str, str]] = found.pop("turns")
    system = "\n".join(text for role, text in turns if role == "system")
    spoken = [text for role, text in turns if role != "system"]
    prompt = next((text for role, text in reversed(turns) if role == "user"), "")
    text = "\n".join([system, *spoken])
    return Call(number, wire, path, headers, body, system=system, prompt=prompt, text=text, **found)


def _read_openai(_path: str, body: dict[str, Any]) -> dict[str, Any]:
    wanted = body.get("response_format") or {}
    tools = {tool["function"]["name"]: tool["function"]["parameters"] for tool in body.get("tools", [])}
    choice = body.get("tool_choice")
    demanded = choice["function"]["name"] if isinstance(choice, dict) else None
    return {
        "model": body["model"],
        "turns": [(message["role"], message["content"]) for message in body["messages"]],
        "schema": (wanted.get("json_schema") or {}).get("schema") or tools.get(demanded),
        "demanded": demanded,
        "temperature": body.get("temperature"),
        "max_tokens": body.get("max_tokens") or body.get("max_completion_tokens"),
    }


def _read_anthropic(_path: str, body: dict[str, Any]) -> dict[str, Any]:
    demanded = (body.get("tool_choice") or {}).get("name")
    tools = {tool["name"]: tool["input_schema"] for tool in body.get("tools", [])}
    system = [("system", body["system"])] if body.get("system") else []
    return {
        "model": body["model"],
        "turns": [*system, *((message["role"], message["content"]) for message in body["messages"])],
        "schema": tools.get(demanded) or (body.get("output_format") or {}).get("schema"),
        "demanded": demanded,
        "temperature": body.get("temperature"),
        "max_tokens": body["max_tokens"],
    }


def _read_gemini(path: str, body: dict[str, Any]) -> dict[str, Any]:
    config = body.get("generationConfig") or {}
    functions = [f for tool in body.get("tools", []) for f in tool["functionDeclarations"]]
    calling = (body.get("toolConfig") or {}).get("functionCallingConfig") or {}
    demanded = next(iter(calling.get("allowedFunctionNames", [])), None)
    turns = [
        (_SPEAKERS[content["role"]], "".join(part["text"] for part in content["parts"]))
        for content in body["contents"]
    ]
    if body.get("systemInstruction"):
        parts = body["systemInstruction"]["parts"]
        turns.insert(0, ("system", "".join(part["text"] for part in parts)))
    parameters = {f["name"]: f.get("parametersJsonSchema") or f.get("parameters") for f in functions}
    return {
        "model": path.rpartition("/")[2].partition(":")[0],
        "turns": turns,
        "schema": config.get("responseJsonSchema")
        or config.get("responseSchema")
        or parameters.get(demanded),
        "demanded": demanded,
        "temperature": config.get("temperature"),
        "max_tokens": config.get("maxOutputTokens"),
    }


_SPEAKERS = {"user": "user", "model": "assistant"}
