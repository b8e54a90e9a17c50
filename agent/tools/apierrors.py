"""Puts what a model's server or a tool said about a failure into one of our outcomes.

A status that is certain comes before words, and the words of a full context or a used-up quota before any
status, since providers send those as 400, 403 and 429 alike.
"""

from __future__ import annotations

import re
from http import HTTPStatus

from agent.tools.report import Outcome

_HOUR_S = 3600.0
_STATUS = re.compile(
    r"(?:api[ _]?error|http(?:/[\d.]+)?|status(?:[ _]?code)?|error(?:[ _]?code)?|code|rejected)"
    r"[\"']?[\s:=({\[]{0,4}(?P<code>[45]\d\d)\b",
    re.IGNORECASE,
)
_NAMED = re.compile(
    r"\b(?P<code>[45]\d\d) "
    r"(?:Unauthorized|Forbidden|Not Found|Bad Request|Too Many|Payment|Internal|Bad Gateway|Service)"
)


def _words(*patterns: str) -> re.Pattern[str]:
    return re.compile("|".join(patterns), re.IGNORECASE)


_CONTEXT = _words(
    r"maximum context length",
    r"context[ _](?:length|window)[ _](?:is )?exceed",
    r"context_length_exceeded",
    r"context ?overflow",
    r"room in the model'?s context",
    r"prompt is too long",
    r"input (?:is )?too long",
    r"(?:input )?token count.{0,40}exceeds",
    r"exceeds the (?:maximum number of tokens|context)",
    r"reduce the length of the messages",
    r"request too large",
)
_QUOTA = _words(
    r"exceeded your current quota",
    r"insufficient[_ ](?:quota|credits|balance|funds)",
    r"quota (?:is )?(?:exceeded|exhausted|used up)",
    r"exhausted your (?:\w+ )?(?:quota|capacity)",
    r"credit balance is too low",
    r"(?:hit|reached|exceeded) your (?:\w+ )?(?:usage )?limit",
    r"usage[_ ]limit",
    r"out of (?:extra )?(?:credits|usage)",
    r"payment required",
    r"billing (?:hard )?limit",
)
_SOON = _words(r"exceeded your current quota", r"quota exceeded for metric")
_RATE = _words(
    r"rate[ _-]?limit", r"too many requests", r"resource[_ ]exhausted", r"requests per (?:min|sec|day)"
)
_AUTH = _words(
    r"(?:invalid|incorrect|missing|no|wrong) (?:x-)?api[ _-]?key",
    r"api[ _]key (?:not valid|not found|is missing|is not set|expired|required|must be set)",
    r"x-api-key",
    r"invalid_api_key",
    r"authenticat",
    r"unauthori[sz]ed",
    r"not logged in",
    r"please (?:run )?/?log ?in",
    r"(?:missing|set the|specify the).{0,40}environment variable",
    r"permission_denied",
    r"credentials",
    r"(?:oauth |access |auth )token (?:has |is )?(?:expired|revoked|invalid)",
    r"unable to authenticate",
    r"no (?:auth|provider|model)s? (?:type )?(?:is |are )?(?:selected|configured)",
    r"set an auth method",
)
_BAD = _words(
    r"invalid_request",
    r"invalid[_ ]argument",
    r"invalid value",
    r"unsupported (?:parameter|value)",
    r"model\b.{0,80}(?:not found|does not exist|not supported|unknown)",
    r"(?:unknown|invalid|no such) model",
)
_SERVER = _words(
    r"overloaded",
    r"at capacity",
    r"high demand",
    r"internal server error",
    r"server had an error",
    r"server_error",
    r"service unavailable",
    r"bad gateway",
    r"gateway time-?out",
    r"temporarily unavailable",
)
_UNREACHABLE = _words(
    r"\bE(?:CONNREFUSED|CONNRESET|NOTFOUND|TIMEDOUT|AI_AGAIN|HOSTUNREACH|NETUNREACH|PIPE)\b",
    r"fetch failed",
    r"failed to fetch",
    r"connection (?:was )?(?:refused|reset|error|failed|closed|timed out|aborted)",
    r"connection_failed",
    r"(?:unable|failed|cannot|could not|can't) (?:to )?connect",
    r"network (?:error|is unreachable)",
    r"waiting for network",
    r"error sending request",
    r"stream (?:disconnected|ended without)",
    r"without a finish reason",
    r"socket hang ?up",
    r"getaddrinfo",
    r"name or service not known",
    r"no such host",
    r"max retries exceeded with url",
    r"dial tcp",
    r"premature close",
    r"apiconnectionerror",
)
_EMPTY = _words(r"empty response", r"no response text", r"returned an empty")

_BY_STATUS = {
    401: Outcome.AUTH,
    402: Outcome.QUOTA,
    403: Outcome.AUTH,
    407: Outcome.AUTH,
    408: Outcome.SERVER_ERROR,
    413: Outcome.CONTEXT_TOO_LONG,
    429: Outcome.RATE_LIMIT,
}
_BY_WORDS = (
    (_AUTH, Outcome.AUTH),
    (_RATE, Outcome.RATE_LIMIT),
    (_EMPTY, Outcome.NO_ANSWER),
    (_BAD, Outcome.BAD_REQUEST),
    (_SERVER, Outcome.SERVER_ERROR),
    (_UNREACHABLE, Outcome.UNREACHABLE),
)


def outcome_of(text: str, status: int | None = None, *, retry_after_s: float | None = None) -> Outcome | None:
    """Return what a failure was; None when nothing in it is known.

    Args:
        text: what was said about it.
        status: of the HTTP answer, where it is known for certain.
        retry_after_s: when the limit ends: a quota that is back within the hour is a limited rate.
    """
    status = status if status is not None else status_in(text)
    if _CONTEXT.search(text):
        return Outcome.CONTEXT_TOO_LONG
    if _QUOTA.search(text):
        soon = _SOON.search(text) and retry_after_s is not None and retry_after_s <= _HOUR_S
        return Outcome.RATE_LIMIT if soon else Outcome.QUOTA
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    if status is not None and status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return Outcome.SERVER_ERROR
    for words, outcome in _BY_WORDS:
        if words.search(text):
            return outcome
    return Outcome.BAD_REQUEST if status is not None and status >= HTTPStatus.BAD_REQUEST else None


def status_in(text: str) -> int | None:
    """Return the HTTP status that a message names; None when it names none."""
    found = _STATUS.search(text) or _NAMED.search(text)
    return int(found["code"]) if found else None
