"""What the scripted models of a collaborative run say, by role: one `Brain` is the rule of a scripted server.

Each part can be replaced: `brain.says["analyst"] = {...}` or a function of the call, or a `Fault`. What was
asked is kept, by part: `brain.asked["analyst"]`.
"""

from __future__ import annotations

import re
from collections import defaultdict
from typing import Any

PARTS = {
    "Make the plan:": "plan",
    "Integrate it into one result:": "integration",
    "Judge the response of ": "validation",
    "Compare before and after": "side-effects",
    "You are the analyst": "analyst",
    "You are the executor": "executor",
    "You are the innovator": "innovator",
    "Answer the question below": "ask",
}
"""Words of a prompt → the part of the run that it belongs to; the first that is found counts."""

CHECKS = ("completeness", "consistency", "accuracy", "safety", "risks")
_BLOCK = re.compile(
    r"<<<data (?P<name>\S+) (?P<mark>[0-9a-f]{12})\n(?P<text>.*?)\ndata (?P=mark)>>>", re.DOTALL
)
_JUDGED = re.compile(r"Judge the response of (\w+) by")


def part_of(call: Any) -> str:
    """Return which part of a run a call belongs to; a validation with the role that is judged."""
    found = next((part for words, part in PARTS.items() if words in call.text), "other")
    return f"validation-{_JUDGED.search(call.text)[1]}" if found == "validation" else found  # type: ignore[index]


def evidence_of(call: Any) -> dict[str, str]:
    """Return the blocks of data that a prompt shows: name → text."""
    return {match["name"]: match["text"] for match in _BLOCK.finditer(call.text)}


def a_line_of(call: Any, *names: str) -> list[dict[str, str]]:
    """Quote a line of the first of these pieces of evidence that is there, verbatim."""
    blocks = evidence_of(call)
    for name in names:
        lines = [line for line in blocks.get(name, "").splitlines() if len(line.strip()) >= 8]
        if lines:
            return [{"source": name, "quote": lines[0].strip()}]
    return []


def validation(*failed: str, vetoes: tuple[tuple[str, str], ...] = ()) -> dict[str, Any]:
    """Return a verdict in which these checks did not pass."""
    return {
        "checks": [{"name": c, "passed": c not in failed, "why": f"{c} was looked at"} for c in CHECKS],
        "vetoes": [{"target": target, "why": why} for target, why in vetoes],
    }


def answers(call: Any, *names: str, **given: str | None) -> list[dict[str, Any]]:
    """Return one answer a key, each with a line of the evidence."""
    quotes = a_line_of(call, *names)
    return [{"key": k, "answer": v, "evidence": quotes if v else []} for k, v in given.items()]


class Brain:
    """A rule for `ScriptedServer`."""

    answers = staticmethod(answers)
    validation = staticmethod(validation)

    def __init__(self) -> None:
        self.says: dict[str, Any] = {}
        self.asked: dict[str, list[Any]] = defaultdict(list)

    def __call__(self, call: Any) -> Any:
        part = part_of(call)
        self.asked[part].append(call)
        default = "validation" if part.startswith("validation") else part
        said = self.says.get(part, self.says.get(default))
        if said is None:
            said = getattr(self, "_" + default.replace("-", "_"))
        return said(call) if callable(said) else said

    def counts(self) -> dict[str, int]:
        """Return how often each part was asked for."""
        return {part: len(calls) for part, calls in self.asked.items()}

    def _plan(self, _call: Any) -> dict[str, Any]:
        return {
            "understanding": "Whether the thing is to be done.",
            "assignments": [
                {"role": "analyst", "task": "look at the technical side"},
                {"role": "executor", "task": "say how it is done"},
                {"role": "innovator", "task": "find another way"},
            ],
            "questions": [
                {"key": "do_it", "text": "Is it to be done?", "answers": ["yes", "no"], "weight": 2},
                {"key": "risk", "text": "How risky is it?", "answers": ["low", "high"], "weight": 1},
            ],
            "evidence": [],
            "cites": [],
        }

    def _analyst(self, call: Any) -> dict[str, Any]:
        return {"text": "The analyst says yes.", "answers": answers(call, do_it="yes", risk="low")}

    def _executor(self, call: Any) -> dict[str, Any]:
        return {"text": "The executor says yes.", "answers": answers(call, do_it="yes", risk="low")}

    def _innovator(self, call: Any) -> dict[str, Any]:
        return {"text": "The innovator says yes.", "answers": answers(call, do_it="yes", risk="high")}

    def _validation(self, _call: Any) -> dict[str, Any]:
        return validation()

    def _side_effects(self, _call: Any) -> dict[str, Any]:
        names = ("effect", "side_effects", "health", "reversible")
        return {"checks": [{"name": n, "passed": True, "why": "as announced"} for n in names], "vetoes": []}

    def _integration(self, _call: Any) -> dict[str, Any]:
        return {
            "summary": "It is to be done.",
            "findings": ["It works."],
            "recommendations": ["Do it."],
            "dissent": ["The innovator sees a higher risk."],
        }

    def _ask(self, _call: Any) -> str:
        return "A plain answer."
