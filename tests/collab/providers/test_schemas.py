"""Structured answers: what goes on the wire, and what is found in what comes back."""

from __future__ import annotations

import json
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field, create_model

from agent.collab import records
from agent.collab.providers.families import family_of
from agent.collab.providers.schemas import SchemaError, name_of, parse, wire_schema


class Inner(BaseModel):
    name: str = Field(max_length=5)
    rank: Literal[1, 2] | None = None


class Outer(BaseModel):
    inner: Inner
    more: tuple[Inner, ...] = ()
    note: str = ""


GOOD = {"inner": {"name": "a", "rank": 1}, "more": [], "note": "n"}
MODELS = [records.Plan, records.Response, records.Validation, records.Integration, Outer]


def told(text: str) -> str | None:
    """What the model is told about an answer; None when it fits."""
    try:
        parse(text, Outer)
    except SchemaError as error:
        return str(error)
    return None


def objects(schema: Any) -> list[dict[str, Any]]:
    """Every object schema in a schema."""
    if isinstance(schema, list):
        return [found for item in schema for found in objects(item)]
    if not isinstance(schema, dict):
        return []
    own = [schema] if schema.get("type") == "object" else []
    return own + [found for value in schema.values() for found in objects(value)]


@pytest.mark.parametrize("model", MODELS)
def test_what_goes_on_the_wire_is_what_all_take(model: type[BaseModel]) -> None:
    """No references, every property required and no others, no bounds: OpenAI's strict mode demands it."""
    schema = wire_schema(model)
    text = json.dumps(schema)
    assert not any(
        word in text for word in ("$ref", "$defs", "maxLength", "maxItems", '"default"', '"pattern"')
    )
    for one in objects(schema):
        assert one["required"] == list(one["properties"])
        assert one["additionalProperties"] is False


def test_a_property_may_be_called_like_a_keyword() -> None:
    """`title` of a document is no title of a schema."""

    class Document(BaseModel):
        title: str
        pattern: str
        default: int

    assert list(wire_schema(Document)["properties"]) == ["title", "pattern", "default"]


def test_a_schema_that_holds_itself_is_nobody_s() -> None:
    """It cannot be written out."""

    class Tree(BaseModel):
        children: list[Tree]

    Tree.model_rebuild(_types_namespace={"Tree": Tree})
    with pytest.raises(TypeError, match="holds itself"):
        wire_schema(Tree)


def test_a_schema_has_a_name_that_tools_may_have() -> None:
    """Letters, digits, dashes."""
    unsafe = create_model("Ün safe", x=(int, ...))
    assert name_of(unsafe) == "n_safe"


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(GOOD),
        json.dumps(GOOD, indent=2) + "\n",
        f"```json\n{json.dumps(GOOD)}\n```",
        f"Here it is:\n```\n{json.dumps(GOOD, indent=2)}\n```\nI hope this helps {{really}}.",
        f'<think>maybe {{"inner": 1}}?</think>\n{json.dumps(GOOD)}',
        f"Use {{x}} and {{}} like so: {json.dumps(GOOD)} — done.",
        f"{json.dumps(GOOD)}\nThat is all.",
        json.dumps({**GOOD, "unasked": [1, 2]}),
    ],
)
def test_an_object_is_found_however_it_is_wrapped(text: str) -> None:
    """Prose, a fence, thoughts."""
    assert parse(text, Outer) == Outer.model_validate(GOOD)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no JSON object"),
        ("No.", "no JSON object"),
        ("[1, 2]", "no JSON object"),
        ("{}", "inner: Field required"),
        ('{"inner": {"name": "too long a name"}}', "inner.name: String should have at most 5"),
        ('{"inner": {"name": "a"}, "inner": {"name": "b"}}', "stands twice"),
        ('{"inner": {"name": "a"}, "note": NaN}', "NaN is not JSON"),
        ('{"inner": {"name": "a"}, "more": [', "as JSON"),
        ("[" * 5000 + '{"inner": {"name": "a"}}', "as JSON|nothing"),
    ],
)
def test_what_is_wrong_is_told_for_the_model_to_mend(text: str, said: str) -> None:
    """Where, and what belongs there."""
    if text.startswith("[["):
        assert parse(text, Outer).model_dump()["inner"]["name"] == "a"
        return
    with pytest.raises(SchemaError, match=said):
        parse(text, Outer)


def test_a_part_of_a_cut_answer_is_not_the_answer() -> None:
    """Half of an object holds whole ones, which nobody meant."""
    cut = '{"plan": {"inner": {"name": "a"}}, "text": "and so'
    with pytest.raises(SchemaError):
        parse(cut, Outer)
    with pytest.raises(SchemaError):
        parse(f"Here: {cut}", Outer)


@given(st.text(max_size=400))
def test_no_text_breaks_it(text: str) -> None:
    """It fits, or the model is told."""
    assert told(text) != ""


WORDS = st.text(st.characters(blacklist_characters="{}`<>", blacklist_categories=["Cs"]), max_size=60)
NAMES = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\x00"), max_size=5)


@given(WORDS, WORDS, NAMES, st.lists(NAMES, max_size=3), st.booleans())
def test_an_object_in_prose_is_found_again(
    before: str,
    after: str,
    name: str,
    more: list[str],
    fenced: bool,  # noqa: FBT001 - hypothesis
) -> None:
    """Whatever its strings hold."""
    meant = Outer(inner=Inner(name=name), more=tuple(Inner(name=one) for one in more))
    text = meant.model_dump_json()
    wrapped = f"{before}\n```json\n{text}\n```\n{after}" if fenced else f"{before}{text}{after}"
    assert parse(wrapped, Outer) == meant


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=5), lambda inner: (
    st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
), max_leaves=20))  # fmt: skip
def test_no_json_breaks_it(value: Any) -> None:
    """It fits, or the model is told."""
    assert told(json.dumps(value)) != ""


@pytest.mark.parametrize(
    ("model", "family"),
    [
        ("qwen3-max", "qwen"),
        ("qwen/qwen3-coder", "qwen"),
        ("Qwen2.5-7B-Instruct-Q4_K_M.gguf", "qwen"),
        ("QwQ-32B", "qwen"),
        ("gemini-2.5-flash", "gemini"),
        ("google/gemma-3-27b-it", "gemma"),
        ("gpt-5", "gpt"),
        ("o3-mini", "gpt"),
        ("openai/gpt-oss-120b", "gpt"),
        ("claude-sonnet-4-6", "claude"),
        ("anthropic/claude-opus-4", "claude"),
        ("meta-llama/llama-3.3-70b-instruct", "llama"),
        ("codellama:7b", "llama"),
        ("mixtral-8x7b", "mistral"),
        ("deepseek-chat", "deepseek"),
        ("deepseek-r1-distill-qwen-7b", "qwen"),
        ("DeepSeek-R1-Distill-Llama-70B", "llama"),
        ("phi-4", "phi"),
        ("dolphin-mixtral", "mistral"),
        ("smollm2:135m", "smollm"),
        ("kimi-k2", "kimi"),
        ("grok-4", "grok"),
        ("somebody/newmodel-1", "newmodel"),
        ("7", None),
    ],
)
def test_the_family_of_a_model(model: str, family: str | None) -> None:
    """By its name, however the provider writes it."""
    assert family_of(model) == family
