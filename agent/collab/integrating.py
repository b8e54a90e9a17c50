"""Phase 4 in words: one result with its dissent, by the coordinator, or by rule when it fails.

What the validator took out is not shown to the coordinator, and a line that repeats a command that was taken
out does not reach the result either.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from agent.collab import prompts
from agent.collab.answering import VALIDATION, parsed
from agent.collab.asking import Turn, ask
from agent.collab.language import words
from agent.collab.planning import STEP as PLAN
from agent.collab.records import Integration
from agent.collab.roles import COORDINATOR
from agent.collab.tally import STEP as CONSENSUS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agent.collab.answering import Spoken
    from agent.collab.asking import Run
    from agent.collab.planning import Planned
    from agent.collab.records import Plan
    from agent.collab.scores.consensus import Agreement
    from agent.collab.tally import Proposed, Tally

STEP: Final = "4-integration"
FIRST_LINES_CHARS: Final = 700


@dataclass(frozen=True, slots=True)
class Integrated:
    """The one result.

    Args:
        by_rule_because: why the coordinator did not write it; None when it did.
    """

    integration: Integration
    by_rule_because: str | None = None


def integrate(
    run: Run,
    planned: Planned,
    spoken: Sequence[Spoken],
    proposed: Sequence[Proposed],
    scores: Tally,
    missing: Sequence[str],
) -> Integrated:
    """Ask the coordinator for the one result; put it together by rule when it fails."""
    plan = planned.plan
    values = {
        "understanding": plan.understanding,
        "consensus": _counted(run, plan, scores),
        "responses": "\n\n".join(_shown(one, plan, proposed) for one in spoken if one.response is not None),
        "validation": _validation(spoken),
        "missing": "; ".join(missing) or prompts.NOTHING,
    }
    saw = (PLAN, *(f"2-{s.role}" for s in spoken), *(VALIDATION + s.role for s in spoken), CONSENSUS)
    step = ask(run, Turn(STEP, 4, COORDINATOR, Integration, run.roles.prompts.integrate, values, saw))
    found = parsed(Integration, step)
    if found is None:
        return Integrated(
            by_rule(run, plan, spoken, proposed, scores), step.reason or "its answer is damaged"
        )
    return Integrated(_without(found, [p.proposal.command for p in proposed if p.taken_out is not None]))


def by_rule(
    run: Run, plan: Plan, spoken: Sequence[Spoken], proposed: Sequence[Proposed], scores: Tally
) -> Integration:
    """Return the result that needs nobody: what most answered, what each wrote first, what they differ on."""
    say = words(run.question.language)
    texts = {question.key: question.text for question in plan.questions}
    counted = [
        say["majority"].format(
            key=texts.get(each.key, each.key),
            answer=each.leading,
            count=len(each.positions[0].raters),
            total=each.asked,
        )
        for each in scores.consensus.agreements
        if each.leading is not None
    ]
    said = [(one.role, _first_lines(one.text)) for one in spoken]
    return Integration(
        summary="\n".join(f"- {line}" for line in counted) or say["not_computable"],
        findings=tuple(say["from_role"].format(role=role, text=text) for role, text in said if text),
        recommendations=tuple(
            f"{p.number}. {p.proposal.purpose or p.proposal.command}"
            for p in proposed
            if p.taken_out is None and p.rating.decision != "deny"
        ),
        dissent=tuple(
            say["differs"].format(key=texts.get(each.key, each.key), answers=positions(each))
            for each in scores.consensus.dissent
        ),
    )


def positions(agreement: Agreement) -> str:
    """Return who answered what, in one line."""
    return "; ".join(f"{p.answer} ({', '.join(p.raters)})" for p in agreement.positions)


def _first_lines(text: str) -> str:
    plain = " ".join(text.split())
    return plain if len(plain) <= FIRST_LINES_CHARS else plain[: FIRST_LINES_CHARS - 1] + "…"


def _counted(run: Run, plan: Plan, scores: Tally) -> str:
    texts = {question.key: question.text for question in plan.questions}
    lines = [f"Consensus: {scores.consensus}"]
    for each in scores.consensus.agreements:
        abstained = f"; abstained: {', '.join(each.abstained)}" if each.abstained else ""
        lines.append(f"- {each.key} ({texts.get(each.key, '')}): {positions(each) or 'nobody'}{abstained}")
    return prompts.fenced(f"counted for {run.question.type}", "\n".join(lines))


def _shown(one: Spoken, plan: Plan, proposed: Sequence[Proposed]) -> str:
    """Return what is left of one response."""
    answers = [answer for question in plan.questions if (answer := one.answer(question)) is not None]
    left: dict[str, Any] = {
        "text": one.text,
        "answers": [answer.model_dump(mode="json") for answer in answers],
        "commands": [
            {"number": p.number, "purpose": p.proposal.purpose, "decision": p.rating.decision}
            for p in proposed
            if p.role == one.role and p.taken_out is None
        ],
    }
    return prompts.answer_block(f"response of {one.role}", left)


def _validation(spoken: Sequence[Spoken]) -> str:
    found: dict[str, Any] = {}
    for one in spoken:
        if one.validation is not None:
            failed = [f"{c.name}: {c.why}" for c in one.validation.checks if not c.passed]
            # the words of what was taken out are not repeated, only that it was
            found[one.role] = {"failed_checks": failed, "taken_out": sorted(one.taken_out)}
    return prompts.answer_block("validation", found) if found else prompts.NOTHING


def _without(integration: Integration, commands: Sequence[str]) -> Integration:
    """Leave out every line that repeats a command that was taken out."""
    patterns = [re.compile(rf"(?<!\w){re.escape(command)}(?!\w)") for command in commands]

    def clean(lines: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(line for line in lines if not any(pattern.search(line) for pattern in patterns))

    summary = "\n".join(clean(tuple(integration.summary.splitlines())))
    return Integration(
        summary=summary,
        findings=clean(integration.findings),
        recommendations=clean(integration.recommendations),
        dissent=clean(integration.dissent),
    )
