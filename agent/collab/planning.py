"""Phase 1: the coordinator's plan, held to what there is; without one, the standard plan of the kind."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import ValidationError

from agent.collab import prompts
from agent.collab.asking import Turn, ask
from agent.collab.records import Assignment, Plan
from agent.collab.roles import COORDINATOR

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from agent.collab.asking import Run
    from agent.collab.records import StepRecord

STEP = "1-plan"


@dataclass(frozen=True, slots=True)
class Planned:
    """The plan that the run follows.

    Args:
        standard_because: why the standard plan is used; None when the coordinator made one.
    """

    plan: Plan
    step: StepRecord
    standard_because: str | None = None

    @property
    def roles(self) -> tuple[str, ...]:
        """Who answers, in the plan's order."""
        return tuple(assignment.role for assignment in self.plan.assignments)


def make_plan(
    run: Run, catalogue: Mapping[str, str], memory: str = "", memory_ids: Collection[str] = ()
) -> Planned:
    """Ask the coordinator; whatever it says, those who take part and the evidence are known ones.

    Args:
        run: whose.
        catalogue: evidence that may be chosen, or is there: name → what it shows.
        memory: what earlier runs remember, as a block of data; empty when there is nothing.
        memory_ids: of the entries in it; a plan cites no others.
    """
    candidates = candidates_of(run)
    values = {
        "roles": prompts.names_block((name, run.roles.roles[name].about) for name in candidates),
        "catalogue": prompts.names_block(catalogue.items()),
        "memory": f"\nWhat earlier runs remember:\n{memory}\n" if memory else "",
    }
    step = ask(run, Turn(STEP, 1, COORDINATOR, Plan, run.roles.prompts.plan, values))
    if step.state == "failed" or step.response is None:
        return Planned(standard_plan(run), step, step.reason)
    try:
        plan = Plan.model_validate(step.response)
    except ValidationError as error:  # another version wrote it
        return Planned(standard_plan(run), step, error.errors(include_url=False)[0]["msg"])
    kept = tuple(
        {a.role: a for a in reversed(plan.assignments) if a.role in candidates}[name]
        for name in candidates
        if plan.task_of(name)
    )
    if not kept:
        return Planned(standard_plan(run), step, "it gave no role anything to do")
    wanted = [name for name in plan.evidence if name in run.roles.evidence]
    changes = {
        "assignments": kept,
        "evidence": _with_domain(run, wanted),
        "cites": tuple(cited for cited in plan.cites if cited in memory_ids),
    }
    return Planned(plan.model_copy(update=changes), step)


def candidates_of(run: Run) -> tuple[str, ...]:
    """Return the roles that may answer: those of the domain, else of the kind of question."""
    domain, kind = run.domain, run.roles.types[run.question.type]
    names = (domain.roles if domain else ()) or kind.roles
    return tuple(name for name in names if run.roles.roles[name].does == "answers") or run.roles.specialists


def standard_plan(run: Run) -> Plan:
    """Return the plan that needs nobody: the questions, tasks and evidence of the kind of question."""
    kind, language = run.roles.types[run.question.type], run.question.language
    assignments = []
    for name in candidates_of(run):
        by_language = kind.tasks.get(name, {})
        task = by_language.get(language) or by_language.get("en") or run.roles.roles[name].about
        assignments.append(Assignment(role=name, task=task or name))
    return Plan(
        understanding=run.question.text,
        assignments=tuple(assignments),
        questions=tuple(question.in_language(language) for question in kind.questions),
        evidence=_with_domain(run, list(kind.evidence)),
    )


def _with_domain(run: Run, names: list[str]) -> tuple[str, ...]:
    own = run.domain.evidence if run.domain else ()
    return tuple(dict.fromkeys((*names, *own)))
