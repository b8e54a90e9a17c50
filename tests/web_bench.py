"""What the list of tasks costs with a long past on disk: the index, and a server that uses it.

Usage: scripts/bench-web; see there.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from agent.fleet.layout import Fleet
from agent.service.index import Index, Query
from agent.service.live import Live
from agent.service.places import Desk
from spool.records import Output, Result, State, Status, iso
from spool.workspace import Workspace, create

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CHANGES: Final = 30
IDLE_S: Final = 10.0
LISTENING: Final = re.compile(r"http://127\.0\.0\.1:(\d+)")
MANY: Final = 1000
BEGIN: Final = datetime(2026, 1, 1, tzinfo=UTC)
WORDS: Final = ("make", "test", "build", "report", "sync", "review", "deploy", "train", "fetch", "check")


def result_of(number: int, chance: random.Random) -> Result:
    """Return a result like those of a year of work."""
    started_at = BEGIN + timedelta(seconds=300 * number)
    duration_s = chance.expovariate(1 / 60)
    state = chance.choices([State.SUCCEEDED, State.FAILED, State.TIMED_OUT, State.CANCELLED], [90, 7, 2, 1])[
        0
    ]
    task_id = f"{chance.choice(WORDS)}-{number:06}"
    return Result(
        task_id=task_id,
        tool=chance.choice(["shell", "gemini", "claude", "codex"]),
        command=" ".join(chance.choices(WORDS, k=8)),
        state=state,
        reason="exit code 0" if state is State.SUCCEEDED else f"it ended as {state}, see its output",
        host="here",
        source_name=f"{task_id}.json",
        submitted_at=started_at,
        started_at=started_at,
        finished_at=started_at + timedelta(seconds=duration_s),
        duration_s=duration_s,
        output=Output(text=" ".join(chance.choices(WORDS, k=100))),
        labels=(chance.choice(["night", "day", "web", "model"]),),
    )


def publish(workspace: Workspace, result: Result) -> None:
    """Put a result where an agent puts it: whole, by one rename."""
    hidden = workspace.results / f".{result.task_id}"
    hidden.mkdir()
    (hidden / "result.json").write_bytes(result.encoded())
    task = {"task_id": result.task_id, "tool": result.tool, "command": result.command, "group": "g"}
    (hidden / "task.json").write_text(json.dumps(task))
    hidden.rename(workspace.results / result.task_id)


def fill(workspace: Workspace, results: int, hosts: int) -> None:
    """Make the past, and mirrors with something in session on each."""
    chance = random.Random(1)  # noqa: S311 - sample data
    for number in range(results):
        publish(workspace, result_of(number, chance))
        if number % (10 * MANY) == 0:
            sys.stderr.write(f"{number} results\n")
    configured = []
    for number in range(hosts):
        mirror = Fleet(workspace).mirror(f"host{number:03}")
        mirror.make()
        configured.append(f'[[hosts]]\nname = "{mirror.name}"\naddress = "127.0.0.1"\n')
        for session in range(4):
            folder = mirror.workspace.sessions / f"s{session}"
            folder.mkdir()
            Status(
                task_id=folder.name, tool="shell", command="make", state=State.RUNNING, reason="it runs",
                since=BEGIN, attempt=1, agent="a", host=mirror.name, submitted_at=BEGIN, source_name="s.json",
            ).write(folder / "status.json", durable=False)  # fmt: skip
    (workspace.configs / "hosts.toml").write_text("".join(configured))


@contextmanager
def timed(figures: dict[str, Any], name: str) -> Iterator[None]:
    """Note how long something takes, in milliseconds."""
    begin_s = time.perf_counter()
    yield
    figures[name] = round((time.perf_counter() - begin_s) * 1000, 1)


def median_ms(work: Callable[[], object], times: int = 7) -> float:
    """Return how long something takes, the median of some tries."""
    found = []
    for _ in range(times):
        begin_s = time.perf_counter()
        work()
        found.append((time.perf_counter() - begin_s) * 1000)
    return round(statistics.median(found), 1)


def of_index(workspace: Workspace) -> dict[str, Any]:
    """Build the index, ask it, and wait for changes."""
    figures: dict[str, Any] = {}
    shutil.rmtree(workspace.root / ".cache", ignore_errors=True)
    desk = Desk(workspace.root)
    index = Index(desk)
    begin_s = time.perf_counter()
    building = threading.Thread(target=index.refresh)
    building.start()
    while not index.query(Query()).rows:
        time.sleep(0.005)  # a person who looks again and again
    figures["first page while it is built"] = round((time.perf_counter() - begin_s) * 1000, 1)
    building.join()
    figures["built"] = round((time.perf_counter() - begin_s) * 1000, 1)
    figures["size_mib"] = round(
        sum(p.stat().st_size for p in (workspace.root / ".cache").iterdir()) / 2**20, 1
    )
    index.refresh()
    figures["idle look"] = median_ms(index.refresh)
    figures["thorough look"] = median_ms(lambda: index.refresh(thorough=True), 3)
    second = index.query(Query()).next
    some: dict[str, Query] = {
        "first page": Query(),
        "second page": Query(cursor=second),
        "by name": Query(sort="task_id"),
        "only failed": Query(states=("failed",)),
        "by label and tool": Query(labels=("night",), tools=("claude",)),
        "two words": Query(text="make deploy"),
        "a word that is nowhere": Query(text="nowhere-at-all"),
    }
    for name, query in some.items():
        figures[f"query: {name}"] = median_ms(lambda query=query: index.query(query))  # type: ignore[misc]
    figures["query: counts"] = median_ms(index.counts)
    live = Live(index)
    live.start()
    try:
        figures["change seen"] = changes(workspace, lambda task_id: seen(index, live, task_id))
    finally:
        live.stop()
        index.close()
    return figures


def seen(index: Index, live: Live, task_id: str) -> None:
    """Wait until the index has a task."""
    revision = 0
    while not index.query(Query(text=task_id)).rows:
        revision = live.wait(revision, 10)


def changes(workspace: Workspace, wait: Callable[[str], None]) -> dict[str, float]:
    """Add results one after the other, and return how long each takes until it is seen."""
    chance = random.Random(2)  # noqa: S311
    found = []
    for _ in range(CHANGES):
        result = result_of(chance.randrange(MANY**2, 2 * MANY**2), chance)
        begin_s = time.perf_counter()
        publish(workspace, result)
        wait(result.task_id)
        found.append((time.perf_counter() - begin_s) * 1000)
        time.sleep(chance.random())  # so that the looks are met at any moment
        shutil.rmtree(workspace.results / result.task_id)
    return {"median": round(statistics.median(found), 1), "most": round(max(found), 1)}


@contextmanager
def server(workspace: Workspace, figures: dict[str, Any]) -> Iterator[tuple[Callable[[str], Any], int]]:
    """Run a server; yield what asks it, and its process id."""
    token = _aispool(workspace, "token", "create", f"bench{time.monotonic_ns()}", "--scope", "read", "--json")
    words = [sys.executable, "-m", "agent", "--workspace", str(workspace.root), "serve", "--port", "0"]
    begin_s = time.perf_counter()
    with subprocess.Popen(
        words,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    ) as process:
        try:
            assert process.stdout is not None
            port = next(found[1] for line in process.stdout if (found := LISTENING.search(line)))
            headers = {"Authorization": f"Bearer {json.loads(token)['token']}"}

            def ask(path: str) -> Any:
                request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers=headers)
                with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
                    return json.load(answer)

            until_ready(ask)
            ready_s = time.perf_counter()
            figures["listens"] = round((ready_s - begin_s) * 1000, 1)
            while not ask("/api/v1/tasks?limit=50")["tasks"]:
                time.sleep(0.01)
            figures["first page after it listens"] = round((time.perf_counter() - ready_s) * 1000, 1)
            yield ask, process.pid
        finally:
            process.terminate()
            process.wait(30)


def until_ready(ask: Callable[[str], Any]) -> None:
    """Wait until the server answers."""
    give_up_s = time.monotonic() + 60
    while True:
        try:
            ask("/api/v1/me")
        except OSError:
            if time.monotonic() > give_up_s:
                raise
            time.sleep(0.02)
        else:
            return


def _aispool(workspace: Workspace, *words: str) -> str:
    command = [sys.executable, "-m", "agent", "--workspace", str(workspace.root), *words]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def of_server(workspace: Workspace) -> dict[str, Any]:
    """Start servers without and with an index; wait for changes; look at memory and idle CPU."""
    figures: dict[str, Any] = {"without an index": {}, "with an index": {}}
    shutil.rmtree(workspace.root / ".cache", ignore_errors=True)
    with server(workspace, figures["without an index"]) as (ask, pid):
        begin_s = time.perf_counter()
        while not ask("/api/v1/tasks?limit=1")["complete"]:
            time.sleep(0.1)
        figures["without an index"]["built after"] = round((time.perf_counter() - begin_s) * 1000, 1)
        figures["without an index"]["rss_mib"] = memory_mib(pid, "VmHWM")
    with server(workspace, figures["with an index"]) as (ask, pid):
        figures["page of 50 by HTTP"] = median_ms(lambda: ask("/api/v1/tasks?limit=50"))

        def wait(task_id: str) -> None:
            while not ask(f"/api/v1/tasks?limit=1&text={task_id}")["tasks"]:
                time.sleep(0.01)

        figures["change seen by HTTP"] = changes(workspace, wait)
        before_s = cpu_s(pid)
        time.sleep(IDLE_S)  # what is measured is what it does when nothing happens
        figures["idle CPU, percent of a core"] = round((cpu_s(pid) - before_s) / IDLE_S * 100, 2)
        figures["with an index"]["rss_mib"] = memory_mib(pid, "VmRSS")
    return figures


def memory_mib(pid: int, field: str) -> float:
    """Return a figure of proc(5), status."""
    text = Path(f"/proc/{pid}/status").read_text()
    return round(int(re.findall(rf"{field}:\s+(\d+) kB", text)[0]) / 1024, 1)


def cpu_s(pid: int) -> float:
    """Return the CPU time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def machine() -> dict[str, Any]:
    """Name the machine."""
    text = Path("/proc/cpuinfo").read_text()
    model = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    return {
        "cpu": model[1] if model else platform.machine(),
        "cpus": os.cpu_count(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "load": os.getloadavg()[0],
    }


def rows(figures: dict[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """Yield figures as rows of a table."""
    for name, value in figures.items():
        if isinstance(value, dict):
            yield from rows(value, f"{above}{name}: ")
        else:
            unit = "" if name.endswith(("_mib", "percent of a core")) else " ms"
            yield f"{above}{name}", f"{value:,}{unit}"


def main() -> None:
    """Make the past, measure, print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--results", type=int, default=100_000)
    parser.add_argument("--hosts", type=int, default=200)
    parser.add_argument("--folder", type=Path, help="where; an existing past there is used again")
    parser.add_argument("--json", type=Path, help="where the figures go, instead of behind the table")
    given = parser.parse_args()
    folder = given.folder or Path(tempfile.mkdtemp(prefix="aispool-bench-"))
    root = folder / "ai-workspace"
    try:
        if not root.exists():
            fill(create(root), given.results, given.hosts)
        workspace = Workspace(root.resolve())
        figures = {"index": of_index(workspace), "server": of_server(workspace)}
    finally:
        if given.folder is None:
            shutil.rmtree(folder)
    where = machine()
    size = f"{where['cpus']} CPUs, {where['memory_gib']} GiB"
    lines = [
        f"{given.results:,} results, {given.hosts} hosts; {where['cpu']}, {size},",
        f"Linux {where['kernel']}, Python {where['python']}, {iso(datetime.now(UTC))}",
        *("", "| what | figure |", "| --- | ---: |"),
        *(f"| {name} | {value} |" for name, value in rows(figures)),
    ]
    said = json.dumps({"results": given.results, "hosts": given.hosts, "machine": where, **figures}, indent=2)
    if given.json:
        given.json.write_text(said + "\n")
    else:
        lines += ["", said]
    print("\n".join(lines))  # noqa: T201 - for this it is run


if __name__ == "__main__":
    main()
