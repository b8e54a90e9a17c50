"""report.md: the report for people, in the language of the question; made from report.json and nothing else.

Whatever models or commands wrote is shown without anything that steers a terminal, and command lines stand
indented, exactly as they would be run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.collab.language import words
from agent.sanitize import one_line, plain

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from agent.collab.report import CommandRow, Report


def rendered(report: Report) -> str:
    """Return the report as Markdown."""
    say = words(report.question.language)
    parts = (
        _head(report, say),
        _section(say["summary"], _summary(report)),
        _section(say["findings"], _items(report.integration.findings if report.integration else ())),
        _section(say["recommendations"], _numbered(report)),
        _section(say["answers"], _answers(report, say)),
        _section(say["dissent"], _dissent(report, say)),
        _section(say["commands"], _commands(report, say)),
        _section(say["executed"], _items(report.executed)),
        _section(say["side_effects"], _checks(report.side_effects, say)),
        _section(say["vetoes"], _items(f"{v.role}, {v.target}: {v.why}" for v in report.vetoes)),
        _section(say["validation"], _validation(report, say)),
        _section(say["scores"], _scores(report, say)),
        _section(say["evidence"], _evidence(report, say)),
        _section(say["steps"], _roles(report)),
        _section(say["degraded"], _items(report.degraded)),
        _section(say["cited"], _items(report.cites)),
    )
    return plain("\n".join(line for part in parts for line in part)).rstrip() + "\n"


def _head(report: Report, say: dict[str, str]) -> Iterator[str]:
    question = report.question
    yield f"# {say['title']}: {report.task_id}"
    yield ""
    yield f"{say['question']}: {one_line(question.text)}"
    if question.host:
        yield f"{say['host']}: {one_line(question.host)}"
    if question.rule != "asked for":
        yield say["rule"].format(rule=one_line(question.rule))


def _section(title: str, lines: Iterable[str]) -> Iterator[str]:
    """Yield a heading and its lines; nothing at all when there are none."""
    body = list(lines)
    if body:
        yield from ("", f"## {title}", "", *body)


def _items(texts: Iterable[str]) -> Iterator[str]:
    for text in texts:
        yield f"- {one_line(text.strip())}"


def _summary(report: Report) -> Iterator[str]:
    if report.integration is not None:
        yield from report.integration.summary.strip().splitlines()


def _numbered(report: Report) -> Iterator[str]:
    lines = report.integration.recommendations if report.integration else ()
    for number, text in enumerate(lines, 1):
        yield f"{number}. {one_line(text.strip())}"


def _answers(report: Report, say: dict[str, str]) -> Iterator[str]:
    if not report.answers:
        return
    roles = list(report.answers[0].answers)
    vetoed = {(v.role, v.target) for v in report.vetoes}
    yield f"| {' | '.join((say['key'], *roles))} |"
    yield f"|{' --- |' * (len(roles) + 1)}"
    for row in report.answers:
        cells = [one_line(row.text).replace("|", "/")]
        for role in roles:
            given = row.answers[role]
            empty = say["vetoed"] if (role, f"answer:{row.key}") in vetoed else say["abstains"]
            cells.append(empty if given is None else one_line(given))
        yield f"| {' | '.join(cells)} |"


def _dissent(report: Report, say: dict[str, str]) -> Iterator[str]:
    said = report.integration.dissent if report.integration else ()
    counted = report.consensus.dissent if report.consensus else ()
    texts = {row.key: row.text for row in report.answers}
    if not (said or counted):
        if report.integration is not None:
            yield say["no_dissent"]
        return
    if report.integration_by_rule is None:
        yield from _items(said)
    for each in counted:
        who = "; ".join(f"{p.answer} ({', '.join(p.raters)})" for p in each.positions)
        yield f"- {one_line(say['differs'].format(key=texts.get(each.key, each.key), answers=who))}"


def _commands(report: Report, say: dict[str, str]) -> Iterator[str]:
    if not report.commands:
        if report.integration is not None:
            yield say["no_commands"]
        return
    for row in report.commands:
        yield from _command(row, say)
    asking = any(row.decision == "ask" and row.taken_out is None for row in report.commands)
    if asking and not report.executed:
        yield ""
        yield say["approve"].format(task_id=report.task_id)


def _command(row: CommandRow, say: dict[str, str]) -> Iterator[str]:
    if row.taken_out is not None:
        # its words are in commands.json; a command that was taken out is nothing to copy from a report
        yield f"{row.number}. {say['vetoed']}: {one_line(row.taken_out)}"
        return
    yield f"{row.number}. {one_line(row.purpose) or '-'} ({say['decision']}: {row.decision})"
    yield ""
    for line in row.command.splitlines():
        yield f"       {line}"
    yield ""
    for reason in row.reasons:
        yield f"   - {one_line(reason)}"


def _checks(checks: Iterable[object], say: dict[str, str]) -> Iterator[str]:
    for check in checks:
        name, passed, why = (getattr(check, field) for field in ("name", "passed", "why"))
        yield (
            f"- {one_line(name)}: ok"
            if passed
            else f"- {one_line(say['check_failed'].format(name=name, why=why))}"
        )


def _validation(report: Report, say: dict[str, str]) -> Iterator[str]:
    for role, checks in report.checks.items():
        passed = sum(check.passed for check in checks)
        yield f"- {say['checks_passed'].format(role=role, passed=passed, total=len(checks))}"
        for check in checks:
            if not check.passed:
                yield f"  - {one_line(say['check_failed'].format(name=check.name, why=check.why))}"
    if report.validator_note is not None:
        yield f"- {one_line(report.validator_note)}"


def _scores(report: Report, say: dict[str, str]) -> Iterator[str]:
    agreed, trust = report.consensus, report.confidence
    if agreed is None or trust is None:
        return
    value = f"{agreed.percent:.0f}%" if agreed.percent is not None else _why_none(report, say)
    yield f"- {say['consensus'].format(value=value, coverage=f'{agreed.coverage_percent:.0f}%')}"
    percent = say["not_computable"] if trust.percent is None else f"{trust.percent:.0f}%"
    how = say["calibrated"] if trust.calibrated else say["uncalibrated"]
    yield f"- {say['confidence'].format(value=percent, how=how)}"
    if report.quotes:
        yield f"- {say['quotes_found'].format(found=report.quotes_found, total=report.quotes)}"


def _why_none(report: Report, say: dict[str, str]) -> str:
    families = report.consensus.families if report.consensus else ()
    return say["one_family"] if len(families) == 1 else say["nothing_shared"]


def _evidence(report: Report, say: dict[str, str]) -> Iterator[str]:
    if report.evidence:
        yield f"- {', '.join(one_line(name) for name in report.evidence)}"
    elif report.integration is not None:
        yield say["no_evidence"]


def _roles(report: Report) -> Iterator[str]:
    for row in report.roles:
        who = f"{row.provider} {row.model or ''}".strip() if row.provider else "-"
        tokens = f"{row.usage.input_tokens or 0} + {row.usage.output_tokens or 0} tokens"
        yield f"- {row.step}, {row.role}: {one_line(who)}, {row.state}, {tokens}"
