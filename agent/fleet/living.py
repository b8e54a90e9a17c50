"""The small, living part of a host: one rsync a round, whose work does not grow with the past.

Named folders are its sources, not the workspace: results/ alone would be walked from end to end. What was
refused is history, too: rejected/ is only listed when agent.log, which tells every refusal, has grown.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from agent.fleet.logs import stamp_of
from agent.fleet.rsync import PARTIAL
from spool.files import make_folder, put

if TYPE_CHECKING:
    from collections.abc import Iterable

    from agent.fleet.calls import Watching
    from agent.fleet.layout import Mirror
    from agent.fleet.logs import Stamp
    from agent.fleet.rsync import Transfers

MAX_FILE_BYTES: Final = 16 << 20
"""Larger ones of the living part stay on their host; a task may have 4 MiB there."""
CENTRAL_LOGS: Final = ("agent.log", "coordinator.log", "audit.jsonl")
"""Logs that every host has, whatever runs."""
_SOURCES: Final = (
    *("VERSION", "configs", "tasks", "sessions", "results/.uncollected", "logs/.healthchecks"),
    *(f"logs/{name}{generation}" for name in CENTRAL_LOGS for generation in ("", ".1")),
)
_FILTERS: Final = (
    "- .*.tmp",
    f"- {PARTIAL}/",
    *("+ /configs/enrolled.json", "+ /configs/paused*", "- /configs/*"),
    *("- /tasks/.*", "- /tasks/held/.*", "+ /tasks/held/", "- /tasks/*/", "- /tasks/held/*/"),
    *("+ /tasks/*.json", "+ /tasks/*.why", "+ /tasks/held/*.json", "- /tasks/*", "- /tasks/held/*"),
    # an agent's beat, and the names of what it has taken
    *("+ /sessions/.agent-*/", "+ /sessions/.agent-*/agent.json", "- /sessions/.agent-*/.*"),
    *("+ /sessions/.agent-*/*/", "- /sessions/.agent-*/**", "- /sessions/.*"),
    *("+ /sessions/*/", "+ /sessions/*/status.json", "+ /sessions/*/task.json", "- /sessions/*/*"),
    "- /sessions/*",
    *("- /results/.uncollected/.*", "- /results/.uncollected/*/", "- /logs/.healthchecks/*/"),
)
_TELLS_REFUSALS: Final = "agent.log"
_REJECTED_COPIED: Final = ".rejected"
_EXACT: Final = (
    *("-r", "--relative", "--no-implied-dirs", "--delete", "--ignore-missing-args"),
    f"--max-size={MAX_FILE_BYTES}",
    "--fsync",
)


def fetch(transfers: Transfers, mirror: Mirror, watching: Watching, more: Iterable[str] = ()) -> str:
    """Bring `mirror.raw` up to date; return what rsync complained of.

    Args:
        transfers: with the host.
        mirror: whose.
        watching: who looks on.
        more: single files of the workspace beside what is always looked at.

    VERSION, the enrolment and `more` go first here: when they are back afterwards, this very round saw them.
    rsync's own --delete-missing-args would do, but 3.2.7 as Debian 12 has it breaks the protocol with it.

    Raises:
        TransferError: the transfer broke; the copy is what it was, or in part newer.
        CallError: a program is missing here.
    """
    make_folder(mirror.raw)
    more = tuple(more)
    for name in ("VERSION", "configs/enrolled.json", *more):
        (mirror.raw / name).unlink(missing_ok=True)
    filters = [word for rule in _FILTERS for word in ("--filter", rule)]
    # named in a list, not as arguments: rrsync of rsync 3.5 refuses an argument that is not there
    given = b"".join(os.fsencode(name) + b"\0" for name in (*_SOURCES, *more))
    listed = ("--files-from=-", "--from0")
    ended = transfers.fetch(["./"], mirror.raw, *_EXACT, *listed, *filters, watching=watching, given=given)
    complaints = ended.err
    stamp = repr(central_logs(mirror)[_TELLS_REFUSALS])
    if stamp != rejected_stamp(mirror):
        ended = transfers.fetch(
            ["./rejected"], mirror.raw, *_EXACT, "--filter", "- /rejected/*/", watching=watching
        )
        complaints += ended.err
        put(mirror.raw / _REJECTED_COPIED, stamp.encode(), durable=False)
    return complaints


def rejected_stamp(mirror: Mirror) -> str | None:
    """Return what tells one state of the copy of rejected/ from another; None when there is none."""
    try:
        return (mirror.raw / _REJECTED_COPIED).read_text()
    except FileNotFoundError:
        return None


def central_logs(mirror: Mirror) -> dict[str, list[Stamp | None]]:
    """Return the state of our copies of the host's own logs, both generations of each."""
    folder = mirror.raw / "logs"
    return {name: [stamp_of(folder / name), stamp_of(folder / f"{name}.1")] for name in CENTRAL_LOGS}
