"""The lines around the list: what there is, how the hosts are, which task is looked at, which keys help."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from rich.cells import cell_len
from rich.text import Text

from agent.amounts import size
from agent.sanitize import one_line
from agent.top.rows import BAD, OVER, STYLES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agent.top.feed import Seen
    from agent.top.rows import Row

MOST_HOST_LINES: Final = 3
WAITING: Final = ("queued", "blocked", "deferred", "held")
GAP: Final = "   "
TYPING: Final = Text("Enter keep it   up, down choose   Esc all tasks again", "dim", no_wrap=True)


def head(root: Path, hosts: Sequence[str], seen: Seen, width: int) -> Text:
    """Say where we are, and how many tasks stand how."""
    where = one_line(f"{_short(root)} on {hosts[0]}" if hosts else _short(root))
    line = Text(no_wrap=True, overflow="ellipsis")
    line.append("aispool", "bold")
    if seen.trouble:
        line.append(f"{GAP}{one_line(seen.trouble)}", f"bold {BAD}")
        return line
    counts = [
        (seen.counts.get("waiting_input", 0), "asks", STYLES["waiting_input"]),
        (seen.counts.get("running", 0), "running", STYLES["running"]),
        (sum(seen.counts.get(state, 0) for state in WAITING), "waiting", ""),
        (sum(seen.counts.get(state, 0) for state in OVER), "over", "dim"),
    ]
    numbers = Text(GAP).join(Text(f"{count:,} {word}", style) for count, word, style in counts if count)
    state = "" if seen.complete else f"{GAP}reading the rest"
    room = width - line.cell_len - numbers.cell_len - cell_len(state) - 2 * len(GAP)
    if room >= cell_len(where):
        line.append(f"{GAP}{where}", "dim")
    return line.append(GAP).append_text(numbers).append(state, "dim")


def hosts(seen: Seen, width: int) -> Text:
    """Say how each host is, on a few lines."""
    lines, hidden = [Text(no_wrap=True)], 0
    for host in seen.hosts:
        said = _host(host)
        said.truncate(width, overflow="ellipsis")
        room = width - (7 if len(lines) == MOST_HOST_LINES else 0)  # for the number of those left out
        if lines[-1].cell_len + len(GAP) + said.cell_len <= room or not lines[-1]:
            lines[-1].append(GAP if lines[-1] else "").append_text(said)
        elif len(lines) < MOST_HOST_LINES:
            lines.append(said)
        else:
            hidden += 1
    if hidden:
        lines[-1].append(f"{GAP}+{hidden}", "bold")
    return Text("\n").join(lines)


def all_hosts(seen: Seen) -> Text:
    """Say how each host is, a paragraph each."""
    paragraphs = [_host(host).append_text(_more_of(host)) for host in seen.hosts]
    return Text("\n\n").join(paragraphs) if paragraphs else Text("no host was seen yet")


def rule(row: Row | None, position: int, seen: Seen, width: int, *, following: bool) -> Text:
    """Separate the list from the log, and say whose it is."""
    if row is None:
        return Text("─" * width, "dim", no_wrap=True)
    where = f" on {row.host}" if row.host else ""
    ran = f", took {row.took()}" if row.duration_s is not None else ""
    back = "" if following else " (scrolled back)"
    left = f"── log of {row.shown_id}{one_line(where)}: {row.state}{ran}{back} "
    right = f" {position:,}/{seen.total:,} ─"
    line = Text(no_wrap=True, overflow="ellipsis")
    line.append(left).truncate(max(width - len(right), 0), overflow="ellipsis")
    return line.append("─" * max(width - line.cell_len - len(right), 0)).append(right)


def keys(row: Row | None, width: int) -> Text:
    """Name the keys that do something now."""
    able = [("?", "help"), ("/", "filter")]
    if row is not None:
        able.append(("Enter", "details"))
        if row.state == "waiting_input":
            able.append(("w", "answer"))
        if row.state in {"running", "waiting_input"}:
            able.append(("a", "attach"))
        if row.is_over:
            able.append(("r", "retry"))
        else:
            able.append(("c", "cancel"))
        if row.state in {"queued", "blocked", "deferred"}:
            able.append(("h", "hold"))
        if row.state == "held":
            able.append(("h", "release"))
    able += [("l", "log"), ("q", "leave")]
    line = Text(no_wrap=True, overflow="ellipsis")
    for key, what in able:
        if line.cell_len + len(key) + len(what) + 1 > width:
            break
        line.append(key, "bold").append(f" {what}  ", "dim")
    return line


def nothing(seen: Seen, typed: str) -> str:
    """Say why the list is empty."""
    if seen.trouble:
        return ""
    if seen.unknown_state:
        return f"no state begins with {one_line(seen.unknown_state)}"
    if not seen.revision:
        return "reading the tasks"
    return "nothing like this: Esc shows all" if typed else "nothing here: `aispool submit` gives work"


def _host(host: dict[str, Any]) -> Text:
    name, trouble = one_line(host["name"]), host["trouble"]
    said = Text(name, "bold")
    if host["slots"] is not None:
        said.append(f" {host['slots_used'] or 0}/{host['slots']}")
    if host["load_1m"] is not None:
        said.append(f" load {host['load_1m']:.1f}", "dim")
    if host["disk_free_bytes"] is not None:
        said.append(f" free {size(host['disk_free_bytes'])}", "dim")
    if trouble:
        said.append(f" {one_line(trouble)}", BAD)
    for paused in host["paused"]:
        said.append(f" {one_line(paused)} is paused", "yellow")
    return said


def _more_of(host: dict[str, Any]) -> Text:
    more = [
        ("address", host["address"]),
        ("last seen", host["last_seen_at"]),
        ("version", host["agent_version"]),
    ]
    more += [(word, host[word]) for word in ("waiting", "running", "waiting_for_a_person", "uncollected")]
    said = (f"  {label.replace('_', ' '):<22} {one_line(value)}" for label, value in more if value)
    return Text("".join(f"\n{line}" for line in said))


def _short(root: Path) -> str:
    home = os.path.expanduser("~")  # noqa: PTH111 - no exception for an account without a home
    text = str(root)
    return f"~{text.removeprefix(home)}" if home != "/" and root.is_relative_to(Path(home)) else text
