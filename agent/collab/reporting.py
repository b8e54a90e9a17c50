"""Making the report of a run out of what its phases came to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.collab.report import AnswerRow, CommandRow, Report, RoleRow, VetoRow
from agent.tools.calls import usage_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agent.collab.answering import Spoken
    from agent.collab.asking import Run
    from agent.collab.integrating import Integrated
    from agent.collab.planning import Planned
    from agent.collab.records import EvidenceIndex, StepRecord
    from agent.collab.tally import Proposed, Tally


def missing_parts(
    run: Run, planned: Planned, spoken: Sequence[Spoken], index: EvidenceIndex, say: dict[str, str]
) -> list[str]:
    """Return what is missing from a run, in sentences in the question's language."""
    found = []
    if planned.standard_because is not None:
        reason = planned.standard_because
        found.append(say["plan_default"].format(reason=reason, type=run.question.type))
    for one in spoken:
        if one.response is None:
            found.append(say["role_failed"].format(role=one.role, reason=one.step.reason))
        elif one.validation is None and run.roles.validator is not None:
            why = one.validation_step.reason if one.validation_step else ""
            found.append(say["not_validated"].format(role=one.role, reason=why))
    found += [say["evidence_missing"].format(name=n, why=why) for n, why in index.missing.items()]
    return found


def dependence(run: Run, spoken: Sequence[Spoken], say: dict[str, str]) -> str | None:
    """Return the sentence that the validator is of the family of some whom it judged; None when it is not."""
    families = {one.validation_step.family for one in spoken if one.validation_step and one.validation}
    families.discard(None)
    alike = [one.role for one in spoken if one.response is not None and one.step.family in families]
    if not alike or run.roles.validator is None:
        return None
    family = next(one.step.family for one in spoken if one.role == alike[0])
    return say["validator_dependent"].format(family=family, roles=", ".join(alike))


def make(
    run: Run,
    planned: Planned,
    spoken: Sequence[Spoken],
    proposed: Sequence[Proposed],
    index: EvidenceIndex,
    *,
    scores: Tally | None,
    integrated: Integrated | None,
    degraded: Sequence[str],
    steps: Sequence[StepRecord],
    say: dict[str, str],
) -> Report:
    """Return the report of a run, before anything of it was executed."""
    notes = list(degraded)
    if integrated is not None and integrated.by_rule_because is not None:
        notes.append(say["integration_default"].format(reason=integrated.by_rule_because))
    leading = {a.key: a.leading for a in scores.consensus.agreements} if scores else {}
    return Report(
        task_id=run.question.task_id,
        state="ok" if integrated is not None else "failed",
        question=run.question,
        understanding=planned.plan.understanding,
        plan_by_rule=planned.standard_because,
        integration=integrated.integration if integrated else None,
        integration_by_rule=integrated.by_rule_because if integrated else None,
        answers=tuple(
            AnswerRow(
                key=question.key,
                text=question.text,
                answers={one.role: a.answer if (a := one.answer(question)) else None for one in spoken},
                leading=leading.get(question.key),
            )
            for question in planned.plan.questions
        ),
        vetoes=tuple(
            VetoRow(role=one.role, target=target, why=why)
            for one in spoken
            for target, why in one.taken_out.items()
        ),
        checks={one.role: one.validation.checks for one in spoken if one.validation is not None},
        validator_independent=scores.independent if scores else None,
        validator_note=dependence(run, spoken, say),
        consensus=scores.consensus if scores else None,
        confidence=scores.confidence if scores else None,
        quotes_found=scores.quotes_found if scores else 0,
        quotes=scores.quotes if scores else 0,
        commands=tuple(
            CommandRow(
                number=p.number,
                role=p.role,
                command=p.proposal.command,
                purpose=p.proposal.purpose,
                decision=p.rating.decision,
                reasons=p.rating.reasons,
                taken_out=p.taken_out,
            )
            for p in proposed
        ),
        evidence=tuple(item.name for item in index.items),
        evidence_missing=index.missing,
        cites=planned.plan.cites,
        degraded=tuple(notes),
        roles=tuple(role_row(step) for step in steps if step.role != "code"),
        usage=usage_of([step.usage for step in steps]),
        finished_at=run.site.now(),
    )


def role_row(step: StepRecord) -> RoleRow:
    """Return who played a role in a step, as the report tells it."""
    return RoleRow(
        step=step.name,
        role=step.role,
        state=step.state,
        provider=step.provider,
        model=step.model,
        family=step.family,
        reason=step.reason,
        usage=step.usage,
    )
