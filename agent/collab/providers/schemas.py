"""Structured answers: how a provider is told their shape, and how they are checked, whatever it promised."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final

from pydantic import BaseModel, ValidationError

from spool.strictjson import StrictJSONError, parse_object

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agent.collab.providers.definition import SchemaMode

_KEPT: Final = frozenset({"type", "description", "enum", "items", "properties", "required", "anyOf"})
_BOUNDS: Final = {
    "pattern": "matches {}",
    "minLength": "at least {} characters",
    "maxLength": "at most {} characters",
    "minItems": "at least {} items",
    "maxItems": "at most {} items",
    "minimum": "at least {}",
    "maximum": "at most {}",
    "exclusiveMinimum": "more than {}",
    "exclusiveMaximum": "less than {}",
}
_THINKING: Final = re.compile(r"<think(?:ing)?>.*?</think(?:ing)?>", re.DOTALL | re.IGNORECASE)
_FENCED: Final = re.compile(r"^[ \t]*```[\w-]*[ \t]*\n(.*?)\n?[ \t]*```[ \t]*$", re.DOTALL | re.MULTILINE)
MAX_TEXT_CHARS: Final = 4 << 20
MAX_BEGINNINGS: Final = 200
_DECODER: Final = json.JSONDecoder()
_SHOWN_ERRORS: Final = 8
_SHOWN_CHARS: Final = 20_000

WEAKER: Final[dict[SchemaMode, SchemaMode]] = {
    "json_schema": "json_object",
    "json_object": "prompt",
    "tool": "prompt",
}
"""What is tried when a provider refuses a mode."""


class SchemaError(ValueError):
    """An answer is not what was asked for; the message tells the model what to mend."""


def name_of(schema: type[BaseModel]) -> str:
    """Return the schema's name, as tools and `json_schema` want one."""
    return re.sub(r"[^A-Za-z0-9_-]", "_", schema.__name__).strip("_").lower()[:60] or "answer"


def wire_schema(schema: type[BaseModel]) -> dict[str, Any]:
    """Return a JSON schema in the subset that all providers take.

    References are written out, every property is required, no others are allowed (OpenAI's strict mode
    demands both). Bounds and patterns are not taken by all: they are put into words, and checked here.

    Raises:
        TypeError: it holds itself, so that it cannot be written out.
    """
    whole = schema.model_json_schema()
    plain = _plain(whole, whole.get("$defs", {}), ())
    assert isinstance(plain, dict)
    return plain


def _plain(node: Any, known: dict[str, Any], inside: tuple[str, ...]) -> Any:
    if isinstance(node, list):
        return [_plain(item, known, inside) for item in node]
    if not isinstance(node, dict):
        return node
    if reference := node.get("$ref"):
        name = str(reference).rpartition("/")[2]
        if name in inside:
            raise TypeError(f"the schema {name} holds itself: no provider takes that")
        return _plain(known[name], known, (*inside, name))
    result = {key: _plain(value, known, inside) for key, value in node.items() if key in _KEPT}
    if "const" in node:
        result["enum"] = [node["const"]]
    if bounds := _in_words(node):
        result["description"] = f"{result.get('description', '')} ({bounds})".strip()
    if "properties" in node:
        result["properties"] = {
            name: _plain(value, known, inside) for name, value in node["properties"].items()
        }
        result["required"] = list(node["properties"])
        result["additionalProperties"] = False
    return result


def _in_words(node: dict[str, Any]) -> str:
    """Return the bounds of a value as a part of its description."""
    return ", ".join(words.format(node[name]) for name, words in _BOUNDS.items() if name in node)


def instruction(schema: type[BaseModel]) -> str:
    """Return what a model is told when its provider cannot be told the shape in another way."""
    text = json.dumps(schema.model_json_schema(), ensure_ascii=False)
    return (
        "Answer with one JSON object and nothing else: no words before or after it, no code fence. "
        f"It must be valid against this JSON schema:\n{text}"
    )


def repair(problem: str) -> str:
    """Return what a model is told about an answer that did not fit."""
    return (
        f"Your answer cannot be used: {problem}\n"
        "Answer again, completely, with one JSON object in the form that was asked for and nothing else."
    )


def parse(text: str, schema: type[BaseModel]) -> BaseModel:
    """Return what an answer says, however it is wrapped: in thoughts, in prose, in a code fence.

    Raises:
        SchemaError: no object in it is valid; the message says what is wrong with the likeliest.
    """
    if len(text) > MAX_TEXT_CHARS:
        raise SchemaError("it is far too long")
    problem: SchemaError | None = None
    for candidate in _candidates(_THINKING.sub("", text)):
        try:
            return _validated(candidate, schema)
        except SchemaError as error:
            # the first is the outermost: its faults are the ones to tell
            problem = problem or error
    raise problem or SchemaError("it holds no JSON object")


def _validated(candidate: str, schema: type[BaseModel]) -> BaseModel:
    try:
        value = parse_object(candidate.encode(errors="replace"))
    except StrictJSONError as error:
        place = f" (line {error.place.line}, column {error.place.column})" if error.place else ""
        raise SchemaError(f"as JSON, {error.what}{place}: {error.remedy}") from None
    try:
        return schema.model_validate(value)
    except ValidationError as error:
        findings = error.errors(include_url=False, include_input=False, include_context=False)
        shown = [
            f"{'.'.join(str(part) for part in finding['loc']) or 'the object'}: {finding['msg']}"
            for finding in findings[:_SHOWN_ERRORS]
        ]
        raise SchemaError("; ".join(shown)[:_SHOWN_CHARS]) from None


def _candidates(text: str) -> Iterator[str]:
    """Yield the objects that a text holds, the likeliest first."""
    whole = text.strip()
    if not whole.startswith("{"):
        fenced = [found[1].strip() for found in _FENCED.finditer(text)]
        yield from (block for block in fenced if block.startswith("{"))
        yield from _objects(whole)
        return
    # what begins as JSON is meant as JSON: half of it must not pass for one of its parts
    try:
        _, end = _DECODER.raw_decode(whole)
    except (ValueError, RecursionError):
        end = len(whole)
    yield whole[:end]


def _objects(text: str) -> Iterator[str]:
    """Yield each outermost JSON object that stands in a text, until one that is cut off."""
    position = 0
    for _ in range(MAX_BEGINNINGS):
        begin = text.find("{", position)
        if begin < 0:
            return
        try:
            _, end = _DECODER.raw_decode(text, begin)
        except json.JSONDecodeError as error:
            if error.pos >= len(text) or error.msg.startswith("Unterminated"):
                return
            position = begin + 1
        except (ValueError, RecursionError):
            return
        else:
            yield text[begin:end]
            position = end
