"""Phase 5: what may run is run, evidence is collected again, and the validator compares before and after."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from agent.collab import evidence, prompts
from agent.collab.answering import parsed
from agent.collab.asking import Turn, ask
from agent.collab.execution import Execution, carry_out
from agent.collab.records import Validation
from agent.collab.reporting import role_row
from agent.collab.tally import STEP as CONSENSUS
from agent.tools.calls import usage_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from agent.collab.asking import Run
    from agent.collab.commands import CommandsRecord, OutcomeRecord
    from agent.collab.execution import Ran
    from agent.collab.planning import Planned
    from agent.collab.policy.rules import Policy
    from agent.collab.report import Report

STEP: Final = "5-side-effects"


def execute(
    run: Run,
    planned: Planned,
    commands: CommandsRecord,
    report: Report,
    policy: Policy,
    say: dict[str, str],
) -> Report:
    """Run what may run and return the report with what came of it; the same when there was nothing.

    Raises:
        OSError: the disk; calling again goes on, and runs nothing twice.
    """
    if run.read_only or not any(c.vetoed is None and c.decision != "deny" for c in commands.commands):
        return report
    session: Path = run.site.collab.parent
    execution = Execution(run.site, session, policy, run.progress, run.marker, run.patience_s)
    outcomes, printed = carry_out(execution, commands)
    report = _with_outcomes(report, outcomes, say)
    if not any(outcome.ran for outcome in outcomes):
        return report
    return _judged(run, planned, report, outcomes, printed, say)


def checks_after(outcomes: Sequence[OutcomeRecord]) -> bool | None:
    """Tell whether every check after a command that ran went well; None when there was none."""
    codes = [
        record.exit_code
        for outcome in outcomes
        if outcome.fate in {"ran", "failed"}
        for record in outcome.ran
        if record.what == "check_after" and record.exit_code is not None
    ]
    return all(code == 0 for code in codes) if codes else None


def _with_outcomes(report: Report, outcomes: Sequence[OutcomeRecord], say: dict[str, str]) -> Report:
    by_number = {outcome.number: outcome for outcome in outcomes}
    rows = []
    for row in report.commands:
        outcome = by_number.get(row.number)
        ran = tuple(f"{r.what}: {r.state}: {r.reason}" for r in outcome.ran) if outcome else ()
        rows.append(row.model_copy(update={"ran": ran}))
    lines = [
        say["executed_line"].format(number=o.number, fate=say[f"fate_{o.fate}"], reason=o.reason)
        for o in outcomes
    ]
    after = checks_after(outcomes)
    return report.model_copy(
        update={"commands": tuple(rows), "executed": tuple(lines), "checks_after_passed": after}
    )


def _judged(
    run: Run,
    planned: Planned,
    report: Report,
    outcomes: Sequence[OutcomeRecord],
    printed: Sequence[Ran],
    say: dict[str, str],
) -> Report:
    """Collect once more, and have the validator compare."""
    site = run.site
    run.progress.doing("collecting evidence again")
    given = [
        evidence.piece(
            site,
            f"c{ran.number}-{ran.record.what.replace('_', '-')}",
            ran.text,
            command=ran.record.command,
            task_id=ran.record.task_id,
        )
        for ran in printed
        if ran.text.strip()
    ]
    after = evidence.collect(site, planned.plan.evidence, given, after=True)
    before = evidence.collected(site.collab)
    texts = {**(evidence.texts(site.collab, before) if before else {}), **evidence.texts(site.collab, after)}
    report = report.model_copy(update={"evidence": tuple(texts)})
    if run.roles.validator is None:
        return report
    run.progress.doing("comparing before and after")
    values = {
        "evidence": prompts.evidence_block(texts, run.roles, after.missing),
        "ran": prompts.fenced("what was run", "\n".join(_told(outcomes))),
    }
    template = run.roles.prompts.side_effects
    step = ask(run, Turn(STEP, 5, run.roles.validator, Validation, template, values, (CONSENSUS,)))
    validation = parsed(Validation, step)
    missing = [say["not_validated"].format(role=STEP, reason=step.reason)] if validation is None else []
    return report.model_copy(
        update={
            "side_effects": validation.checks if validation else (),
            "degraded": (*report.degraded, *missing),
            "roles": (*(row for row in report.roles if row.step != STEP), role_row(step)),
            "usage": usage_of([each.usage for each in run.steps.all()]),
        }
    )


def _told(outcomes: Sequence[OutcomeRecord]) -> list[str]:
    lines = []
    for outcome in outcomes:
        lines.append(f"command {outcome.number}: {outcome.fate}: {outcome.reason}")
        lines += [f"  {r.what} {r.command!r}: {r.state}, exit code {r.exit_code}" for r in outcome.ran]
    return lines
