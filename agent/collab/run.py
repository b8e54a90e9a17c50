"""One collaborative run, from the question to the report.

    1  the coordinator plans                     steps/1-plan.json
       read-only commands and given files        evidence/
    2  the specialists answer, apart             steps/2-ROLE.json
    3  the validator judges each                 steps/3-validation-ROLE.json
    4  code counts, the coordinator integrates   steps/4-consensus.json, 4-integration.json
       the report                                report.json, report.md
    5  what may run, runs; evidence again        commands.json, steps/5-side-effects.json

Each part is on disk before the next begins and is read from there when it is there already, so a run that
was killed goes on with the first part that is missing. A part that fails is named in the report; only a run
in which no specialist answered has failed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from agent import audit
from agent.collab import (
    afterwards,
    commands,
    evidence,
    feedback,
    labels,
    memory,
    metrics,
    prompts,
    reporting,
    tally,
)
from agent.collab.answering import VALIDATION, collect_answers, validate
from agent.collab.children import ChildError, drop_once, spool_of
from agent.collab.given import given_files, reviewed_result
from agent.collab.integrating import integrate
from agent.collab.language import words
from agent.collab.planning import STEP as PLAN
from agent.collab.planning import make_plan
from agent.collab.policy.rules import Policy
from agent.collab.proposing import number_all
from agent.collab.report import Report, write
from spool.names import child_id
from spool.records import Record

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from agent.collab.answering import Spoken
    from agent.collab.asking import Run
    from agent.collab.evidence import Piece
    from agent.collab.planning import Planned
    from agent.collab.records import EvidenceIndex
    from agent.collab.tally import Proposed, Tally

MEMORIES: Final = 5
REMEMBERED: Final = "remembered.json"


class RememberedRecord(Record):
    """collab/remembered.json: what this run left in the memory; None when there was nothing to remember."""

    id: str | None


@dataclass(frozen=True, slots=True)
class Work:
    """A run with what it begins with.

    Args:
        given: evidence that is there already.
    """

    run: Run
    policy: Policy
    given: tuple[Piece, ...]


def begin(run: Run, paths: Sequence[Path]) -> Work:
    """Gather what is there.

    Raises:
        ChildError: there is no result to review.
        ConfigError: the policy cannot be used.
    """
    site = run.site
    given = list(given_files(site, paths))
    if run.question.of is not None:
        given += reviewed_result(site, run.question.of)
    return Work(run, Policy.load(site.workspace), tuple(given))


def answer(work: Work) -> Report:
    """Go through all phases and return the report, which is on disk."""
    run, site = work.run, work.run.site
    say = words(run.question.language)
    run.progress.doing("planning")
    entries = memory.recall(site.workspace, run.question.text, limit=MEMORIES, host=site.place)
    remembered = memory.prompt_block(entries) if entries else ""
    ids = {entry.id for entry in entries}
    planned = make_plan(run, evidence.catalogue_of(run.roles, work.given), remembered, ids)
    run.progress.doing("collecting evidence")
    index = evidence.collect(site, planned.plan.evidence, work.given)
    texts = evidence.texts(site.collab, index)
    shown = prompts.evidence_block(texts, run.roles, index.missing)
    run.progress.doing("answering")
    spoken = collect_answers(run, planned.plan, shown)
    if all(one.response is None for one in spoken):
        return _finish(work, _failed(run, planned, spoken, index, say))
    run.progress.doing("validating")
    spoken = validate(run, planned.plan, spoken, shown)
    proposed = number_all(spoken, work.policy, site.place)
    frozen = commands.freeze(site, site.collab.parent, proposed, work.policy)
    run.progress.doing("integrating")
    scores = tally.tally(run, planned.plan, spoken, proposed, texts, labels.calibrator(site.workspace))
    tally.write(run, scores, (PLAN, *(f"2-{s.role}" for s in spoken), *(VALIDATION + s.role for s in spoken)))
    report = _report(run, planned, spoken, proposed, index, scores, say)
    run.progress.say(
        f"Collaborative analysis completed - Consensus: {scores.consensus}, Confidence: {scores.confidence}"
    )
    write(site.collab, report)
    return _finish(work, afterwards.execute(run, planned, frozen, report, work.policy, say))


def _report(
    run: Run,
    planned: Planned,
    spoken: Sequence[Spoken],
    proposed: Sequence[Proposed],
    index: EvidenceIndex,
    scores: Tally,
    say: dict[str, str],
) -> Report:
    missing = reporting.missing_parts(run, planned, spoken, index, say)
    integrated = integrate(run, planned, spoken, proposed, scores, missing)
    return reporting.make(
        run,
        planned,
        spoken,
        proposed,
        index,
        scores=scores,
        integrated=integrated,
        degraded=missing,
        steps=run.steps.all(),
        say=say,
    )


def _failed(
    run: Run, planned: Planned, spoken: Sequence[Spoken], index: EvidenceIndex, say: dict[str, str]
) -> Report:
    return reporting.make(
        run,
        planned,
        spoken,
        (),
        index,
        scores=None,
        integrated=None,
        degraded=reporting.missing_parts(run, planned, spoken, index, say),
        steps=run.steps.all(),
        say=say,
    )


def _finish(work: Work, report: Report) -> Report:
    """Put the report where people look for it, and what later runs may use into the memory."""
    run, site = work.run, work.run.site
    write(site.collab, report)
    if report.state == "ok":
        _remember(run, report)
        _learn(run, report)
        _send_home(run)
    audit.append(
        site.workspace,
        "result",
        who="collab",
        task_id=run.question.task_id,
        state=report.state,
        consensus=report.consensus.percent if report.consensus else None,
        confidence=report.confidence.percent if report.confidence else None,
        degraded=len(report.degraded),
    )
    metrics.publish(site.workspace)
    run.progress.doing("done" if report.state == "ok" else "failed")
    return report


def _remember(run: Run, report: Report) -> None:
    site = run.site
    if (site.collab / REMEMBERED).exists() or report.integration is None:
        return
    kept = None
    if summary := report.integration.summary.strip():
        kept = memory.remember(
            site.workspace,
            f"{run.question.text}\n\n{summary}"[: memory.TEXT_CHARS],
            source="coordinator" if report.integration_by_rule is None else "collab",
            host=site.place,
            domain=run.question.domain,
            task_id=run.question.task_id,
        )
    RememberedRecord(id=kept.id if kept else None).write(site.collab / REMEMBERED)


def _learn(run: Run, report: Report) -> None:
    """Take the checks after what was run for the outcome of this run; a person's word counts more."""
    if report.checks_after_passed is not None:
        good = report.checks_after_passed
        why = "the checks after the commands ended well" if good else "a check after a command failed"
        feedback.label(run.site.workspace, report.task_id, good=good, by="check", who="collab", why=why)


def _send_home(run: Run) -> None:
    """Have another host keep the report as well: a task there puts it into its results/."""
    site = run.site
    if site.host is None:
        return
    fields = {
        "task_id": child_id(site.task_id, "report"),
        "tool": "shell",
        "command": 'cat -- "$AISPOOL_FILES/report.md"',
        "parameters": {"output": f"results/{child_id(site.task_id, 'report')}.md"},
        "idempotent": True,
        "labels": ["collab"],
        "submitted_by": f"collab {run.question.task_id}",
    }
    try:
        content = (site.collab / "report.md").read_bytes()
        drop_once(spool_of(site.workspace, site.host), fields, {"report.md": content})
    except (ChildError, OSError) as error:
        run.progress.say(f"The report was not sent to {site.host}: {error}")
