"""What an attempt came to, in values that are the same for every tool, with a sentence for people."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from spool.records import Usage


class Outcome(StrEnum):
    """How a tool's run ended, whatever its exit code said."""

    SUCCESS = "success"
    REFUSED = "refused"
    """The tool went on, but was not permitted to do something that it wanted to do."""
    AUTH = "auth"
    RATE_LIMIT = "rate_limit"
    QUOTA = "quota"
    SERVER_ERROR = "server_error"
    UNREACHABLE = "unreachable"
    CONTEXT_TOO_LONG = "context_too_long"
    BAD_REQUEST = "bad_request"
    NO_ANSWER = "no_answer"
    """It ended without an error and without an answer."""
    BAD_ANSWER = "bad_answer"
    """Its answer is not in the form that the task asked for."""
    KILLED = "killed"
    TIMED_OUT = "timed_out"
    CANCELLED = "cancelled"
    LOST = "lost"
    NOT_STARTED = "not_started"
    FAILED = "failed"
    """It says that it failed, and nothing more precise is known."""


PARKED = frozenset({Outcome.RATE_LIMIT, Outcome.QUOTA})
"""Outcomes after which the tool waits until its limit ends, and every task of the same tool with it."""

SENTENCES = {
    Outcome.SUCCESS: "it succeeded",
    Outcome.REFUSED: "it was not permitted to do what it wanted: allow it with `approval`, or ask for less",
    Outcome.AUTH: "its credentials were missing or not accepted: log in, or set its key in configs/env",
    Outcome.RATE_LIMIT: "its provider limits the rate of requests",
    Outcome.QUOTA: "the account's quota is used up",
    Outcome.SERVER_ERROR: "the model's server failed",
    Outcome.UNREACHABLE: "the model's server could not be reached",
    Outcome.CONTEXT_TOO_LONG: "what it was given does not fit the model's context: give it less",
    Outcome.BAD_REQUEST: "the model's server refused the request",
    Outcome.NO_ANSWER: "it ended without an answer",
    Outcome.BAD_ANSWER: "its answer is not in the form that the task asked for",
    Outcome.FAILED: "it failed",
}
"""One sentence for people; what the tool itself said is put behind it."""


@dataclass(frozen=True, slots=True)
class Report:
    """What one attempt came to.

    Args:
        outcome: the value.
        reason: one sentence for people, without line breaks.
        text: the final answer alone.
        usage: tokens and money; None where the tool does not say.
        tool_session_id: its conversation.
        retry_after_s: when the limit ends, counted from the attempt's end; None when the tool does not say.
        is_stream: the answer is the tool's output as it is, byte for byte; `text` is how it reads.
        can_resume: the conversation holds something that is worth going on with.
    """

    outcome: Outcome
    reason: str
    text: str = ""
    usage: Usage = field(default_factory=Usage)
    tool_session_id: str | None = None
    retry_after_s: float | None = None
    can_resume: bool = False
    is_stream: bool = False
