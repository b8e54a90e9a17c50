"""Texts to read: all that is known of a task, and what the keys do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from rich.text import Text

from agent.amounts import size, span
from agent.sanitize import one_line, plain

if TYPE_CHECKING:
    from collections.abc import Iterator

MOST_TEXT: Final = 20_000
"""Characters of an answer; the files hold all of it."""
MOST_FILES: Final = 100
LABEL: Final = 12

HELP: Final = """\
In the list
  up, down, j, k         choose a task    PgUp, PgDn, Home, End: further
  /                      filter while you type: words, state:failed,
                         host:NAME, tool:NAME, label:NAME, group:NAME;
                         Enter keeps it
  Esc                    all tasks again

What can be done with the chosen task
  Enter, d               details: attempts, answer, files
  a                      attach this terminal to its session
                         (in tmux C-b d, in screen C-a d comes back here)
  w                      answer it, when it asks something (asks)
  c, x                   cancel it; asks first
  h                      hold it while it waits; release it when it is held
  r                      run it again, when it is over; asks first

The log
  l                      more of it, all of it, less of it
  Tab                    to the log and back: there up, down scroll,
                         End follows again

Besides
  o                      how the hosts are
  C-l                    draw the screen again
  C-z                    stop; `fg` comes back
  q, C-c                 leave

States: asks = waiting_input, dep.failed = dependency_failed. The command line does
the same: aispool ls, show, logs, attach, answer, cancel, hold, release, retry.
"""


def help_text() -> Text:
    """Return what the keys do."""
    return Text(HELP)


def details(found: dict[str, Any]) -> Text:
    """Return all that is known of a task, of `agent.service.listing.task`."""
    text = Text()
    for label, value in _fields(found):
        if value not in {None, ""}:
            text.append(f"{label:<{LABEL}} ", "bold").append(_indented(str(value))).append("\n")
    output = (found["result"] or {}).get("output") or {}
    if output.get("text"):
        said = plain(output["text"])
        text.append("\n").append(said[:MOST_TEXT])
        if len(said) > MOST_TEXT or output.get("truncated"):
            text.append("\n[this is not all: see the files]", "dim")
    return text


def _fields(found: dict[str, Any]) -> Iterator[tuple[str, object]]:
    result, status, task = found["result"] or {}, found["status"] or {}, found["task"] or {}
    yield "id", found["task_id"]
    yield "host", found["host"]
    yield "state", f"{found['state']}: {found['reason']}"
    yield "asks", status.get("question")
    yield "tool", found["tool"]
    yield "command", found["command"]
    yield "outcome", result.get("outcome")
    for label in ("changed_at", "started_at", "finished_at"):
        yield label.removesuffix("_at"), found[label]
    yield "goes on", found["next_attempt_at"]
    yield "took", span(found["duration_s"]) if found["duration_s"] is not None else None
    yield "used", _used(result.get("usage") or {})
    yield "needs", ", ".join(task.get("dependencies", ()))
    yield "labels", ", ".join(found["labels"])
    yield "group", found["group"]
    for attempt in found["attempts"]:
        yield f"attempt {attempt['number']}", f"{_attempt(attempt)}\n{attempt['folder']}"
    for warning in result.get("warnings") or ():
        yield "warning", warning
    yield "attach", found["attach"]
    yield "log", found["log"]
    yield "lies in", found["path"]
    files = found["files"]
    yield (
        "files",
        "\n".join(f"{one_line(file['path'])}  {size(file['bytes'])}" for file in files[:MOST_FILES]),
    )
    if len(files) > MOST_FILES:
        yield "", f"and {len(files) - MOST_FILES} more"


def _used(usage: dict[str, Any]) -> str:
    said = [
        f"{usage[name]} tokens {way}"
        for name, way in (("input_tokens", "in"), ("output_tokens", "out"))
        if usage.get(name) is not None
    ]
    if usage.get("cost_usd") is not None:
        said.append(f"{usage['cost_usd']:.4f} USD")
    return ", ".join(said)


def _attempt(attempt: dict[str, Any]) -> str:
    ended = attempt["exit"]
    if attempt["damage"]:
        return str(attempt["damage"])
    if not ended:
        return str(attempt["phase"])
    if ended["error"]:
        return f"not started: {ended['error']}"
    how = f"exit code {ended['exit_code']}" if ended["signal"] is None else f"signal {ended['signal']}"
    by = f", ended by {ended['ended_by']}" if ended["ended_by"] else ""
    return f"{how}{by}, {ended['duration_s']:.1f} s"


def _indented(value: str) -> str:
    return f"\n{' ' * (LABEL + 1)}".join(plain(value).rstrip("\n").split("\n"))
