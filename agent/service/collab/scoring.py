"""How far a run's answers agree and how far to trust it, as code counted it: the scores and the matrix.

They are read from report.json, or while the run goes on from the steps that are there. Before anything was
counted, the matrix shows what was answered so far, and no share.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pydantic import ValidationError

from agent.collab import tally
from agent.collab.answering import VALIDATION, Spoken, parsed
from agent.collab.planning import STEP as PLAN
from agent.collab.records import Plan, Question, Response, StepRecord
from agent.collab.scores.calibration import PLATT_FROM

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_SPECIALISTS: Final = "2-"


def steps_of(document: Mapping[str, Any]) -> dict[str, StepRecord]:
    """Return the steps of a run's document that this version understands, by name."""
    found = {}
    for each in document["steps"]:
        try:
            step = StepRecord.model_validate(each)
        except ValidationError:
            continue  # a newer version's step: `document` has it as it is
        found[step.name] = step
    return found


def scores(document: Mapping[str, Any], steps: Mapping[str, StepRecord]) -> dict[str, Any]:
    """Return what was counted; every value is null before that.

    Fields: consensus_percent, coverage_percent, consensus_reason (why there is none), families, dissent
    (key, text, positions: answer, raters), confidence_percent, raw, calibrated, labels, needed (labelled
    outcomes, and from how many on it is calibrated), factors, quotes_found, quotes, validator_independent,
    validator_note, said_dissent (the coordinator's words), degraded (what is missing).
    """
    counted, report = _counted(document, steps), document["report"] or {}
    consensus, confidence = counted.get("consensus") or {}, counted.get("confidence") or {}
    texts = _texts(document, steps)
    return {
        "consensus_percent": consensus.get("percent"),
        "coverage_percent": consensus.get("coverage_percent"),
        "consensus_reason": consensus.get("reason"),
        "families": list(consensus.get("families") or ()),
        "dissent": [
            {"key": each["key"], "text": texts.get(each["key"], ""), "positions": each["positions"]}
            for each in consensus.get("agreements") or ()
            if len(each["positions"]) > 1
        ],
        "confidence_percent": confidence.get("percent"),
        "raw": confidence.get("raw"),
        "calibrated": confidence.get("calibrated"),
        "labels": confidence.get("labels"),
        "needed": PLATT_FROM,
        "factors": confidence.get("factors"),
        "quotes_found": counted.get("quotes_found"),
        "quotes": counted.get("quotes"),
        "validator_independent": counted.get("validator_independent"),
        "validator_note": report.get("validator_note"),
        "said_dissent": list((report.get("integration") or {}).get("dissent") or ()),
        "degraded": list(report.get("degraded") or ()),
    }


def matrix(document: Mapping[str, Any], steps: Mapping[str, StepRecord]) -> dict[str, Any]:
    """Return who answered what: one row for each key, one cell for each role.

    Fields: roles; rows: key, text, weight, choices, share (of agreeing pairs, 0 to 1; null before it is
    counted, and where fewer than two families answered), leading, differs, cells: role → answer (or null) and
    how: answered, abstained, vetoed, failed, waiting.
    """
    agreements = {each["key"]: each for each in _agreements(document, steps)}
    questions = _questions(document, steps)
    spoken = {step.role: _spoken(step, steps) for step in steps.values() if _answers(step)}
    roles = list(dict.fromkeys((*_asked(steps), *spoken, *_raters(agreements.values()))))
    vetoes = {(each["role"], each["target"]) for each in (document["report"] or {}).get("vetoes") or ()}
    rows = []
    for question in questions:
        counted = agreements.get(question.key)
        given = {role: _given(role, question, counted, spoken.get(role)) for role in roles}
        cells = {
            role: {"answer": answer, "how": _how(answer, spoken.get(role), (role, question.key), vetoes)}
            for role, answer in given.items()
        }
        rows.append(_row(question, counted, cells))
    shown = {question.key for question in questions}
    for key, counted in agreements.items():
        if key not in shown:  # the proposed commands, as one more question
            cells = {role: _counted_cell(role, counted) for role in roles if _takes_part(role, counted)}
            rows.append(
                _row(Question.model_construct(key=key, text="", answers=(), weight=1.0), counted, cells)
            )
    return {"roles": roles, "rows": rows}


def _counted(document: Mapping[str, Any], steps: Mapping[str, StepRecord]) -> dict[str, Any]:
    step = steps.get(tally.STEP)
    if step is not None and step.response is not None:
        return step.response
    report = document["report"]
    return report if report and report.get("consensus") else {}


def _agreements(document: Mapping[str, Any], steps: Mapping[str, StepRecord]) -> list[dict[str, Any]]:
    return list((_counted(document, steps).get("consensus") or {}).get("agreements") or ())


def _questions(document: Mapping[str, Any], steps: Mapping[str, StepRecord]) -> list[Question]:
    plan = parsed(Plan, steps.get(PLAN))
    if plan is not None:
        return list(plan.questions)
    # the standard plan is in no step: its keys are in the report, and in what the specialists answered
    texts = {row["key"]: row["text"] for row in (document["report"] or {}).get("answers") or ()}
    for step in filter(_answers, steps.values()):
        response = parsed(Response, step)
        texts.update({a.key: texts.get(a.key, "") for a in (response.answers if response else ())})
    return [Question.model_construct(key=k, text=t, answers=(), weight=1.0) for k, t in texts.items()]


def _texts(document: Mapping[str, Any], steps: Mapping[str, StepRecord]) -> dict[str, str]:
    return {question.key: question.text for question in _questions(document, steps)}


def _asked(steps: Mapping[str, StepRecord]) -> list[str]:
    plan = parsed(Plan, steps.get(PLAN))
    return [assignment.role for assignment in plan.assignments] if plan else []


def _answers(step: StepRecord) -> bool:
    return step.name.startswith(_SPECIALISTS)


def _spoken(step: StepRecord, steps: Mapping[str, StepRecord]) -> Spoken:
    verdict = steps.get(VALIDATION + step.role)
    return Spoken(step.role, step, parsed(Response, step), validation_step=verdict)


def _raters(agreements: Iterable[Mapping[str, Any]]) -> list[str]:
    return [
        rater
        for each in agreements
        for raters in (*(position["raters"] for position in each["positions"]), each["abstained"])
        for rater in raters
    ]


def _given(
    role: str, question: Question, counted: Mapping[str, Any] | None, spoken: Spoken | None
) -> str | None:
    if counted is not None:
        return _counted_answer(role, counted)
    if spoken is None or spoken.response is None:
        return None
    if question.answers:
        answer = spoken.answer(question)
        return answer.answer if answer else None
    return next((a.answer for a in spoken.response.answers if a.key == question.key), None)


def _counted_answer(role: str, counted: Mapping[str, Any]) -> str | None:
    return next((p["answer"] for p in counted["positions"] if role in p["raters"]), None)


def _how(
    answer: str | None, spoken: Spoken | None, cell: tuple[str, str], vetoes: set[tuple[str, str]]
) -> str:
    role, key = cell
    if answer is not None:
        return "answered"
    if (role, f"answer:{key}") in vetoes:
        return "vetoed"
    if spoken is None:
        return "waiting"
    return "abstained" if spoken.step.state == "ok" else "failed"


def _takes_part(role: str, counted: Mapping[str, Any]) -> bool:
    return role in _raters([counted])


def _counted_cell(role: str, counted: Mapping[str, Any]) -> dict[str, Any]:
    answer = _counted_answer(role, counted)
    return {"answer": answer, "how": "abstained" if answer is None else "answered"}


def _row(question: Question, counted: Mapping[str, Any] | None, cells: dict[str, Any]) -> dict[str, Any]:
    answers = {cell["answer"] for cell in cells.values() if cell["answer"] is not None}
    return {
        "key": question.key,
        "text": question.text,
        "weight": counted["weight"] if counted else question.weight,
        "choices": list(question.answers),
        "share": counted["share"] if counted else None,
        "leading": counted["leading"] if counted else None,
        "differs": len(answers) > 1,
        "cells": cells,
    }
