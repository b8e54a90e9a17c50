"""Proposed commands: their exact bytes, how they were rated, and the word of a person on each.

What is approved is what the dialog shows: its bytes and their SHA-256. The service refuses other bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from nicegui import ui

from agent.collab.commands import sha256_of
from agent.sanitize import one_line, plain
from agent.service import collab
from agent.web.pages.collaborative.words import DECISIONS, chip, marked, task_link
from agent.web.pages.frame import text
from agent.web.pages.parts.acting import attempt
from agent.web.pages.parts.sections import steady

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from agent.web.context import Context, Identity

FATES: Final = {
    "ran": ("good", "was run"),
    "failed": ("bad", "failed"),
    "denied": ("bad", "denied"),
    "declined": ("", "not approved"),
    "vetoed": ("bad", "taken out by the validator"),
    "skipped": ("", "skipped"),
}
_WIDTH: Final = 16


@dataclass(frozen=True, slots=True)
class Commands:
    """The commands of one run on one page.

    Args:
        host: whose run it is; None for our own workspace.
        changed: called when a word was given.
    """

    context: Context
    identity: Identity
    task_id: str
    host: str | None
    changed: Callable[[], Awaitable[None]]

    def draw(self, row: Mapping[str, Any]) -> None:
        """Draw one command: the fields of `agent.service.collab.approving.rated`."""
        kind, word = DECISIONS[row["decision"]]
        with ui.element("div").classes("line-of"):
            text("h3", f"{row['number']}. {one_line(row['purpose']) or 'Command'}").classes("grow")
            if not row["outcome"]:
                chip(word, f"plain {kind}")
            _standing(row)
        text("p", f"proposed by the {one_line(row['role'])}", "muted small")
        if row["vetoed"] is not None:
            text("p", f"Taken out by the validator: {plain(row['vetoed'])}", "notice bad")
        exact_bytes(row["command"])
        for reason in row["reasons"]:
            text("p", plain(reason), "small reason")
        _around(row)
        if row["outcome"]:
            _outcome(row["outcome"], row["reasons"])
        if row["waits"]:
            self._buttons(row)

    def _buttons(self, row: Mapping[str, Any]) -> None:
        if not self.identity.may("approve"):
            text(
                "p",
                "It waits for somebody whose token has the scope approve: "
                "`aispool token create --scope approve`.",
                "notice",
            )
            return
        with ui.element("div").classes("line-of buttons"):
            approve = ui.button(
                "Approve…", color=None, on_click=lambda: self._ask(row, approved=True)
            ).classes("main")
            refuse = ui.button(
                "Refuse…", color=None, on_click=lambda: self._ask(row, approved=False)
            ).classes("line danger")
            marked(approve, aria_label=f"Approve command {row['number']}")
            marked(refuse, aria_label=f"Refuse command {row['number']}")

    def _ask(self, row: Mapping[str, Any], *, approved: bool) -> None:
        """Show once more what is meant, in a dialog that the page's own redrawing does not touch."""
        number, size = row["number"], row["size_bytes"]
        title = f"Approve command {number}?" if approved else f"Refuse command {number}?"
        with ui.context.client.content, ui.dialog() as dialog, ui.card().classes("dialog-card"):
            marked(dialog, aria_label=title)
            text("h2", title)
            if approved:
                where = f" on {self.host}" if self.host else ""
                text("p", f"Exactly these {size:,} bytes will run{where}, and nothing else:")
            exact_bytes(row["command"])
            with ui.element("div").classes("line-of buttons"):
                ui.button("Back", color=None, on_click=dialog.close).classes("line")
                say = ui.button(
                    f"Approve these {size:,} bytes" if approved else "Refuse it",
                    color=None,
                    on_click=steady(lambda: self._say(dialog, row, approved=approved)),
                )
                say.classes("main" if approved else "line danger").props("autofocus")
        dialog.on("hide", dialog.delete)
        dialog.open()

    async def _say(self, dialog: ui.dialog, row: Mapping[str, Any], *, approved: bool) -> None:
        # the digest of what stands in the dialog, not one that came with it
        digest = sha256_of(row["command"])
        said = await attempt(
            self.identity,
            "approve",
            lambda: collab.say(
                self.context.desk,
                self.task_id,
                row["number"],
                digest,
                approved=approved,
                by=self.identity.name,
                host=self.host or "here",
            ),
        )
        dialog.close()
        if said is not None:
            ui.notify(one_line(said), type="positive")
        await self.changed()


def exact_bytes(command: str) -> None:
    """Draw a command so that every byte of it can be seen, with its size and SHA-256."""
    content = command.encode()
    with ui.element("div").classes("exact"):
        shown = text("pre", collab.exact(command), "command")
        marked(shown, tabindex="0", role="region", aria_label="The exact command")
        if not collab.is_plain(command):
            text(
                "p",
                "Some characters do not show by themselves, or are not ASCII: they stand escaped.",
                "notice",
            )
        with ui.element("dl").classes("facts small"):
            text("dt", "SHA-256")
            text("dd", sha256_of(command), "mono sha256")
            text("dt", "size")
            text("dd", f"{len(content):,} bytes")
        with ui.element("details").classes("more"):
            text("summary", "All bytes")
            dump = text("pre", hex_dump(content), "text")
            marked(dump, tabindex="0", role="region", aria_label="All bytes, in hexadecimal")


def hex_dump(content: bytes) -> str:
    """Return bytes as hexdump(1) -C shows them."""
    lines = []
    for at in range(0, len(content), _WIDTH):
        part = content[at : at + _WIDTH]
        digits = " ".join(f"{byte:02x}" for byte in part)
        shown = "".join(chr(byte) if 0x20 <= byte < 0x7F else "." for byte in part)  # noqa: PLR2004 - ASCII
        lines.append(f"{at:08x}  {digits:<{3 * _WIDTH - 1}}  |{shown}|")
    return "\n".join(lines)


def _standing(row: Mapping[str, Any]) -> None:
    if row["outcome"]:
        kind, word = FATES.get(row["outcome"]["fate"], ("", row["outcome"]["fate"]))
        marked(chip(word, f"plain {kind}"), data_fate=row["outcome"]["fate"])
    elif row["waits"]:
        marked(chip("waits for you", "s-waiting_input"), data_fate="waits")
    elif row["word"]:
        marked(chip(f"{row['word']} by {row['by']}", "plain good" if row["word"] == "approved" else "plain"))


def _around(row: Mapping[str, Any]) -> None:
    beside = (
        ("Checked before by", row["check_before"]),
        ("Dry run" + (" (the policy's)" if row["dry_run_by_rule"] else ""), row["dry_run"]),
        ("Checked after by", row["check_after"]),
    )
    if not any(command for _, command in beside):
        return
    with ui.element("details").classes("more"):
        text("summary", "Checks before and after")
        with ui.element("dl").classes("facts small"):
            for name, command in beside:
                if command:
                    text("dt", name)
                    text("dd", collab.exact(command), "mono")


def _outcome(outcome: Mapping[str, Any], reasons: Sequence[str]) -> None:
    by = f" (word of {one_line(outcome['by'])})" if outcome["by"] else ""
    if outcome["reason"] not in {"; ".join(reasons), ""}:
        text("p", f"{plain(outcome['reason'])}{by}", "small")
    for ran in outcome["ran"]:
        with ui.element("div").classes("line-of small"):
            text("span", ran["what"].replace("_", " "), "muted")
            text("span", one_line(f"{ran['state']}: {ran['reason']}"))
            if ran["task_id"]:
                task_link(ran["task_id"])
