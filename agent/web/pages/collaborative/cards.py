"""One card a role: who plays it, how far it is, and what it said, as text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from nicegui import ui

from agent.sanitize import plain
from agent.web.pages.collaborative.words import CHIPS, ICONS, STATES, amount, chip, marked, took
from agent.web.pages.frame import text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

FOLDED_CHARS: Final = 260


def draw(card: Mapping[str, Any]) -> None:
    """Draw one card: the fields of `agent.service.collab.casting.cards`."""
    with ui.element("div").classes("role-head"):
        ui.icon(ICONS.get(card["role"], "person")).props("aria-hidden=true")
        text("h3", card["role"].capitalize())
        marked(chip(STATES[card["state"]], CHIPS[card["state"]]), data_state=card["state"])
    who = [part for part in card["parts"] if part["provider"]]
    text("p", _played_by(who[-1]) if who else card["about"], "muted small")
    if card["task"]:
        text("p", plain(card["task"]), "small")
    for part in card["parts"]:
        _part(part)


def _played_by(part: Mapping[str, Any]) -> str:
    model = f" · {part['model']}" if part["model"] else ""
    family = f" ({part['family']})" if part["family"] else ""
    return f"{part['provider']}{model}{family}"


def _part(part: Mapping[str, Any]) -> None:
    with marked(ui.element("div").classes("part"), data_step=part["step"], data_state=part["state"]):
        with ui.element("div").classes("line-of"):
            what = f"{part['what']} of {part['of']}" if part["of"] else part["what"]
            text("strong", what.capitalize())
            if part["state"] == "running":
                ui.spinner(size="1em").props("aria-hidden=true")
                text("span", "asking…", "muted")
            else:
                text("span", _cost(part), "muted small")
        if part["reason"]:
            text("p", plain(part["reason"]), "bad-text small")
        if part["said"]:
            _said(part["said"])


def _cost(part: Mapping[str, Any]) -> str:
    tokens = (part["input_tokens"], part["output_tokens"])
    said = [took(part["duration_s"])]
    if any(value is not None for value in tokens):
        said.append(f"{amount(tokens[0])} + {amount(tokens[1])} tokens")
    if part["cost_usd"] is not None:
        said.append(f"${part['cost_usd']:.4f}")
    if part["calls"] > 1:
        said.append(f"{part['calls']} calls")
    return " · ".join(filter(None, said))


def _said(said: Mapping[str, Any]) -> None:
    match said["kind"]:
        case "plan":
            _folded(said["understanding"])
            _listed("Questions that decide", (q["text"] for q in said["questions"]))
        case "integration":
            _folded(said["summary"])
        case "validation":
            _checks(said)
        case _:
            _folded(said["text"])


def _folded(content: str) -> None:
    """Draw a text; of a long one the beginning, and the rest when it is asked for."""
    whole = plain(content).strip()
    if len(whole) <= FOLDED_CHARS:
        text("p", whole, "said")
        return
    with ui.element("details").classes("more"):
        text("summary", whole[:FOLDED_CHARS].rsplit(" ", 1)[0] + " …", "said")
        text("p", whole, "said")


def _listed(title: str, lines: Iterable[str]) -> None:
    with ui.element("details").classes("more"):
        text("summary", title)
        with ui.element("ul"):
            for line in lines:
                text("li", plain(line))


def _checks(said: Mapping[str, Any]) -> None:
    checks = said["checks"]
    passed = sum(check["passed"] for check in checks)
    failed = [check for check in checks if not check["passed"]]
    with ui.element("div").classes("line-of"):
        chip(f"{passed} of {len(checks)} checks", "good" if not failed else "warn")
        for veto in said["vetoes"]:
            chip(f"took out {veto['target']}", "bad")
    with ui.element("details").classes("more"):
        text("summary", "Its checks")
        with ui.element("ul").classes("checks"):
            for check in checks:
                mark = "passed" if check["passed"] else "not passed"
                text(
                    "li",
                    f"{check['name']}: {mark}. {plain(check['why'])}",
                    "" if check["passed"] else "bad-text",
                )
            for veto in said["vetoes"]:
                text("li", f"{veto['target']} was taken out: {plain(veto['why'])}", "bad-text")
