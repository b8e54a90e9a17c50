"""The output of claude and of qwen, which share a form: records of which the last `result` is the verdict.

`--output-format json` prints that record alone (claude) or all of them as one list (qwen), `stream-json` one
a line. A record that was cut is read as far as its short fields go; it comes last, so its end is always kept.
"""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from agent.tools.jsonlines import (
    Object,
    at,
    count_at,
    is_cut,
    list_at,
    number_at,
    objects,
    scraps,
    text_at,
    text_of,
)
from agent.tools.verdict import Found
from spool.records import Usage

if TYPE_CHECKING:
    from datetime import datetime

    from agent.tools.adapter import Said

_SHORT_FIELDS = ("is_error", "subtype", "session_id", "total_cost_usd", "api_error_status", "api_error_type")
_INLINE_ERROR = re.compile(r"\[API Error: (?P<said>.*)\]\s*\Z", re.DOTALL)
_LONGEST_NAMED = 3


def read(said: Said) -> Found:
    """Return what the records say."""
    text = text_of(said.stdout)
    records = objects(text)
    results = [record for record in records if record.get("type") == "result"]
    answers = [record for record in records if record.get("type") == "assistant"]
    session_id = next(
        (found for record in reversed(records) if (found := text_at(record, "session_id"))), None
    )
    worked = any(count_at(record, "message", "usage", "output_tokens") for record in answers)
    if not results:
        results = objects(text[last:]) if (last := text.rfind('{"type":"result"')) >= 0 else []
    if not results and is_cut(text):
        results = _cut_result(text)
    if not results:
        waits = _waits(records)
        wait_s = _retry_after_s(records, said.finished_at) if waits else None
        return Found(session_id=session_id, worked=worked, error=waits, retry_after_s=wait_s)
    result = results[-1]
    usage = _usage(result)
    return Found(
        finished=True,
        session_id=session_id or text_at(result, "session_id") or None,
        usage=usage,
        retry_after_s=_retry_after_s(records, said.finished_at),
        worked=worked or bool(usage.output_tokens),
        **_verdict(result, answers),
    )


def _verdict(result: Object, answers: list[Object]) -> dict[str, Any]:
    # an old qwen says is_error false and puts the error into the answer
    inline = _INLINE_ERROR.match(text_at(result, "result").strip())
    if result.get("is_error") or inline:
        said = inline["said"] if inline else _error_text(result)
        status = count_at(result, "api_error_status")
        kind = " ".join(text_at(result, name) for name in ("api_error_type", "api_error", "terminal_reason"))
        return {"error": f"{said} ({kind.strip()})" if kind.strip() else said, "status": status}
    return {"text": text_at(result, "result") or _last_text(answers), "refused": _refused(result)}


def _error_text(result: Object) -> str:
    errors = [error for error in list_at(result, "errors") if isinstance(error, str)]
    return (
        text_at(result, "error", "message")
        or text_at(result, "result")
        or "; ".join(errors)
        or text_at(result, "subtype").replace("_", " ")
        or "an error without a message"
    )


def _last_text(answers: list[Object]) -> str:
    if not answers:
        return ""
    parts = list_at(answers[-1], "message", "content")
    return "".join(text_at(part, "text") for part in parts if at(part, "type") == "text")


def _refused(result: Object) -> str:
    denied = [
        named(text_at(item, "tool_name"), at(item, "tool_input"))
        for item in list_at(result, "permission_denials")
    ]
    more = f" and {len(denied) - _LONGEST_NAMED} more" if len(denied) > _LONGEST_NAMED else ""
    return ", ".join(denied[:_LONGEST_NAMED]) + more


def named(tool: str, given: Any) -> str:
    """Return a tool's name and what it was to work on: `Bash (make test)`."""
    for name in ("command", "cmd", "file_path", "path", "absolute_path", "url", "pattern", "query", "prompt"):
        value = at(given, name)
        if isinstance(value, list):
            value = " ".join(str(word) for word in value)
        if isinstance(value, str) and value:
            return f"{tool or 'a tool'} ({value})"
    return tool or "a tool"


def _usage(result: Object) -> Usage:
    if "usage" not in result:
        return Usage(cost_usd=number_at(result, "total_cost_usd"))
    cost = number_at(result, "total_cost_usd")
    since = at(result, "model_usage_since_last_result")
    if isinstance(since, dict) and cost is not None:
        # the total is that of the whole conversation when it goes on
        cost = sum(number_at(model, "costUSD") or 0.0 for model in since.values())
    cached = sum(count_at(result, "usage", name) or 0 for name in ("cache_creation_input_tokens",))
    read_again = count_at(result, "usage", "cache_read_input_tokens") or 0
    given = count_at(result, "usage", "input_tokens")
    # claude counts what it read from its cache apart, qwen within
    apart = cached + read_again if "cache_creation_input_tokens" in result["usage"] else 0
    return Usage(
        input_tokens=None if given is None else given + apart,
        output_tokens=count_at(result, "usage", "output_tokens"),
        cost_usd=cost,
    )


def _retry_after_s(records: list[Object], now: datetime) -> float | None:
    """Return when the limit ends: what claude says of a subscription, else its wait before the last retry."""
    ends = [number_at(record, "rate_limit_info", "resetsAt") for record in records]
    rejected = [text_at(record, "rate_limit_info", "status") == "rejected" for record in records]
    for end, is_rejected in zip(reversed(ends), reversed(rejected), strict=True):
        if end is not None and is_rejected:
            return max(0.0, end - now.timestamp())
    retries = [record for record in records if record.get("subtype") == "api_retry"]
    if not retries or count_at(retries[-1], "error_status") != HTTPStatus.TOO_MANY_REQUESTS:
        return None
    wait_ms = number_at(retries[-1], "retry_delay_ms")
    return None if wait_ms is None else wait_ms / 1000


def _waits(records: list[Object]) -> str:
    """Return the error that it was waiting to try again, when nothing came after."""
    if not records or records[-1].get("subtype") not in ("api_retry", "retry"):
        return ""
    last = records[-1]
    status = count_at(last, "error_status")
    return f"API Error: {status or ''} {text_at(last, 'error')}".strip()


def _cut_result(text: str) -> list[Object]:
    """Return the short fields of a result of which the middle is missing."""
    found = scraps(text, *_SHORT_FIELDS)
    if "is_error" not in found:
        return []
    counts = scraps(text, "input_tokens", "output_tokens")
    return [{"type": "result", **found, "usage": counts}]
