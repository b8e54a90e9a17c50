"""Decides what an attempt came to, from what a tool's adapter found in its output.

In this order, the first that applies:
1. we ended it: cancelled, timed out, lost; never anything else,
2. its output says that it failed, with the kind of failure when that is known,
3. a signal ended it that we did not send,
4. its output says that it came to its end: refused, without an answer, or succeeded,
5. its exit code and the last lines that it wrote.
"""

from __future__ import annotations

import re
import signal as signals
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from agent.tools.apierrors import outcome_of
from agent.tools.jsonlines import is_cut, text_of
from agent.tools.limits import retry_after_s
from agent.tools.report import PARKED, SENTENCES, Outcome, Report
from spool.records import Usage

if TYPE_CHECKING:
    from agent.tools.adapter import Said

MAX_REASON_CHARS = 400
_TAIL_LINES = 12

_ENDED = {
    "cancel": (Outcome.CANCELLED, "it was cancelled"),
    "timeout": (Outcome.TIMED_OUT, "it was ended when its time was up"),
    "waiting_timeout": (Outcome.TIMED_OUT, "it waited for an answer that nobody gave in time"),
    "shutdown": (Outcome.LOST, "it was ended when the machine was shut down"),
    "lost": (Outcome.LOST, "nobody saw how it ended"),
}
_SHELL_SIGNALS = frozenset({1, 2, 6, 9, 11, 15})
"""128 + one of these is how a program says that a signal ended it."""

_NOISE = re.compile(r"^\s*(?:at |\[?(?:debug|info|warn(?:ing)?)\b|[{}\[\],]*\s*$)", re.IGNORECASE)
_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]+")
_KEYS = re.compile(r"\b(?:sk|pk|key|ghp|gho|xox[a-z]|AIza)[-_][A-Za-z0-9_-]{12,}|\bAIza[A-Za-z0-9_-]{16,}")


@dataclass(frozen=True, slots=True)
class Found:
    """What an adapter found in a tool's output.

    Args:
        finished: the output says that the tool came to its end.
        text: the final answer alone.
        error: the tool's last word about its failure; empty when it did not fail.
        outcome: of the failure, where the output has a field for it.
        status: of the HTTP answer behind the failure, where the output has a field for it.
        refused: what it was not permitted to do.
        retry_after_s: when a limit ends, where the output has a field for it.
        worked: the model has answered at least once.
    """

    finished: bool = False
    text: str = ""
    error: str = ""
    outcome: Outcome | None = None
    status: int | None = None
    refused: str = ""
    usage: Usage = field(default_factory=Usage)
    session_id: str | None = None
    retry_after_s: float | None = None
    worked: bool = False


def report(said: Said, found: Found) -> Report:
    """Return what the attempt came to."""
    outcome, reason, wait_s = _verdict(said, found)
    session_id = found.session_id or said.session_id
    return Report(
        outcome=outcome,
        reason=one_line(reason),
        text=plain(found.text).strip() if found.text else "",
        usage=found.usage,
        tool_session_id=session_id,
        retry_after_s=wait_s if outcome in PARKED else None,
        can_resume=session_id is not None and found.worked,
    )


def _verdict(said: Said, found: Found) -> tuple[Outcome, str, float | None]:
    if said.ended_by is not None:
        outcome, sentence = _ENDED.get(said.ended_by, (Outcome.KILLED, f"it was ended: {said.ended_by}"))
        trouble = found.error or _known_trouble(said)
        return outcome, f"{sentence}; its last trouble: {trouble}" if trouble else sentence, None
    if found.error or found.outcome is not None:
        return _failure(said, found)
    stderr = text_of(said.stderr)
    if said.signal is not None:
        return _signalled(said, said.signal, stderr)
    if found.finished:
        return _ended_well(said, found)
    return _by_exit_code(said, found, stderr)


def _known_trouble(said: Said) -> str:
    last = "" if said.interactive else tail(text_of(said.stderr))
    return last if outcome_of(last) else ""


def _failure(said: Said, found: Found) -> tuple[Outcome, str, float | None]:
    wait_s = found.retry_after_s
    if wait_s is None:
        wait_s = retry_after_s(found.error, said.finished_at)
    if wait_s is None:
        wait_s = retry_after_s(text_of(said.stderr), said.finished_at)
    outcome = found.outcome or outcome_of(found.error, found.status, retry_after_s=wait_s) or Outcome.FAILED
    if outcome is Outcome.FAILED and said.signal is not None:
        # what was left of it may still say that it was interrupted
        return Outcome.KILLED, f"it was killed by {_name(said.signal)} - it said: {found.error}", None
    return outcome, _sentence(outcome, found.error), wait_s


def _signalled(said: Said, number: int, stderr: str) -> tuple[Outcome, str, float | None]:
    """Name the signal, unless its last lines say in what trouble it was when it came."""
    last = tail(stderr)
    wait_s = retry_after_s(last, said.finished_at)
    outcome = None if said.interactive else outcome_of(last, retry_after_s=wait_s)
    if outcome is not None:
        return outcome, _sentence(outcome, last), wait_s
    return Outcome.KILLED, f"it was killed by {_name(number)}", None


def _ended_well(said: Said, found: Found) -> tuple[Outcome, str, float | None]:
    if found.refused:
        return Outcome.REFUSED, _sentence(Outcome.REFUSED, found.refused), None
    if found.text.strip() or said.interactive:
        return Outcome.SUCCESS, SENTENCES[Outcome.SUCCESS], None
    if is_cut(text_of(said.stdout)):
        return Outcome.SUCCESS, "it succeeded, but its answer was too long to be kept", None
    return Outcome.NO_ANSWER, SENTENCES[Outcome.NO_ANSWER], None


def _by_exit_code(said: Said, found: Found, stderr: str) -> tuple[Outcome, str, float | None]:
    code = said.exit_code
    if said.interactive and code == 0:
        return _ended_well(said, found)
    last = tail(stderr if stderr.strip() and not said.interactive else text_of(said.stdout))
    wait_s = retry_after_s(last, said.finished_at)
    outcome = outcome_of(last, retry_after_s=wait_s)
    if outcome is not None:
        return outcome, _sentence(outcome, last), wait_s
    if code is None:
        return Outcome.LOST, "nobody saw how it ended", None
    if code - 128 in _SHELL_SIGNALS:
        return Outcome.KILLED, f"it was killed by {_name(code - 128)}", None
    if code == 0:
        return Outcome.NO_ANSWER, _sentence(Outcome.NO_ANSWER, last), None
    said_so = f": {last}" if last else ""
    return Outcome.FAILED, f"it ended with exit code {code}{said_so}", None


def _sentence(outcome: Outcome, said: str) -> str:
    sentence = SENTENCES.get(outcome, "it gave up")
    return f"{sentence} - it said: {said}" if said else sentence


def _name(number: int) -> str:
    try:
        return signals.Signals(number).name
    except ValueError:
        return f"signal {number}"


def tail(text: str) -> str:
    """Return the last lines that say something: no stack, no bare brackets, no warnings."""
    lines = [line.strip() for line in plain(text).splitlines() if not _NOISE.match(line)]
    return " ".join(lines[-_TAIL_LINES:])[-4 * MAX_REASON_CHARS :]


def plain(text: str) -> str:
    """Return text without the sequences and characters by which a terminal is controlled."""
    return _CONTROL.sub("", _ESCAPES.sub("", text.replace("\r\n", "\n").replace("\r", "\n")))


def one_line(text: str) -> str:
    """Return text as one line for people, short enough to be read, and without keys."""
    line = " ".join(_KEYS.sub("[key]", plain(text)).split())
    return line if len(line) <= MAX_REASON_CHARS else line[: MAX_REASON_CHARS - 1] + "…"
