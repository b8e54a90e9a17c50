"""Phase 4 in code: how far the answers agree, and how far to trust the outcome. No model is asked for it.

It is computed from the frozen answers, without what was taken out, and written as the step `4-consensus`.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

from agent.collab.records import StepRecord
from agent.collab.scores import Factors, Item, confidence, consensus, found_share, passed_share, safety_factor

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from agent.collab.answering import Spoken
    from agent.collab.asking import Run
    from agent.collab.policy.rating import Rating
    from agent.collab.records import Plan, Proposal
    from agent.collab.scores import Calibrator, Confidence, Consensus

STEP: Final = "4-consensus"
COMMANDS: Final = "commands"
UNKNOWN: Final = "unknown"


@dataclass(frozen=True, slots=True)
class Proposed:
    """One proposed command, of all roles.

    Args:
        number: from 1, over all roles.
        local_number: from 1, of its role.
        taken_out: why the validator took it out; None when it did not.
        rating: what the policy thinks of it.
    """

    number: int
    role: str
    local_number: int
    proposal: Proposal
    taken_out: str | None
    rating: Rating


@dataclass(frozen=True, slots=True)
class Tally:
    """The scores, and what they were made of.

    Args:
        quotes_found, quotes: how many pieces of quoted evidence stand there, of how many.
        independent: the validator's family is that of nobody whom it judged; None when nobody validated.
    """

    consensus: Consensus
    confidence: Confidence
    quotes_found: int
    quotes: int
    independent: bool | None

    def document(self) -> dict[str, Any]:
        """Return it as it lies in the step file."""
        return {
            "consensus": asdict(self.consensus),
            "confidence": asdict(self.confidence),
            "quotes_found": self.quotes_found,
            "quotes": self.quotes,
            "validator_independent": self.independent,
        }


def tally(
    run: Run,
    plan: Plan,
    spoken: Sequence[Spoken],
    proposed: Sequence[Proposed],
    texts: Mapping[str, str],
    calibrator: Calibrator | None,
) -> Tally:
    """Compute the scores.

    Args:
        run: whose.
        plan: with the questions.
        spoken: every response with its validation.
        proposed: every command, rated.
        texts: the evidence in full: name → content.
        calibrator: of the labelled outcomes so far.
    """
    families = {one.role: one.step.family or UNKNOWN for one in spoken}
    agreed = consensus([*_items(plan, spoken), *_command_item(run, spoken, proposed)], families)
    quotes = [
        (quote.source, quote.quote)
        for one in spoken
        for question in plan.questions
        if (answer := one.answer(question)) is not None
        for quote in answer.evidence
    ]
    share = found_share(quotes, texts)
    checks = [check.passed for one in spoken if one.validation for check in one.validation.checks]
    factors = Factors(
        checks=passed_share(checks),
        answered=agreed.answered,
        evidence=share,
        consensus=None if agreed.percent is None else agreed.percent / 100,
        safety=safety_factor(p.rating.decision for p in proposed if p.taken_out is None),
    )
    return Tally(
        consensus=agreed,
        confidence=confidence(factors, calibrator),
        quotes_found=round((share or 0.0) * len(quotes)),
        quotes=len(quotes),
        independent=_independent(spoken),
    )


def write(run: Run, made: Tally, saw: Sequence[str]) -> StepRecord:
    """Keep the scores as a step of their own."""
    found = run.steps.read(STEP)
    if found is not None:
        return found
    now = run.site.now()
    record = StepRecord(
        name=STEP,
        phase=4,
        role="code",
        state="ok",
        saw=run.steps.digests(saw),
        started_at=now,
        finished_at=now,
        response=made.document(),
    )
    return run.steps.write(record)


def _items(plan: Plan, spoken: Sequence[Spoken]) -> list[Item]:
    items = []
    for question in plan.questions:
        answers = {one.role: one.answer(question) for one in spoken}
        votes = {role: answer.answer if answer else None for role, answer in answers.items()}
        items.append(Item(question.key, votes, question.weight))
    return items


def _command_item(run: Run, spoken: Sequence[Spoken], proposed: Sequence[Proposed]) -> list[Item]:
    """Return the commands as one more question, where two roles may propose some."""
    proposers = [one for one in spoken if "propose" in run.roles.roles[one.role].may]
    if len(proposers) < 2:  # noqa: PLR2004 - it takes two to agree
        return []
    votes = {
        one.role: None
        if one.response is None
        else frozenset(
            operation
            for p in proposed
            if p.role == one.role and p.taken_out is None
            for operation in p.rating.normalised
        )
        for one in proposers
    }
    return [Item(COMMANDS, votes)]


def _independent(spoken: Sequence[Spoken]) -> bool | None:
    judged = [one for one in spoken if one.validation is not None and one.validation_step is not None]
    if not judged:
        return None
    return all(
        one.validation_step is not None
        and one.validation_step.family is not None
        and all(one.validation_step.family != other.step.family for other in judged)
        for one in judged
    )
