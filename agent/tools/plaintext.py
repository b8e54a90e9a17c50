"""Reads a tool that prints its answer as plain text: its known phrases first, then its exit code."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.tools.apierrors import outcome_of
from agent.tools.jsonlines import text_of
from agent.tools.verdict import Found, plain, tail

if TYPE_CHECKING:
    import re

    from agent.tools.adapter import Said
    from agent.tools.report import Outcome


def read(
    said: Said,
    *,
    fatal: re.Pattern[str],
    refused: re.Pattern[str] | None = None,
    outcomes: tuple[tuple[re.Pattern[str], Outcome], ...] = (),
) -> Found:
    """Return what was found.

    Args:
        said: what the attempt left behind.
        fatal: of a line by which the tool says that it failed, on either stream, whatever its exit code.
        refused: of what it prints when it was not permitted something.
        outcomes: phrases of this tool and what they mean, before those that every tool shares.
    """
    if said.interactive:
        return Found()
    answer, trouble = plain(text_of(said.stdout)), plain(text_of(said.stderr))
    failed = said.exit_code != 0
    error = _line(trouble, fatal) or _line(answer, fatal)
    if failed and not error:
        last = tail(trouble) or tail(answer)
        error = last if _known(last, outcomes) else ""
    if error:
        return Found(error=error, outcome=_known(error, outcomes), worked=bool(answer.strip()))
    denied = _line(trouble, refused) or _line(answer, refused) if refused else ""
    return Found(finished=not failed, text=answer, refused=denied, worked=bool(answer.strip()))


def _line(text: str, pattern: re.Pattern[str]) -> str:
    return next((line.strip() for line in text.splitlines() if pattern.search(line)), "")


def _known(text: str, outcomes: tuple[tuple[re.Pattern[str], Outcome], ...]) -> Outcome | None:
    own = next((outcome for pattern, outcome in outcomes if pattern.search(text)), None)
    return own or outcome_of(text)
