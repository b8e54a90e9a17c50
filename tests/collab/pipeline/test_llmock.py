"""The three use cases from question to report, against a model server that others wrote.

The roles are spread over all three wire formats; each meets a 429 with Retry-After and a 503 on the way,
and at the end the server's verdict on our client must be clean, warnings included.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

CASES = {
    "slow": ("¿Por qué mi sistema está lento?", "system_analysis", "bottleneck", ["cpu", "memory", "disk"]),
    "offline": (
        "Why is there no internet on this machine?",
        "problem_solving",
        "layer",
        ["link", "dns", "remote"],
    ),
    "optimise": ("How do I make my application faster?", "performance", "lever", ["cache", "query", "code"]),
}
WIRES = {
    "coordinator": "gemini",
    "analyst": "openai",
    "executor": "gemini",
    "innovator": "anthropic",
    "validator": "openai",
}
FAMILIES = {
    "coordinator": "gemini",
    "analyst": "qwen",
    "executor": "gemini",
    "innovator": "claude",
    "validator": "qwen",
}
NAMES = {"gemini": "gemini", "openai": "qwen", "anthropic": "anthropic"}


def model_of(role: str) -> str:
    """Return a model that this server tells apart from the others, and whose name tells its family."""
    return f"{FAMILIES[role]}-for-{role}"


def configure(desk: Any, llmock: Any) -> None:
    """Point the providers at the server, and give each role a model of its own."""
    lines = [
        f'[providers.{name}]\nbase_url = "{llmock.base_url(wire)}"\nschema_mode = "prompt"'
        for wire, name in NAMES.items()
    ]
    for role, wire in WIRES.items():
        lines.append(
            f'[roles.{role}]\nproviders = ["{NAMES[wire]}"]\nfallback = []\nmodel = "{model_of(role)}"'
        )
    lines.append("[limits]\nevidence_wait_s = 1.0\ncall_budget_s = 60.0")
    desk.roles = "\n".join(lines) + "\n"
    desk.configure()
    desk.env["ANTHROPIC_API_KEY"] = "k-anthropic"


def script(llmock: Any, key: str, answers: list[str]) -> None:
    """Queue what each role says, and what each wire does first."""

    def reply(role: str, value: Any, times: int | None = 1) -> dict[str, Any]:
        match = {"model": model_of(role)}
        return {"type": "reply", "text": json.dumps(value), "times": times, "match": match}

    plan = {
        "understanding": "Find what limits it.",
        "assignments": [{"role": role, "task": "Look."} for role in ("analyst", "executor", "innovator")],
        "questions": [{"key": key, "text": "What is it?", "answers": answers, "weight": 2}],
    }
    integration = {
        "summary": f"It is {answers[0]}.",
        "findings": ["All looked."],
        "dissent": ["One disagrees."],
    }
    said = {"analyst": answers[0], "executor": answers[0], "innovator": answers[1]}
    check = {"checks": [{"name": name, "passed": True, "why": "seen"} for name in ("accuracy", "safety")]}
    llmock.behave(
        *(
            {"type": "fail", **failure, "match": {"provider": wire}}
            for wire in NAMES
            for failure in ({"status": 429, "retry_after": 1.0}, {"status": 503})
        ),
        reply("coordinator", plan),
        reply("coordinator", integration),
        *(
            reply(role, {"text": f"I say {a}.", "answers": [{"key": key, "answer": a}]})
            for role, a in said.items()
        ),
        reply("validator", check, None),
    )


@pytest.mark.parametrize("case", sorted(CASES))
def test_a_use_case(desk: Any, llmock: Any, case: str) -> None:
    """Each failure is waited out, nobody falls back, and the report has what everybody said."""
    text, command, key, answers = CASES[case]
    configure(desk, llmock)
    script(llmock, key, answers)
    session = desk.ask(text, command=command)
    done = desk.run(session)
    assert done.returncode == 0, done.stderr
    report = desk.report(session)
    assert report["integration"]["summary"] == f"It is {answers[0]}."
    assert report["consensus"]["families"] == ["claude", "gemini", "qwen"]
    assert report["consensus"]["percent"] == pytest.approx(100 / 3, abs=1)
    calls = [
        call
        for step in (session / "collab" / "steps").iterdir()
        for call in json.loads(step.read_text()).get("calls", [])
    ]
    assert sorted(call["error"] for call in calls if call["error"]) == ["rate_limit"] * 3 + ["server"] * 3
    assert sum(call["error"] is None for call in calls) == 8
    verdict = llmock.verdict()
    assert verdict["faults_injected"] == 6
    assert verdict["findings"] == []
