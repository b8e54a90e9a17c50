"""Times, durations and sizes as people read them in a table."""

from __future__ import annotations

from datetime import UTC, datetime


def ago(moment: datetime | None, now: datetime | None = None) -> str:
    """Say how long ago something was: 42 s, 5 min, 3 h, 9 d."""
    if moment is None:
        return "-"
    return span(((now or datetime.now(UTC)) - moment).total_seconds())


def span(seconds: float | None) -> str:
    """Say a duration with two digits or so."""
    if seconds is None:
        return "-"
    for limit_s, unit_s, unit in ((120, 1, "s"), (7200, 60, "min"), (172_800, 3600, "h")):
        if seconds < limit_s:
            return f"{max(0, seconds) / unit_s:.0f} {unit}"
    return f"{seconds / 86400:.0f} d"


def size(count_bytes: float) -> str:
    """Say a size in binary units."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if abs(count_bytes) < 1024:  # noqa: PLR2004 - the unit's own step
            return f"{count_bytes:.0f} {unit}" if unit == "B" else f"{count_bytes:.1f} {unit}"
        count_bytes /= 1024
    return f"{count_bytes:.1f} TiB"
