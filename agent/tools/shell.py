"""`/bin/sh` and whatever it runs: the exit code decides, and what it printed is the answer."""

from __future__ import annotations

from dataclasses import replace

from agent.tools.adapter import Need, Said, Seed, Signs
from agent.tools.jsonlines import text_of
from agent.tools.report import Outcome, Report
from agent.tools.verdict import Found, one_line, report, tail

SIGNS = Signs()


def seed(need: Need) -> Seed:  # noqa: ARG001 - an adapter is called with it
    """Put nothing in place: a script runs in the person's own environment."""
    return Seed()


def read(said: Said) -> Report:
    """Say what an attempt came to; a script that prints nothing has succeeded all the same."""
    text = "" if said.interactive else said.stdout.decode(errors="replace")
    if said.ended_by is not None or said.signal is not None or said.exit_code is None:
        return replace(report(replace(said, stderr=b""), Found(text=text)), text=text, is_stream=True)
    if said.exit_code == 0:
        return Report(Outcome.SUCCESS, "exit code 0", text=text, is_stream=True)
    last = "" if said.interactive else tail(text_of(said.stderr))
    reason = f"exit code {said.exit_code}{f': {last}' if last else ''}"
    return Report(Outcome.FAILED, one_line(reason), text=text, is_stream=True)


def question(raw: str) -> str:
    """Return what it asked: a script may say so by itself."""
    return one_line(raw) or "it waits for an answer in its terminal"
