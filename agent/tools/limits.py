"""Reads when a limit ends from a message: `Retry-After`, "try again in 7s", "resets 2:33am (UTC)"."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

MAX_WAIT_S = 62 * 86400.0
"""A limit that ends later than this was misread."""

_UNIT_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_UNIT = r"(?:ms|milliseconds?|seconds?|secs?|s|minutes?|mins?|m|hours?|hrs?|h|days?|d|weeks?|w)"
_SPAN = rf"\d+(?:\.\d+)?\s*{_UNIT}(?:[\s,]*(?:and\s+)?\d+(?:\.\d+)?\s*{_UNIT})*"
_IN = re.compile(
    r"(?:again|retry|resets?|available|wait|refresh(?:es)?|limit ends)\s+(?:in|after|for)?\s*:?\s*"
    rf"(?P<span>{_SPAN})(?![a-z])",
    re.IGNORECASE,
)
_HEADER = re.compile(
    r"(?:retry[-_]after(?P<ms>[-_]ms)?|retry_?delay(?P<ms2>_?ms)?|resets_in_seconds)"
    r"[\"']?\s*[:=]?\s*[\"']?(?P<n>\d+(?:\.\d+)?)s?\b",
    re.IGNORECASE,
)
_EPOCH = re.compile(r"(?:limit reached\||resets?_at[\"']?\s*[:=]\s*[\"']?)(?P<epoch>\d{10})\b", re.IGNORECASE)
_ISO = re.compile(
    r"(?:again|resets?|until|available)\D{0,12}"
    r"(?P<iso>\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d)?(?:\.\d+)?(?:Z|[+-]\d\d:?\d\d)?)",
    re.IGNORECASE,
)
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_CLOCK = re.compile(
    r"(?:again|resets?|until|available)\s*(?:at|on)?\s*"
    rf"(?:(?P<month>{'|'.join(_MONTHS)})[a-z]*\.?\s+(?P<day>\d{{1,2}})(?:st|nd|rd|th)?"
    r"(?:,?\s+(?P<year>\d{4}))?[\s,]*(?:at\s+)?)?"
    r"(?P<hour>\d{1,2})(?::(?P<minute>\d\d))?\s*(?P<half>[ap]\.?m\.?)?(?![\d:])"
    r"\s*(?:\((?P<zone>[A-Za-z_/+-]+)\))?",
    re.IGNORECASE,
)


def retry_after_s(text: str, now: datetime) -> float | None:
    """Return in how many seconds the limit ends that a message speaks of; None when it does not say.

    Args:
        text: what the tool printed; the last mention counts.
        now: the moment from which to count.
    """
    for reader in (_header, _span, _epoch, _iso, _clock):
        found = reader(text, now)
        if found is not None and 0 <= found <= MAX_WAIT_S:
            return found
    return None


def _header(text: str, _now: datetime) -> float | None:
    found = list(_HEADER.finditer(text))
    if not found:
        return None
    last = found[-1]
    return float(last["n"]) * (0.001 if last["ms"] or last["ms2"] else 1.0)


def _span(text: str, _now: datetime) -> float | None:
    found = list(_IN.finditer(text))
    if not found:
        return None
    parts = re.findall(r"(\d+(?:\.\d+)?)\s*(ms|milli|[smhdw])", found[-1]["span"], re.IGNORECASE)
    return sum(
        float(number) * _UNIT_S["ms" if unit.lower() == "milli" else unit.lower()] for number, unit in parts
    )


def _epoch(text: str, now: datetime) -> float | None:
    found = list(_EPOCH.finditer(text))
    return max(0.0, float(found[-1]["epoch"]) - now.timestamp()) if found else None


def _iso(text: str, now: datetime) -> float | None:
    found = list(_ISO.finditer(text))
    if not found:
        return None
    try:
        moment = datetime.fromisoformat(found[-1]["iso"])
    except ValueError:
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max(0.0, (moment - now).total_seconds())


def _clock(text: str, now: datetime) -> float | None:
    found = [match for match in _CLOCK.finditer(text) if match["minute"] or match["half"]]
    return _until(found[-1], now) if found else None


def _until(match: re.Match[str], now: datetime) -> float | None:
    local = now.astimezone(_zone(match["zone"]))
    half = (match["half"] or "").lower()[:1]
    hour = int(match["hour"])
    if half:
        hour = hour % 12 + (12 if half == "p" else 0)
    try:
        moment = local.replace(hour=hour, minute=int(match["minute"] or 0), second=0, microsecond=0)
        if match["month"]:
            month = _MONTHS.index(match["month"].lower()) + 1
            year = int(match["year"] or (local.year + (month < local.month)))
            moment = moment.replace(year=year, month=month, day=int(match["day"]))
        elif moment <= local:
            moment += timedelta(days=1)
    except ValueError:
        return None
    return max(0.0, (moment - local).total_seconds())


def _zone(name: str | None) -> ZoneInfo | None:
    """Return the named zone; None, which is the machine's own, where there is none of that name."""
    try:
        return ZoneInfo(name) if name else None
    except (ZoneInfoNotFoundError, ValueError):
        return None
