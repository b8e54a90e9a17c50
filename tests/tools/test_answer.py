from __future__ import annotations

import json

import pytest

from agent.tools.answer import answer_problem, joined, plain_answer
from agent.tools.definition import ToolDefinition
from spool.task import Task

TOOL = ToolDefinition.model_validate({"name": "t", "executables": ["t"], "argv": ["$executable", "$prompt"]})
SHELL = ToolDefinition.model_validate({"name": "s", "argv": ["/bin/sh", "-c", "$command"]})


def asked(answer: str, tool: str = "t") -> Task:
    parameters = {"prompt": "look", "output_format": answer}
    return Task.model_validate({"tool": tool, "command": "x", "parameters": parameters})


JSON = asked("json")


@pytest.mark.parametrize(
    ("text", "bare"),
    [
        ('{"a": 1}', '{"a": 1}'),
        (" [1]\n", "[1]"),
        ('```json\n{"a": 1}\n```', '{"a": 1}'),
        ('\n~~~\n{"a": "```"}\n~~~\n', '{"a": "```"}'),
        ('````JSON\n"```"\n````', '"```"'),
    ],
)
def test_json_with_or_without_a_fence(text: str, bare: str) -> None:
    assert answer_problem(TOOL, JSON, text) is None
    assert plain_answer(TOOL, JSON, text) == bare
    assert plain_answer(TOOL, asked("markdown"), text) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Here it is:\n```json\n{}\n```",
        '{"a": 1',
        "{} {}",
        "NaN",
        "```json\n{}",
        "[" * 100_000,
        "```\n```json\n{}\n```\n```",
    ],
)
def test_what_is_not_json(text: str) -> None:
    problem = answer_problem(TOOL, asked(" JSON "), text)
    assert problem is not None
    assert problem.startswith("its answer is not JSON (")
    assert plain_answer(TOOL, JSON, text) == text
    assert answer_problem(TOOL, asked("markdown"), text) is None
    assert answer_problem(SHELL, asked("json", "s"), text) is None, "a script is no model"


@pytest.mark.parametrize(
    ("texts", "whole"),
    [
        (["[1]", "```\n[2]\n```"], [1, 2]),
        (
            ['{"a": [1], "n": "x"}', '{"a": [2], "b": {"c": [3]}, "n": "x"}'],
            {"a": [1, 2], "n": "x", "b": {"c": [3]}},
        ),
        (['{"a": {"x": 1}}', '{"a": {"y": 2}}'], {"a": {"x": 1, "y": 2}}),
        (['{"n": 1}', '{"n": 2}'], [{"n": 1}, {"n": 2}]),
        (["[1]", '{"a": 1}'], [[1], {"a": 1}]),
        (['{"n": 1}', '{"n": true}'], [{"n": 1}, {"n": True}]),
    ],
)
def test_answers_of_several_calls(texts: list[str], whole: object) -> None:
    assert json.loads(joined(TOOL, JSON, texts)) == whole


def test_texts_of_several_calls() -> None:
    assert joined(TOOL, asked("markdown"), ["one\n", "\ntwo"]) == "one\n\ntwo\n"
