"""A tool that a person added in tools.toml alone: `[tools.X.read]` says how its output is read.

Without that table its standard output is the answer, and the phrases that every tool shares are known.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from agent.tools import hooks, plaintext
from agent.tools.adapter import Need, Said, Seed, Signs
from agent.tools.jsonlines import Object, objects, text_of
from agent.tools.reading import Reading
from agent.tools.verdict import Found, plain, report
from spool.records import Usage

if TYPE_CHECKING:
    from agent.tools.report import Outcome, Report

SIGNS = Signs()

_FATAL = re.compile(r"^\s*(?:\[?API Error|FATAL\b|panic:|Traceback \(most recent call last\))", re.IGNORECASE)


class Generic:
    """An adapter made from a definition."""

    def __init__(self, reading: Reading) -> None:
        """Make one.

        Args:
            reading: the `[tools.X.read]` table.
        """
        self.reading = reading
        self.SIGNS = Signs(title=reading.waiting_title, text=reading.waiting_text)

    def seed(self, need: Need) -> Seed:
        """Put nothing in place but the folder's name in the variable that the table names."""
        name = self.reading.config_dir_variable
        return Seed(env={name: str(need.config_dir)} if name else {})

    def read(self, said: Said) -> Report:
        """Say what an attempt came to."""
        if said.interactive:
            return report(said, Found())
        own = self._own_outcome(said)
        found = self._text(said) if self.reading.format == "text" else self._json(said)
        if own is not None:
            outcome, line = own
            found = replace(found, outcome=outcome, error=found.error or line)
        return report(said, found)

    def question(self, raw: str) -> str:
        """Put what a hook was given into words."""
        return hooks.question(raw)

    def _text(self, said: Said) -> Found:
        return plaintext.read(said, fatal=_FATAL)

    def _json(self, said: Said) -> Found:
        reading = self.reading
        records = objects(text_of(said.stdout))
        error = _words(_last(records, reading.error)) or _words(
            _last(objects(text_of(said.stderr)), reading.error)
        )
        answer = _last(records, reading.text)
        usage = Usage(
            input_tokens=_count(_last(records, reading.input_tokens)),
            output_tokens=_count(_last(records, reading.output_tokens)),
            cost_usd=_number(_last(records, reading.cost)),
        )
        return Found(
            finished=answer is not None and not error and said.exit_code == 0,
            text=_words(answer),
            error=error,
            usage=usage,
            session_id=_words(_last(records, reading.session)) or None,
            worked=answer is not None or bool(usage.output_tokens),
        )

    def _own_outcome(self, said: Said) -> tuple[Outcome, str] | None:
        lines = [*plain(text_of(said.stderr)).splitlines(), *plain(text_of(said.stdout)).splitlines()]
        for rule in self.reading.outcomes:
            for line in lines:
                if re.search(rule.pattern, line):
                    return rule.outcome, line.strip()
        return None


_PLAIN = Generic(Reading())


def seed(need: Need) -> Seed:
    """Put nothing in place."""
    return _PLAIN.seed(need)


def read(said: Said) -> Report:
    """Say what an attempt came to, where the tool has no `read` table."""
    return _PLAIN.read(said)


def question(raw: str) -> str:
    """Put what a hook was given into words."""
    return hooks.question(raw)


def _last(records: list[Object], path: str | None) -> Any:
    """Return the value at a path of the last record that has one: names and numbers joined by dots."""
    for record in reversed(records) if path else ():
        value: Any = record
        for name in path.split(".") if path else ():
            value = _step(value, name)
        if value is not None:
            return value
    return None


def _step(value: Any, name: str) -> Any:
    if isinstance(value, dict):
        return value.get(name)
    if isinstance(value, list) and re.fullmatch(r"-?\d+", name) and -len(value) <= int(name) < len(value):
        return value[int(name)]
    return None


def _words(value: Any) -> str:
    if value is None or value is False:
        return ""
    return value if isinstance(value, str) else str(hooks.as_bytes(value), "utf-8").strip()


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _count(value: Any) -> int | None:
    number = _number(value)
    return None if number is None else int(number)
