"""The page of all hosts: who is there, how busy and how full, and what waits where."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from fastapi import Request  # noqa: TC002 - FastAPI reads the annotation
from nicegui import run, ui

from agent.amounts import size
from agent.sanitize import one_line
from agent.service import actions, fleet
from agent.web.pages import frame
from agent.web.pages.frame import text
from agent.web.pages.parts.acting import attempt, tell
from agent.web.pages.parts.moment import moment
from agent.web.pages.parts.sections import Sections

if TYPE_CHECKING:
    from agent.service.actions import Said
    from agent.web.context import Context, Identity

LOOK_S = 5.0
"""How often hosts are looked at although no task changed: load and disk change by themselves."""
COUNTS = (
    ("waiting_for_a_person", "need an answer", "asking"),
    ("running", "running", "running"),
    ("waiting", "waiting", "waiting"),
    ("on_its_way", "on the way there", ""),
    ("uncollected", "to be collected", ""),
    ("unknown", "whose end nobody knows", ""),
)
WARN_SHARE, BAD_SHARE = 0.8, 0.95


class FleetPage:
    """One open page of hosts."""

    def __init__(self, context: Context, identity: Identity) -> None:
        self._context = context
        self._identity = identity
        with ui.element("div").classes("head"):
            text("h1", "Fleet").classes("grow")
            self._summary = ui.label().classes("muted").props('role="status"')
        self._hosts = Sections(self._host, "panel", "cards")

    async def refresh(self) -> None:
        """Look at the hosts and draw what is new."""
        hosts = await run.io_bound(fleet.hosts, self._context.desk)
        if hosts is None:
            return  # the server is on its way out
        self._hosts.show({host["host"] or "here": host for host in hosts})
        away = [host["name"] for host in hosts if host["reachable"] is False]
        said = f"{len(hosts)} host{'s' if len(hosts) != 1 else ''}"
        self._summary.set_text(f"{said}, not reachable: {one_line(', '.join(away))}" if away else said)

    def _host(self, host: dict[str, Any]) -> None:
        where = host["host"] or "here"
        with ui.element("div").classes("line-of").style("margin-bottom: 0.6rem"):
            with text("h2", "", "grow").style("margin: 0"):
                ui.link(one_line(host["name"]), f"/tasks?host={quote(where)}")
            text("span", *_standing(host))
        if host["trouble"]:
            text("div", one_line(host["trouble"]), "notice").style("margin-bottom: 0.6rem")
        for paused in host["paused"]:
            text("div", f"Paused: {one_line(paused)}", "notice calm").style("margin-bottom: 0.6rem")
        _meter("Slots", host["slots_used"], host["slots"], lambda value: f"{value:g}")
        if host["disk_total_bytes"]:
            used = host["disk_total_bytes"] - (host["disk_free_bytes"] or 0)
            _meter("Disk used", used, host["disk_total_bytes"], size)
        self._counts(host, where)
        _facts(host)
        if self._identity.may("operate") and where != "any":
            self._pause_button(host, where)

    def _counts(self, host: dict[str, Any], where: str) -> None:
        with ui.element("div").classes("line-of").style("margin: 0.6rem 0"):
            for name, label, state in COUNTS:
                number = host[name]
                if not number:
                    continue
                shown = f"{number:,} {label}"
                chip = "chip plain warn" if name in {"waiting_for_a_person", "unknown"} else "chip plain"
                if state:
                    ui.link(shown, f"/tasks?host={quote(where)}&state={state}").classes(chip)
                else:
                    text("span", shown, chip)

    def _pause_button(self, host: dict[str, Any], where: str) -> None:
        is_paused = "everything" in host["paused"]
        label = "Go on" if is_paused else "Pause"

        async def clicked() -> None:
            def work() -> Said:
                function = actions.unpause if is_paused else actions.pause
                return function(self._context.desk, host=where, by=self._identity.name)

            said = await attempt(self._identity, "operate", work)
            if said is not None:
                tell(said)
                await self.refresh()

        button = ui.button(label, color=None, on_click=clicked).classes("line").props("unelevated dense")
        button.props["aria-label"] = f"{label} {one_line(host['name'])}"
        button.style("margin-top: 0.7rem")


def _standing(host: dict[str, Any]) -> tuple[str, str]:
    """Return a word and its look."""
    if host["host"] is None:
        alive = any(agent["alive"] for agent in host["agents"])
        return ("agent works", "chip plain good") if alive else ("no agent works", "chip plain bad")
    if host["reachable"] is None:
        return "never reached", "chip plain"
    return ("reachable", "chip plain good") if host["reachable"] else ("not reachable", "chip plain bad")


def _meter(label: str, used: float | None, whole: float | None, shown: Any) -> None:
    if used is None or not whole:
        return
    share = min(1.0, max(0.0, used / whole))
    level = "bad" if share >= BAD_SHARE else "warn" if share >= WARN_SHARE else ""
    with ui.element("div").style("margin-bottom: 0.5rem"):
        with ui.element("div").classes("line-of"):
            text("span", label, "muted grow")
            text("span", f"{shown(used)} of {shown(whole)}")
        # slots are there to be used: only a disk is in trouble when it is full
        with (
            ui.element("div")
            .classes(f"meter {level if label == 'Disk used' else ''}")
            .props("aria-hidden=true")
        ):
            ui.element("div").style(f"width: {100 * share:.1f}%")


def _facts(host: dict[str, Any]) -> None:
    with ui.element("dl").classes("facts"):
        if host["last_seen_at"]:
            text("dt", "Last seen")
            with ui.element("dd"):
                moment(host["last_seen_at"])
        if host["load_1m"] is not None:
            text("dt", "Load")
            text("dd", f"{host['load_1m']:.2f}")
        if host["disk_free_bytes"] is not None and not host["disk_total_bytes"]:
            text("dt", "Disk free")
            text("dd", size(host["disk_free_bytes"]))
        for name, label in (("agent_version", "Agent"), ("address", "Address")):
            if host[name]:
                text("dt", label)
                text("dd", one_line(host[name]))
        for agent in host["agents"]:
            text("dt", one_line(agent["name"]))
            text("dd", f"pid {agent['pid']}, {'alive' if agent['alive'] else 'gone'}")


def register(context: Context) -> None:
    """Declare the page."""

    @frame.route("/fleet")
    async def hosts(request: Request) -> None:
        with frame.shown(context, request, "Fleet") as page:
            drawn = FleetPage(context, page.identity)
            await drawn.refresh()
            page.on_change(drawn.refresh)
            ui.timer(LOOK_S, drawn.refresh, immediate=False)
