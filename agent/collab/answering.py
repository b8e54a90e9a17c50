"""Phases 2 and 3: independent answers, frozen; then a validation of each, which may take things out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TypeVar

from pydantic import BaseModel, ValidationError

from agent.collab import prompts
from agent.collab.asking import Turn, ask_all
from agent.collab.planning import STEP as PLAN
from agent.collab.records import Answer, Plan, Proposal, Response, Validation

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from agent.collab.asking import Run
    from agent.collab.records import Question, StepRecord, Veto

VALIDATION: Final = "3-validation-"
Model = TypeVar("Model", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Spoken:
    """What one specialist said, and what the validator thinks of it.

    Args:
        response: None when it failed; commands are there only for those who may propose them.
        validation: None when nobody judged it.
        validation_step: None when nobody was asked to.
    """

    role: str
    step: StepRecord
    response: Response | None
    validation: Validation | None = None
    validation_step: StepRecord | None = None
    taken_out: Mapping[str, str] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """Its prose, unless that was taken out."""
        return "" if self.response is None or "text" in self.taken_out else self.response.text

    def answer(self, question: Question) -> Answer | None:
        """Return its answer to a question; None when it abstained, said something else, or was vetoed."""
        if self.response is None or f"answer:{question.key}" in self.taken_out:
            return None
        given = next((a for a in self.response.answers if a.key == question.key), None)
        if given is None or given.answer is None:
            return None
        plain = given.answer.strip().casefold()
        known = next((a for a in question.answers if a.strip().casefold() == plain), None)
        return None if known is None else given.model_copy(update={"answer": known})

    def commands(self) -> list[tuple[int, Proposal, str | None]]:
        """Return its commands with their numbers from 1, and why one was taken out."""
        given = self.response.commands if self.response else ()
        return [(n, c, self.taken_out.get(f"command:{n}")) for n, c in enumerate(given, 1)]


def collect_answers(run: Run, plan: Plan, evidence: str) -> tuple[Spoken, ...]:
    """Ask everybody at once; nobody sees another's answer."""
    turns = []
    for assignment in plan.assignments:
        role = run.roles.roles[assignment.role]
        proposing = run.roles.prompts.proposing if "propose" in role.may else ""
        values = {
            "understanding": plan.understanding,
            "task": assignment.task,
            "evidence": evidence,
            "questions": prompts.questions_block(plan.questions),
            "proposing": prompts.filled(proposing, prompts.common(run.question, run.roles)),
        }
        name = f"2-{assignment.role}"
        turns.append(Turn(name, 2, assignment.role, Response, run.roles.prompts.answer, values, (PLAN,)))
    steps = ask_all(run, turns)
    return tuple(Spoken(step.role, step, _response(run, step)) for step in steps)


def validate(run: Run, plan: Plan, spoken: Sequence[Spoken], evidence: str) -> tuple[Spoken, ...]:
    """Have every response judged; without a validator they stay as they are."""
    validator = run.roles.validator
    judged = [one for one in spoken if one.response is not None]
    if validator is None or not judged:
        return tuple(spoken)
    turns = []
    for one in judged:
        assert one.response is not None
        others = [o for o in judged if o.role != one.role]
        values = {
            "role": one.role,
            "questions": prompts.questions_block(plan.questions),
            "evidence": evidence,
            "response": prompts.answer_block(f"response of {one.role}", one.response),
            "others": "\n\n".join(
                prompts.answer_block(f"response of {o.role}", o.response)
                for o in others
                if o.response is not None
            )
            or prompts.NOTHING,
        }
        saw = (PLAN, f"2-{one.role}", *(f"2-{o.role}" for o in others))
        template = run.roles.prompts.validate_response
        turns.append(Turn(VALIDATION + one.role, 3, validator, Validation, template, values, saw))
    steps = {step.name.removeprefix(VALIDATION): step for step in ask_all(run, turns)}
    may_veto = "veto" in run.roles.roles[validator].may
    return tuple(_judged(one, steps.get(one.role), may_veto=may_veto) for one in spoken)


def _judged(one: Spoken, step: StepRecord | None, *, may_veto: bool) -> Spoken:
    validation = parsed(Validation, step)
    vetoes: tuple[Veto, ...] = validation.vetoes if validation and may_veto else ()
    taken_out = {veto.target: veto.why for veto in vetoes}
    return Spoken(one.role, one.step, one.response, validation, step, taken_out)


def _response(run: Run, step: StepRecord) -> Response | None:
    response = parsed(Response, step)
    if response is None or "propose" in run.roles.roles[step.role].may:
        return response
    return response.model_copy(update={"commands": ()})


def parsed(kind: type[Model], step: StepRecord | None) -> Model | None:
    """Return what a step's role said; None when it failed, or is not what this version understands."""
    if step is None or step.state == "failed" or step.response is None:
        return None
    try:
        return kind.model_validate(step.response)
    except ValidationError:
        return None
