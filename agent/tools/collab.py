"""The collaborative pipeline (`python -m agent.collab`): what it says on standard error is for people.

A line `… 120 tokens in, 45 out, $0.0012` after each call is also how its usage is known, and the last line
of a run that failed names the kind of its trouble. It goes on where its step files end, so an attempt
that was killed is only interrupted.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from agent.tools.adapter import Need, Said, Seed, Signs
from agent.tools.jsonlines import text_of
from agent.tools.report import Outcome, Report
from agent.tools.verdict import one_line, plain, tail
from spool.records import Usage

if TYPE_CHECKING:
    from collections.abc import Iterable

SIGNS = Signs()

COST: Final = re.compile(
    r"(?P<input>\d+) tokens in, (?P<output>\d+) out(?:, \$(?P<cost>\d+(?:\.\d+)?))?$", re.MULTILINE
)
FAILED: Final = re.compile(
    r"^Collaborative task failed \((?P<kind>[a-z_]+)(?:, again in (?P<wait>\d+) s)?\): (?P<why>.*)$",
    re.MULTILINE,
)
_OUTCOMES: Final = {
    "auth": Outcome.AUTH,
    "unavailable": Outcome.AUTH,
    "rate_limit": Outcome.RATE_LIMIT,
    "quota": Outcome.QUOTA,
    "server": Outcome.SERVER_ERROR,
    "timeout": Outcome.SERVER_ERROR,
    "breaker_open": Outcome.SERVER_ERROR,
    "network": Outcome.UNREACHABLE,
    "too_long": Outcome.CONTEXT_TOO_LONG,
    "bad_request": Outcome.BAD_REQUEST,
    "unknown_model": Outcome.BAD_REQUEST,
    "invalid_answer": Outcome.BAD_ANSWER,
    "refused": Outcome.REFUSED,
}


def seed(need: Need) -> Seed:  # noqa: ARG001 - an adapter is called with it
    """Put nothing in place: its settings are configs/roles.toml."""
    return Seed()


def read(said: Said) -> Report:
    """Say what an attempt came to."""
    stderr = plain(text_of(said.stdout if said.interactive else said.stderr))
    usage = _usage(COST.finditer(stderr))
    if said.ended_by is not None or said.signal is not None or said.exit_code is None:
        # a kill of ours is named by whoever reads this; any other is an interruption
        why = "it was interrupted, and goes on where its steps end"
        return Report(Outcome.LOST, why, usage=usage, can_resume=True)
    text = "" if said.interactive else text_of(said.stdout).strip()
    if said.exit_code == 0:
        return Report(Outcome.SUCCESS, "it succeeded", text=text, usage=usage)
    ends = list(FAILED.finditer(stderr))
    if not ends:
        reason = f"exit code {said.exit_code}: {tail(stderr)}"
        return Report(Outcome.FAILED, one_line(reason), text=text, usage=usage)
    end = ends[-1]
    return Report(
        outcome=_OUTCOMES.get(end["kind"], Outcome.FAILED),
        reason=one_line(end["why"]),
        text=text,
        usage=usage,
        retry_after_s=float(end["wait"]) if end["wait"] else None,
    )


def question(raw: str) -> str:
    """Return what it asked: the commands that wait for an approval."""
    return one_line(raw) or "it waits for an approval"


def _usage(lines: Iterable[re.Match[str]]) -> Usage:
    found = list(lines)
    if not found:
        return Usage()
    costs = [float(line["cost"]) for line in found if line["cost"]]
    return Usage(
        input_tokens=sum(int(line["input"]) for line in found),
        output_tokens=sum(int(line["output"]) for line in found),
        cost_usd=sum(costs) if costs else None,
    )
