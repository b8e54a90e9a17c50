"""What `doctor` finds: one sentence, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Grade(StrEnum):
    """How bad it is."""

    OK = "ok"
    NOTE = "note"
    """Works, but could surprise."""
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding.

    Args:
        check: what was looked at, in a word or two.
        what: what was found.
        remedy: what to do about it; empty when nothing is to be done.
    """

    check: str
    grade: Grade
    what: str
    remedy: str = ""


def ok(check: str, what: str) -> Finding:
    """Say that all is well."""
    return Finding(check, Grade.OK, what)


def note(check: str, what: str, remedy: str) -> Finding:
    """Say what could surprise."""
    return Finding(check, Grade.NOTE, what, remedy)


def problem(check: str, what: str, remedy: str) -> Finding:
    """Say what is wrong."""
    return Finding(check, Grade.PROBLEM, what, remedy)
