"""What an HTTP answer with a bad status means, and how long it asks us to wait."""

from __future__ import annotations

import email.utils
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from agent.collab.credentials import hidden
from agent.collab.providers.base import Kind, ProviderError
from agent.tools.apierrors import outcome_of
from agent.tools.limits import MAX_WAIT_S, retry_after_s
from agent.tools.report import Outcome

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agent.collab.credentials import Secret

_SHOWN_CHARS: Final = 300
_NOT_FOUND: Final = 404
_TIMEOUTS: Final = frozenset({408, 504, 524})
_CONFLICTS: Final = frozenset({409, 425})
_REDIRECTS: Final = range(300, 400)
_MISSING: Final = (
    *("not found", "not_found", "not exist", "unknown", "no such", "invalid model", "not a valid model"),
    "not supported for generatecontent",
)

KINDS: Final[dict[Outcome, Kind]] = {
    Outcome.AUTH: "auth",
    Outcome.RATE_LIMIT: "rate_limit",
    Outcome.QUOTA: "quota",
    Outcome.SERVER_ERROR: "server",
    Outcome.UNREACHABLE: "network",
    Outcome.CONTEXT_TOO_LONG: "too_long",
    Outcome.BAD_REQUEST: "bad_request",
    Outcome.NO_ANSWER: "server",
    Outcome.BAD_ANSWER: "invalid_answer",
    Outcome.REFUSED: "refused",
    Outcome.TIMED_OUT: "timeout",
    Outcome.KILLED: "server",
    Outcome.LOST: "server",
    Outcome.NOT_STARTED: "unavailable",
    Outcome.CANCELLED: "refused",
    Outcome.FAILED: "server",
}
"""The outcomes of the tools, in our words."""

_REMEDIES: Final[dict[Kind, str]] = {
    "auth": "check its key (`aispool collab providers` says where it comes from)",
    "quota": "top the account up, or let another provider take the role",
    "too_long": "ask less at once",
    "unknown_model": "name one that it lists (`aispool collab providers`)",
}


def failure_of(
    name: str,
    status: int,
    headers: Mapping[str, str],
    text: str,
    *,
    secrets: tuple[Secret, ...] = (),
    now: datetime | None = None,
) -> ProviderError:
    """Return the error that an HTTP answer means.

    Args:
        name: of the provider.
        status: of the answer, not a good one.
        headers: in lower case.
        text: its body.
        secrets: that the message must not hold.
        now: the moment of the answer.
    """
    moment = now or datetime.now(UTC)
    wait_s = wait_of(headers, moment)
    if wait_s is None:
        wait_s = retry_after_s(text, moment)
    kind = _kind(status, text, wait_s)
    if status in _REDIRECTS:
        said = f"it points to {headers.get('location', 'nowhere')}: put that into base_url"
    else:
        # hidden last: JSON may write a secret with escapes
        said = _message_in(text)
    said = hidden(said, secrets)
    said = said if len(said) <= _SHOWN_CHARS else said[:_SHOWN_CHARS] + "…"
    remedy = f": {_REMEDIES[kind]}" if kind in _REMEDIES else ""
    ends = f" (it ends in {wait_s:.0f} s)" if wait_s is not None and kind in {"rate_limit", "quota"} else ""
    return ProviderError(kind, f"{name}: HTTP {status}: {said}{ends}{remedy}", retry_after_s=wait_s)


def wait_of(headers: Mapping[str, str], now: datetime) -> float | None:
    """Return the seconds that `Retry-After` asks for (RFC 9110 10.2.3: a number or a date); None without it.

    Args:
        headers: in lower case; the `retry-after-ms` that some vendors send is finer, and wins.
        now: counts a date from here.
    """
    for name, unit_s in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        value = headers.get(name, "").strip()
        if not value:
            continue
        try:
            wait_s = float(value) * unit_s
        except ValueError:
            found = _until(value, now)
            if found is None:
                continue
            wait_s = found
        if 0 <= wait_s <= MAX_WAIT_S:
            return wait_s
    return None


def _until(value: str, now: datetime) -> float | None:
    try:
        moment = email.utils.parsedate_to_datetime(value)
    except ValueError:
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max(0.0, (moment - now).total_seconds())


def _kind(status: int, text: str, wait_s: float | None) -> Kind:
    if status in _TIMEOUTS:
        return "timeout"
    if status in _CONFLICTS:
        return "server"
    if status in _REDIRECTS:
        return "bad_request"
    if is_about_a_model(status, text):
        return "unknown_model"
    if status == _NOT_FOUND:
        return "bad_request"
    outcome = outcome_of(text, status, retry_after_s=wait_s)
    return KINDS.get(outcome, "bad_request") if outcome else "bad_request"


def is_about_a_model(status: int, text: str) -> bool:
    """Tell whether a refusal says that there is no such model."""
    if status not in {400, _NOT_FOUND, 422}:
        return False
    words = text.lower()
    missing = (
        "not found",
        "not exist",
        "unknown",
        "not supported for generatecontent",
        "no such",
        "invalid model",
    )
    return (
        "model_not_found" in words
        or "not a valid model" in words
        or ("model" in words and any(word in words for word in missing))
    )


def _message_in(text: str) -> str:
    """Return the vendor's sentence out of its JSON; the text itself where there is none."""
    try:
        document: Any = json.loads(text)
    except (ValueError, RecursionError):
        document = None
    found = _deep(document[0] if isinstance(document, list) and document else document)
    return found or text or "nothing more is said"


def _deep(value: Any) -> str | None:
    if isinstance(value, str):
        return value
    if isinstance(value, dict):
        for name in ("error", "message", "detail", "error_description"):
            if name in value and (found := _deep(value[name])):
                return found
    return None
