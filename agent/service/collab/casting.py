"""Who plays which role in a run, and how far each is: one card a role, filled in phase by phase."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from agent.collab import tally
from agent.collab.answering import VALIDATION, parsed
from agent.collab.records import Integration, Plan, Response, StepRecord, Validation
from agent.collab.roles import load
from agent.config import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import BaseModel

    from spool.workspace import Workspace

PHASES: Final = {1: "plan", 2: "answers", 3: "validation", 4: "integration", 5: "what was run"}
"""What each phase is, for people."""


def cards(
    workspace: Workspace, document: Mapping[str, Any], steps: Mapping[str, StepRecord]
) -> list[dict[str, Any]]:
    """Return one card for each role, in the order of roles.toml.

    Fields: role, about, does, task (what the plan gives it to do), state (waiting, running, ok, failed; the
    worst of what it has begun), parts: step, phase, what, of (whom it judges, or null), state, provider,
    model, family, since, duration_s, reason, calls, input_tokens, output_tokens, cost_usd, said (what it
    wrote, as understood; null before).
    """
    running = {step["name"]: step for step in (document["progress"] or {}).get("steps") or ()}
    plan = parsed(Plan, steps.get("1-plan"))
    parts = [_done(step) for step in steps.values() if step.name != tally.STEP]
    parts += [_running(step) for name, step in running.items() if name not in steps and name != tally.STEP]
    known = _roles(workspace)
    names = dict.fromkeys((*known, *(part["role"] for part in parts)))
    answering = {assignment.role for assignment in plan.assignments} if plan else None
    return [
        _card(name, known.get(name, ("", "answers")), plan, [p for p in parts if p["role"] == name])
        for name in names
        if _takes_part(name, known.get(name, ("", ""))[1], answering, parts)
    ]


def _roles(workspace: Workspace) -> dict[str, tuple[str, str]]:
    try:
        return {name: (role.about, role.does) for name, role in load(workspace).roles.items()}
    except ConfigError:
        return {}  # the run's own files say who took part


def _takes_part(name: str, does: str, answering: set[str] | None, parts: list[dict[str, Any]]) -> bool:
    if any(part["role"] == name for part in parts):
        return True
    return does != "answers" or answering is None or name in answering


def _card(
    name: str, known: tuple[str, str], plan: Plan | None, parts: list[dict[str, Any]]
) -> dict[str, Any]:
    own = [part for part in parts if part["phase"] in PHASES]
    own.sort(key=lambda part: (part["phase"], part["step"]))
    states = [part["state"] for part in own]
    state = next((each for each in ("running", "failed", "ok") if each in states), "waiting")
    about, does = known
    return {
        "role": name,
        "about": about,
        "does": does,
        "task": plan.task_of(name) if plan else "",
        "state": state,
        "parts": [{key: value for key, value in part.items() if key != "role"} for part in own],
    }


def _done(step: StepRecord) -> dict[str, Any]:
    return {
        "role": step.role,
        "step": step.name,
        "phase": step.phase,
        "what": PHASES.get(step.phase, step.name),
        "of": _judged(step.name),
        "state": step.state,
        "provider": step.provider,
        "model": step.model,
        "family": step.family,
        "since": step.started_at.isoformat(),
        "duration_s": round((step.finished_at - step.started_at).total_seconds(), 3),
        "reason": step.reason,
        "calls": len(step.calls),
        "input_tokens": step.usage.input_tokens,
        "output_tokens": step.usage.output_tokens,
        "cost_usd": step.usage.cost_usd,
        "said": _said(step),
    }


def _running(step: Mapping[str, Any]) -> dict[str, Any]:
    phase = int(step["name"][0]) if step["name"][:1].isdigit() else 0
    nothing = dict.fromkeys(
        ("model", "family", "duration_s", "input_tokens", "output_tokens", "cost_usd", "said")
    )
    return {
        **nothing,
        "role": step["role"],
        "step": step["name"],
        "phase": phase,
        "what": PHASES.get(phase, step["name"]),
        "of": _judged(step["name"]),
        "state": step["state"],
        "provider": step["provider"],
        "since": step["since"],
        "reason": step["reason"],
        "calls": 0,
    }


def _judged(name: str) -> str | None:
    return name.removeprefix(VALIDATION) if name.startswith(VALIDATION) else None


def _said(step: StepRecord) -> dict[str, Any] | None:
    """Return what a step came to, as its kind is understood; the text alone where it is not."""
    kinds: dict[int, type[BaseModel]] = {1: Plan, 2: Response, 3: Validation, 4: Integration, 5: Validation}
    kind = kinds.get(step.phase)
    understood = parsed(kind, step) if kind is not None else None
    if understood is not None:
        return {"kind": type(understood).__name__.casefold(), **understood.model_dump(mode="json")}
    return {"kind": "text", "text": step.text} if step.text else None
