"""Consensus and Confidence with what they rest on, the matrix of answers, and who differs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from nicegui import ui

from agent.sanitize import one_line, plain
from agent.web.pages.collaborative.words import NOTHING, chip, marked, percent
from agent.web.pages.frame import text

if TYPE_CHECKING:
    from collections.abc import Mapping

FACTORS: Final = {
    "checks": "the validator's checks passed",
    "answered": "questions answered",
    "evidence": "quotes found in the evidence",
    "consensus": "consensus",
}
GATE: Final = {1.0: "open: nothing asks", 0.5: "a command asks a person", 0.0: "shut: a command was denied"}
_EMPTY: Final = {"abstained": "abstains", "vetoed": "taken out", "failed": "failed", "waiting": "…"}


def draw_scores(scores: Mapping[str, Any]) -> None:
    """Draw both figures, and what is to be known about them."""
    with ui.element("div").classes("figures"):
        _consensus(scores)
        _confidence(scores)
    if scores["validator_independent"] is False:
        note = scores["validator_note"] or "The validator is of a model family that it judged."
        text("p", plain(note), "notice").props("data-dependent")
    for line in scores["degraded"]:
        text("p", plain(line), "notice")


def _consensus(scores: Mapping[str, Any]) -> None:
    with ui.element("div").classes("figure").props("data-consensus"):
        text("h3", "Consensus")
        text("p", percent(scores["consensus_percent"]), "big")
        _meter("Consensus", scores["consensus_percent"])
        if scores["coverage_percent"] is None:
            text("p", "Not counted yet: code counts it when all have answered.", "muted small")
            return
        if scores["consensus_percent"] is None:
            text("p", f"No score: {scores['consensus_reason']}.", "small")
        families = ", ".join(scores["families"]) or "none"
        text("p", f"Coverage {percent(scores['coverage_percent'])} · model families: {families}", "small")
        differ = len(scores["dissent"])
        if differ:
            chip(f"dissent on {differ} question{'' if differ == 1 else 's'}", "warn").props("data-dissent")
        elif scores["consensus_percent"] is not None:
            chip("no dissent", "good")


def _confidence(scores: Mapping[str, Any]) -> None:
    with ui.element("div").classes("figure").props("data-confidence"):
        text("h3", "Confidence")
        text("p", percent(scores["confidence_percent"]), "big")
        _meter("Confidence", scores["confidence_percent"])
        if scores["calibrated"] is None:
            text("p", "Not counted yet.", "muted small")
            return
        if scores["calibrated"]:
            chip(f"calibrated by {scores['labels']} labelled runs", "good")
        else:
            chip("uncalibrated", "warn").props("data-uncalibrated")
            text(
                "p",
                f"{scores['labels'] or 0} of {scores['needed']} labelled runs: "
                "until then it is a score, not a probability.",
                "muted small",
            )
        if (scores["factors"] or {}).get("safety") == 0:
            text("p", "0: a command was denied, which shuts the safety gate.", "small")
        _factors(scores)


def _factors(scores: Mapping[str, Any]) -> None:
    factors = scores["factors"] or {}
    with ui.element("details").classes("more"):
        text("summary", "What it is made of")
        with ui.element("dl").classes("facts small"):
            for name, about in FACTORS.items():
                text("dt", about)
                value = factors.get(name)
                text("dd", "not known, left out" if value is None else percent(100 * value))
            text("dt", "safety gate")
            text("dd", GATE.get(factors.get("safety", -1.0), "not known"))
            if scores["quotes"]:
                text("dt", "quotes")
                text("dd", f"{scores['quotes_found']} of {scores['quotes']} stand in the evidence")


def _meter(name: str, value: float | None) -> None:
    meter = ui.element("div").classes("meter").props('role="meter" aria-valuemin="0" aria-valuemax="100"')
    meter.props["aria-label"] = name
    meter.props["aria-valuenow"] = round(value or 0)
    meter.props["aria-valuetext"] = percent(value)
    with meter:
        ui.element("div").style(f"width: {max(0.0, min(100.0, value or 0.0)):.1f}%")


def draw_matrix(matrix: Mapping[str, Any]) -> None:
    """Draw who answered what, a row for each key."""
    if not matrix["rows"]:
        text("p", "The questions that decide come with the coordinator's plan.", "empty")
        return
    with (
        ui.element("div")
        .classes("plain-table-box")
        .props('tabindex="0" role="region" aria-label="Who answered what"'),
        ui.element("table").classes("plain-table matrix"),
    ):
        text("caption", "Who answered what, and how far they agree", "hidden-text")
        with ui.element("thead"), ui.element("tr"):
            for head in ("Question", *(role.capitalize() for role in matrix["roles"]), "Agreement"):
                text("th", head).props('scope="col"')
        with ui.element("tbody"):
            for row in matrix["rows"]:
                _row(row, matrix["roles"])


def _row(row: Mapping[str, Any], roles: list[str]) -> None:
    with marked(ui.element("tr"), data_key=row["key"]):
        with ui.element("th").props('scope="row"'):
            text("span", one_line(row["text"] or row["key"]))
            if row["text"]:
                weight = f" · weight {row['weight']:g}" if row["weight"] != 1 else ""
                text("div", f"{row['key']}{weight}", "muted small mono")
        for role in roles:
            _cell(row, row["cells"].get(role))
        with ui.element("td").classes("share"):
            if row["share"] is None:
                text("span", "not compared" if row["leading"] or row["differs"] else NOTHING, "muted")
                return
            text("span", percent(100 * row["share"]))
            _meter(f"Agreement on {row['key']}", 100 * row["share"])


def _cell(row: Mapping[str, Any], cell: Mapping[str, Any] | None) -> None:
    with ui.element("td"):
        if cell is None:
            text("span", "not asked", "muted")
        elif cell["answer"] is None:
            text("span", _EMPTY[cell["how"]], f"muted how-{cell['how']}")
        else:
            differs = row["differs"] and cell["answer"] != row["leading"]
            text("span", one_line(cell["answer"]), "answer differs" if differs else "answer")
            if differs:
                text("span", " differs", "hidden-text")


def draw_dissent(scores: Mapping[str, Any]) -> None:
    """Draw who differs on what, as it was counted, and in the coordinator's words."""
    if not scores["dissent"] and not scores["said_dissent"]:
        counted = scores["consensus_percent"] is not None
        said = "Nobody differs, as far as was counted." if counted else "Not counted yet."
        text("p", said, "muted")
        return
    with ui.element("ul").classes("dissent"):
        for each in scores["dissent"]:
            with ui.element("li"):
                text("strong", one_line(each["text"] or each["key"]))
                for position in each["positions"]:
                    who = ", ".join(position["raters"])
                    text("div", f"{one_line(position['answer'])} — {who}")
        for line in scores["said_dissent"]:
            text("li", plain(line))
