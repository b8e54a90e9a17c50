"""How a tool's output is read, as `[tools.NAME.read]` of tools.toml says it."""

from __future__ import annotations

import re
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictStr, model_validator

from agent.tools.report import Outcome

_STRICT = ConfigDict(frozen=True, extra="forbid")


def _check_pattern(text: str) -> str:
    try:
        re.compile(text)
    except re.error as error:
        raise ValueError(f"{text[:200]!r} is not a regular expression: {error}") from None
    return text


def _check_path(text: str) -> str:
    if not text or any(not part for part in text.split(".")):
        raise ValueError(f'{text[:200]!r} is not a path: write names joined by dots, as "result.text"')
    return text


def _check_outcome(outcome: Outcome) -> Outcome:
    if outcome in (Outcome.SUCCESS, Outcome.CANCELLED, Outcome.LOST, Outcome.NOT_STARTED, Outcome.BAD_ANSWER):
        raise ValueError(f"{outcome.value!r} is never read from a line: choose another outcome")
    return outcome


Pattern = Annotated[StrictStr, AfterValidator(_check_pattern)]
FieldPath = Annotated[StrictStr, AfterValidator(_check_path)]
Variable = Annotated[StrictStr, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]


class OutcomeRule(BaseModel):
    """A line that says how it ended.

    Args:
        pattern: a regular expression for one line, of either stream.
        outcome: what such a line means.
    """

    model_config = _STRICT
    pattern: Pattern
    outcome: Annotated[Outcome, AfterValidator(_check_outcome)]


class Reading(BaseModel):
    """How the output is read.

    Args:
        format: plain text, one JSON document, or JSON lines.
        text: the path of the answer; of JSON lines, the last line that has it counts, here and below.
        error: the path of the error message; anything there but null, false or nothing is a failure.
        session: the path of the conversation's id.
        input_tokens: the path of a number.
        output_tokens: the path of a number.
        cost: the path of a number, in dollars.
        outcomes: the first rule with a line that matches decides what a failure was.
        waiting_title: a regular expression for the terminal's title while the tool waits for a person.
        waiting_text: the same for the last lines of its screen.
        config_dir_variable: an environment variable that is set to the tool's private folder.
    """

    model_config = _STRICT
    format: Literal["text", "json", "jsonl"] = "text"
    text: FieldPath | None = None
    error: FieldPath | None = None
    session: FieldPath | None = None
    input_tokens: FieldPath | None = None
    output_tokens: FieldPath | None = None
    cost: FieldPath | None = None
    outcomes: tuple[OutcomeRule, ...] = ()
    waiting_title: Pattern | None = None
    waiting_text: Pattern | None = None
    config_dir_variable: Variable | None = None

    @model_validator(mode="after")
    def _paths_need_json(self) -> Self:
        paths = ("text", "error", "session", "input_tokens", "output_tokens", "cost")
        given = [name for name in paths if getattr(self, name) is not None]
        if self.format == "text" and given:
            raise ValueError(f'{given[0]} is a path, and plain text has none: set format = "json" or "jsonl"')
        if self.format != "text" and self.text is None:
            raise ValueError("it is nowhere said where the answer is: set `text`")
        return self
