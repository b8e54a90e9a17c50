"""`aispool health`: how this host is, on the screen and in logs/healthcheck-YYYYMMDD-HHMMSS.log."""

from __future__ import annotations

import os
from datetime import datetime
from typing import TYPE_CHECKING, Final

import click

from agent.cli.command import command
from agent.cli.hosts import hosts_option
from agent.cli.place import Place, failed, json_option, pass_place, print_json

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from agent.inspect.health import Health

MOST_SAME_SECOND: Final = 100
REPORTS_SHOWN: Final = 10
"""To a collector, which finds them without a look at all that was ever logged."""


@command("health")
@hosts_option("--all-hosts", "--all")
@json_option
@pass_place
def health_command(place: Place, *, as_json: bool) -> None:
    """Show how this host is, and keep it as logs/healthcheck-YYYYMMDD-HHMMSS.log.

    Sessions, what their processes use, the ten largest, the queue, the disk, the agent's heartbeat, and the
    last lines of each log that changed in the last hour. Exit 1 when something needs a person.

    Examples:
      aispool health
      aispool health --json | jq .problems
      aispool health --all
      */10 * * * * aispool health > /dev/null || mail -s 'ai host' me < /dev/null
    """
    from agent.inspect.health import examine, health_document  # noqa: PLC0415 - `--help` needs none of it

    if place.host is not None or len(place.places()) > 1:
        from agent.cli.fleet_health import print_health  # noqa: PLC0415 - only where it is used

        print_health(place, as_json=as_json)
        return
    health = examine(place.workspace)
    text = "\n".join(_lines(health)) + "\n"
    try:
        kept = _keep(place, text)
    except OSError as error:
        kept = None
        health.problems.append(f"this report could not be kept in logs/: {error.strerror}")
    if as_json:
        print_json({**health_document(place.workspace, health), "report": kept})
    else:
        click.echo(text, nl=False)
        click.echo(f"\nkept as {kept}" if kept else f"\n{health.problems[-1]}")
    if health.problems:
        raise failed()


def _keep(place: Place, text: str) -> str:
    """Write the report under a name of its own and return its path."""
    from spool.files import put_new  # noqa: PLC0415

    stamp = datetime.now().astimezone().strftime("%Y%m%d-%H%M%S")
    for number in range(1, MOST_SAME_SECOND):
        again = f"-{number}" if number > 1 else ""
        path = place.workspace.logs / f"healthcheck-{stamp}{again}.log"
        try:
            put_new(path, text.encode(errors="replace"))
        except FileExistsError:
            continue
        _show_to_collector(place, path)
        return str(path)
    raise FileExistsError(17, "too many reports in one second", str(place.workspace.logs))


def _show_to_collector(place: Place, path: Path) -> None:
    """Give the report its second name, and let only the latest have one."""
    from spool.files import make_folder  # noqa: PLC0415

    folder = place.workspace.recent_reports
    make_folder(folder)
    os.link(path, folder / path.name)
    for name in sorted(os.listdir(folder))[:-REPORTS_SHOWN]:
        (folder / name).unlink(missing_ok=True)


def _lines(health: Health) -> Iterator[str]:
    from agent.cli.table import size  # noqa: PLC0415
    from agent.sanitize import one_line  # noqa: PLC0415

    yield f"Host {one_line(health.host)}, {health.checked_at}"
    yield "Problems: none" if not health.problems else "Problems:"
    yield from (f"  ! {one_line(problem)}" for problem in health.problems)
    yield from _agents(health)
    yield from _sessions(health)
    yield from _usage(health)
    yield "\n== Queue"
    yield ", ".join(f"{count} {state}" for state, count in health.queue.items()) or "empty"
    if health.rejected:
        yield f"{health.rejected} rejected"
    yield from (f"paused: {one_line(what)}" for what in health.paused)
    yield "\n== Disk"
    inodes = f", {health.disk.free_inodes} inodes free" if health.disk.free_inodes is not None else ""
    yield (
        f"{size(health.disk.free_bytes)} of {size(health.disk.total_bytes)} free, "
        f"{size(health.disk.reserve_bytes)} kept in reserve{inodes}"
    )
    yield "\n== Logs changed in the last 60 minutes"
    for log in health.logs:
        yield f"-- {one_line(log.name)} ({size(log.size_bytes)}, {log.changed_at})"
        yield from (f"   {one_line(line)}" for line in log.last_lines)
    if not health.logs:
        yield "none"


def _agents(health: Health) -> Iterator[str]:
    from agent.cli.table import span  # noqa: PLC0415
    from agent.sanitize import one_line  # noqa: PLC0415

    yield "\n== Agents"
    for agent in health.agents:
        beat = span(agent.heartbeat_age_s)
        how = f"running, heartbeat {beat} ago" if agent.alive else f"not running, last heartbeat {beat} ago"
        about = f"pid {agent.pid}, {agent.slots} slots, {agent.state}, since {agent.started_at}"
        yield one_line(f"{agent.name}: {how}" + (f" ({about})" if agent.alive and agent.pid else ""))
    if not health.agents:
        yield "none has worked here yet"


def _sessions(health: Health) -> Iterator[str]:
    from agent.cli.table import ago  # noqa: PLC0415

    yield "\n== Active AI sessions"
    yield from _table(
        ("ID", "STATE", "TOOL", "SINCE", "ATTACH"),
        [
            (v.task_id, v.state, v.tool, ago(v.changed_at), (v.status.attach if v.status else None) or "-")
            for v in health.sessions
        ],
    )
    yield from (f"{name} (a person's): tmux attach -t ={name}" for name in health.terminals)
    if not health.sessions and not health.terminals:
        yield "none"


def _usage(health: Health) -> Iterator[str]:
    from agent.cli.table import size, span  # noqa: PLC0415

    yield "\n== Resource usage"
    yield from _table(
        ("TASK", "PROCESSES", "MEMORY", "CPU"),
        [(t.task_id, t.processes, size(t.rss_bytes), span(t.cpu_s)) for t in health.tallies],
    )
    if not health.tallies:
        yield "no tool runs"
        return
    yield "largest processes:"
    yield from _table(
        ("PID", "MEMORY", "CPU%", "ELAPSED", "TASK", "NAME"),
        [
            (p.pid, size(p.rss_bytes), f"{p.cpu_percent:.1f}", span(p.elapsed_s), p.task_id, p.name)
            for p in health.largest
        ],
    )


def _table(head: Sequence[str], body: Sequence[Sequence[object]]) -> Iterator[str]:
    from agent.cli.table import rows  # noqa: PLC0415

    if body:
        yield from rows(head, body, cut=False)
