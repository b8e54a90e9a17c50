"""Parts of a run's files, as the pipeline writes them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from agent.collab.records import CallRecord, StepRecord
from spool.records import Usage

if TYPE_CHECKING:
    from collections.abc import Sequence

NOON = datetime(2026, 11, 20, 12, 0, 0, tzinfo=UTC)


def usage(cost_usd: float | None = 0.01) -> Usage:
    return Usage(input_tokens=100, output_tokens=20, cost_usd=cost_usd)


def call(
    provider: str, model: str, error: str | None = None, duration_s: float = 2.0, **more: Any
) -> CallRecord:
    return CallRecord(
        provider=provider,
        model=model,
        error=error,
        duration_s=duration_s,
        usage=more.get("usage", Usage() if error else usage()),
    )


def step(
    name: str,
    role: str,
    provider: str = "qwen",
    model: str = "qwen-max",
    *,
    family: str | None = None,
    calls: Sequence[CallRecord] | None = None,
    response: dict[str, Any] | None = None,
    at: datetime = NOON,
    **fields: Any,
) -> StepRecord:
    return StepRecord(
        name=name,
        phase=int(name[0]),
        role=role,
        state=fields.pop("state", "ok"),
        provider=provider,
        model=model,
        family=family or provider,
        started_at=at,
        finished_at=at + timedelta(seconds=3),
        calls=tuple(calls if calls is not None else [call(provider, model)]),
        response=response,
        **fields,
    )


def verdict(role: str, passed: int, made: int, family: str = "claude", at: datetime = NOON) -> StepRecord:
    checks = [{"name": f"check {number}", "passed": number < passed} for number in range(made)]
    return step(
        f"3-validation-{role}",
        "validator",
        "anthropic",
        "opus",
        family=family,
        response={"checks": checks, "vetoes": []},
        at=at,
    )
