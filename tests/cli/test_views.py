from __future__ import annotations

import json
import os
import subprocess
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from agent.inspect import checks_tools
from agent.inspect.checks_tools import SearchPath, compared
from agent.inspect.finding import Grade
from agent.inspect.processes import largest, of_session, tally
from agent.inspect.report import parse_since
from agent.proctree import boot_id, start_ticks
from spool.files import make_folder
from spool.locks import take_agent_lock
from spool.records import Started, State, Usage, utc_now
from spool.refusal import Refusal
from spool.reject import reject

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from spool.workspace import Workspace

    Run = Callable[..., Any]


def beat(folder: Path, age_s: float = 0, **fields: Any) -> None:
    record = {"name": "test", "host": "h", "pid": 1, "slots": 2, "state": "working", "disk_error": None}
    (folder / "agent.json").write_text(json.dumps(record | fields))
    os.utime(folder / "agent.json", (time.time() - age_s,) * 2)


@pytest.fixture
def tool(running: Run) -> Iterator[tuple[Path, int]]:
    """A session whose tool is a process that really runs, with its locks held."""
    folder = running()
    attempt = folder / "attempts" / "001"
    locks = f'exec 9>"{attempt}/tree.lock"; flock 9; exec 8>"{attempt}/wrap.lock"; flock 8'
    command = f"{locks}; echo up; exec sleep 60"
    process = subprocess.Popen(
        ["sh", "-c", command],
        stdout=subprocess.PIPE,
        start_new_session=True,
        env={**os.environ, "AISPOOL_ATTEMPT": str(attempt)},
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"up\n"
        ticks = start_ticks(process.pid)
        assert ticks is not None
        Started(
            wrapper_pid=process.pid,
            wrapper_start_ticks=ticks,
            tool_pid=process.pid,
            tool_start_ticks=ticks,
            boot_id=boot_id(),
            started_at=utc_now(),
        ).write(attempt / "started")
        yield folder, process.pid
        process.kill()


def test_processes_of_a_session(tool: tuple[Path, int]) -> None:
    """Found by what was recorded at the start; memory and names, no arguments."""
    folder, pid = tool
    processes = of_session(folder)
    assert [process.pid for process in processes] == [pid]
    assert processes[0].name == "sleep"
    assert processes[0].rss_bytes > 0
    assert tally("build", processes).processes == 1
    assert largest(processes * 3, 2) == processes * 2


def test_health_of_a_busy_host(
    aispool: Run, workspace: Workspace, tool: tuple[Path, int], agent_lives: Path, dropped: Run
) -> None:
    """Sessions, processes, queue, heartbeat and recent logs; kept as a log; 0."""
    beat(agent_lives)
    dropped("waits")
    (workspace.logs / "shell-build.log").write_text("".join(f"line {n}\x1b[2J\n" for n in range(9)))
    (workspace.logs / "old.log").write_text("old\n")
    os.utime(workspace.logs / "old.log", (1, 1))
    said = aispool("health")
    assert "Problems: none" in said.out
    assert str(tool[1]) in said.out
    assert "   line 8\n" in said.out
    assert "line 3" not in said.out
    assert "old.log" not in said.out
    assert "1 queued, 1 running" in said.out
    (kept,) = workspace.logs.glob("healthcheck-*.log")
    assert kept.read_text() in said.out
    document = aispool("health", "--json").document
    assert document["ok"] is True
    assert document["usage"][0]["processes"] == 1
    assert document["agents"][0]["alive"] is True


def test_the_latest_reports_are_shown_to_a_collector(aispool: Run, workspace: Workspace) -> None:
    """Ten of them have a second name; the report itself stays."""
    workspace.recent_reports.mkdir()
    for number in range(12):
        (workspace.recent_reports / f"healthcheck-20200101-0000{number:02d}.log").touch()
    aispool("health")
    (kept,) = workspace.logs.glob("healthcheck-*.log")
    names = sorted(path.name for path in workspace.recent_reports.iterdir())
    assert (len(names), names[-1]) == (10, kept.name)


def test_health_without_an_agent(aispool: Run, dropped: Run) -> None:
    """Tasks that wait for nobody are a problem."""
    aispool("health")
    dropped()
    assert "no agent works here" in aispool("health", code=1).out


@pytest.mark.usefixtures("dropped")
def test_health_of_an_agent_in_trouble(aispool: Run, agent_lives: Path) -> None:
    """One that hangs, or that cannot write, is named."""
    beat(agent_lives, age_s=300)
    text = aispool("health", code=1).out
    assert "no sign of life for 300 s" in text
    assert "logs/agent.log" in text
    beat(agent_lives, disk_error="No space left on device")
    assert "stopped claiming: No space left" in aispool("health", code=1).out


def test_health_below_the_reserve(aispool: Run, workspace: Workspace) -> None:
    """Nothing is claimed then, so it is a problem."""
    (workspace.configs / "agent.toml").write_text(f"reserve_bytes = {1 << 60}\n")
    assert "less than the reserve" in aispool("health", code=1).out


@pytest.mark.parametrize(("name", "text"), [("agent.toml", "slots = 'two'"), ("tools.toml", "= broken")])
def test_health_with_a_broken_configuration(
    aispool: Run, workspace: Workspace, agent_lives: Path, running: Run, name: str, text: str
) -> None:
    """The agent works on with its old options, so all is shown, and the mistake is the one problem."""
    beat(agent_lives)
    running()
    (workspace.configs / name).write_text(text)
    said = aispool("health", code=1)
    assert "== Active AI sessions" in said.out
    assert said.err == ""
    document = aispool("health", "--json", code=1).document
    (problem,) = document["problems"]
    assert name in problem
    assert "keeps its earlier options" in problem


def test_report(aispool: Run, over: Run, dropped: Run, running: Run) -> None:
    """By host: done, failed, waits and cost; 1 because one failed."""
    now = utc_now()
    recent = {"submitted_at": now - timedelta(seconds=90), "started_at": now - timedelta(seconds=30)}
    recent["finished_at"] = now
    over("a", **recent, usage=Usage(cost_usd=0.5, input_tokens=10), duration_s=30.0)
    over("b", State.FAILED, **recent, host="there", reason="exit code 3")
    over("old", State.FAILED)
    dropped("waits")
    running("asks", State.WAITING_INPUT)
    said = aispool("report", "--since", "1h", code=1)
    assert "here: 1 succeeded, 0 failed" in said.out
    assert "there: 0 succeeded, 1 failed" in said.out
    assert "exit code 3" in said.out
    assert "0.5000 USD" in said.out
    assert "waited 60 s on average" in said.out
    assert "waits for a person: asks" in said.out
    document = aispool("report", "--since", "1h", "--json", code=1).document
    assert [host["failed"] for host in document["hosts"]] == [0, 1]
    assert document["waiting"] == {"queued": 1, "waiting_input": 1}


def test_a_report_of_what_was_rejected(aispool: Run, workspace: Workspace, over: Run) -> None:
    """A task refused in the night is in no result, so the morning's report names it, with why; 1."""
    over("a", finished_at=utc_now())
    for name in ("nightly", "older"):
        path = workspace.tasks / f"{name}.json"
        path.write_text("{")
        assert reject(workspace, path, Refusal("it ends in the middle", "send it again"), "test")
    explanation = workspace.rejected / "older.json.error.json"
    said = json.loads(explanation.read_text()) | {"rejected_at": "2020-01-01T00:00:00Z"}
    explanation.write_text(json.dumps(said))
    text = aispool("report", "--since", "1h", code=1).out
    assert "1 rejected" in text
    assert "nightly.json" in text
    assert "it ends in the middle: send it again" in text
    assert "older" not in text
    (rejected,) = aispool("report", "--since", "1h", "--json", code=1).document["rejected"]
    assert rejected["name"] == "nightly.json"
    assert (rejected["what"], rejected["remedy"]) == ("it ends in the middle", "send it again")


@pytest.mark.parametrize("content", [b"", b"[]", b'{"rejected_at": "soon", "what": 3}', b"\xff"])
def test_a_report_of_a_damaged_explanation(aispool: Run, workspace: Workspace, content: bytes) -> None:
    """The file was refused all the same; its explanation's own time counts."""
    (workspace.rejected / "x.json").write_text("{")
    (workspace.rejected / "x.json.error.json").write_bytes(content)
    assert "does not say why" in aispool("report", code=1).out
    os.utime(workspace.rejected / "x.json.error.json", (1, 1))
    assert aispool("report", "--json").document["rejected"] == []


def test_a_report_of_an_explanation_that_is_no_file(aispool: Run, workspace: Workspace) -> None:
    """It cannot be read, and that is said."""
    (workspace.rejected / "x.json").write_text("{")
    (workspace.rejected / "x.json.error.json").mkdir()
    assert "cannot be read" in aispool("report", code=1).out


def test_a_report_without_failures(aispool: Run, over: Run) -> None:
    """0; a cancelled task has not failed."""
    over("a", State.CANCELLED, finished_at=utc_now())
    assert "1 cancelled" in aispool("report").out


@pytest.fixture
def zone(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Set the host's time zone; UTC until the test says otherwise."""

    def choose(name: str) -> None:
        monkeypatch.setenv("TZ", name)
        time.tzset()

    choose("UTC")
    yield choose
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    ("now", "text", "moment"),
    [
        ("2026-03-29T07:00+02:00", "18:00", "2026-03-28T18:00+01:00"),
        ("2026-03-29T07:00+02:00", "01:00", "2026-03-29T01:00+01:00"),
        ("2026-10-25T07:00+01:00", "18:00", "2026-10-24T18:00+02:00"),
        ("2026-10-25T07:00+01:00", "02:30", "2026-10-25T02:30+01:00"),
        ("2026-10-25T02:10+01:00", "02:30", "2026-10-25T02:30+02:00"),
        ("2026-10-25T02:10+02:00", "02:30", "2026-10-24T02:30+02:00"),
    ],
)
def test_since_across_a_change_of_the_clocks(
    zone: Callable[[str], None], now: str, text: str, moment: str
) -> None:
    """18:00 is when the clock on the wall said so, whatever was done to it in the night."""
    zone("CET-1CEST,M3.5.0,M10.5.0/3")
    assert parse_since(text, datetime.fromisoformat(now)) == datetime.fromisoformat(moment)


@pytest.mark.parametrize(
    ("text", "hours_ago"), [("11:00", 1), ("13:00", 23), ("2h", 2), ("1d", 24), ("2026-11-20T11:00:00Z", 1)]
)
@pytest.mark.usefixtures("zone")
def test_since(text: str, hours_ago: float) -> None:
    """A clock time is the last one; spans and ISO 8601 work, too."""
    now = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
    assert parse_since(text, now) == now - timedelta(hours=hours_ago)


@pytest.mark.parametrize("text", ["yesterday", "25:00", "2099-01-01", ""])
def test_since_what(text: str, aispool: Run) -> None:
    """Anything else is usage, with the ways to write it."""
    aispool("report", "--since", text, code=2)


def test_clean(aispool: Run, workspace: Workspace) -> None:
    """Hidden leftovers of over a day go; young ones, and files that are no leftovers, stay."""
    (workspace.tasks / ".upload.json.aB3").write_text("{")
    (workspace.tasks / "young.json").write_text("{")
    path = workspace.tasks / "bad.json"
    path.write_text("{")
    reject(workspace, path, Refusal("cut", "again"), "test")
    assert "0 leftovers and 0 rejected" in aispool("clean").out
    assert aispool("clean", "--rejected", "0", "--json").document["rejected"] == [
        str(workspace.rejected / "bad.json")
    ]
    assert list(workspace.rejected.iterdir()) == []
    assert (workspace.tasks / ".upload.json.aB3").exists()


def test_old_leftovers(workspace: Workspace) -> None:
    """A day after the last change of anything inside."""
    from agent.service.leftovers import remove_temporary  # noqa: PLC0415

    (workspace.tasks / ".upload.json.aB3").write_text("{")
    (workspace.tasks / ".01ABC.files").mkdir()
    (workspace.tasks / ".01ABC.files" / "x").touch()
    (workspace.configs / ".agent.toml.1.ab.tmp").touch()
    make_folder(workspace.agent("A"))
    (workspace.agent("A") / ".t.why.1.ab.tmp").touch()
    (workspace.configs / ".shipped.json").touch()
    assert remove_temporary(workspace, time.time() + 86000) == []
    gone = remove_temporary(workspace, time.time() + 86500)
    assert sorted(path.name for path in gone) == [
        *(".01ABC.files", ".agent.toml.1.ab.tmp", ".t.why.1.ab.tmp", ".upload.json.aB3")
    ]
    assert (workspace.configs / ".shipped.json").exists()


def grades(document: dict[str, Any], check: str) -> list[str]:
    return [finding["grade"] for finding in document["findings"] if finding["check"] == check]


@pytest.fixture
def quick_login(monkeypatch: pytest.MonkeyPatch) -> None:
    """The person's profile is not the test's business."""
    monkeypatch.setattr(checks_tools, "login_path", lambda: ["/usr/bin"])


@pytest.mark.usefixtures("quick_login")
def test_doctor_finds_nothing_wrong(aispool: Run) -> None:
    """0; every finding that wants something says what."""
    document = aispool("doctor", "--json").document
    assert document["ok"] is True
    assert all(f["remedy"] for f in document["findings"] if f["grade"] != "ok")
    assert grades(document, "locks") == ["ok"]
    assert "0 problems" in aispool("doctor").out


@pytest.mark.usefixtures("quick_login")
def test_doctor_finds_what_is_wrong(aispool: Run, workspace: Workspace, dropped: Run) -> None:
    """Each with its remedy; 1."""
    dropped()
    workspace.root.chmod(0o755)
    (workspace.configs / "env" / "gemini.env").write_text("KEY=x")
    (workspace.configs / "env" / "gemini.env").chmod(0o644)
    (workspace.configs / "hooks" / "on-finish").write_text("#!/bin/sh\n")
    (workspace.configs / "hooks" / "on-fnish").touch()
    (workspace.configs / "roles.toml").write_text("= broken")
    (workspace.configs / "paused").touch()
    said = aispool("doctor", code=1)
    for remedy in ("chmod 700", "chmod 600", "chmod u+x", "aispool resume", "aispool agent"):
        assert remedy in said.out
    document = aispool("doctor", "--json", code=1).document
    assert grades(document, "configuration") == ["problem"]
    assert grades(document, "hooks") == ["problem", "note"]


@pytest.mark.usefixtures("quick_login")
def test_doctor_of_a_broken_configuration(aispool: Run, workspace: Workspace) -> None:
    """The mistake is told once, and the disk is looked at all the same."""
    (workspace.configs / "agent.toml").write_text("slots = 'two'")
    document = aispool("doctor", "--json", code=1).document
    assert grades(document, "configuration") == ["problem"]
    assert grades(document, "disk") != []


def test_doctor_without_a_workspace(aispool: Run, workspace: Workspace) -> None:
    """The machine is checked all the same."""
    workspace.version_file.unlink()
    document = aispool("doctor", "--json", code=1).document
    assert grades(document, "workspace") == ["problem"]
    assert grades(document, "python") == ["ok"]


def test_paths_are_compared() -> None:
    """Nvm's folder is on the login shell's PATH alone."""
    own = SearchPath("the agent h", "/usr/bin:/bin")
    assert compared(own, ["/usr/bin"]).grade is Grade.OK
    found = compared(own, ["/usr/bin", "/home/me/.nvm/bin"])
    assert found.grade is Grade.NOTE
    assert "/home/me/.nvm/bin" in found.what
    assert compared(own, None).grade is Grade.NOTE


def test_tools(aispool: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of them, ready or not; one in detail; an unknown one names the others."""
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    listed = {tool["name"]: tool for tool in aispool("tools", "--json").document["tools"]}
    assert listed["shell"]["ready"] is True
    assert {"crush", "qwen", "gemini", "blackbox"} <= set(listed)
    assert "shell" in aispool("tools").out
    assert "analyze-project" in aispool("tools", "show", "crush").out
    assert aispool("tools", "show", "shell", "--json").document["definition"]["name"] == "shell"
    assert "the tools are" in aispool("tools", "show", "nope", code=1).err


@pytest.mark.parametrize("name", ["night", "another"])
def test_a_second_agent(aispool: Run, workspace: Workspace, name: str) -> None:
    """`--if-idle` leaves silently, with 0, whatever the name of the one that works here."""
    lock = take_agent_lock(workspace, "night")
    try:
        said = aispool("agent", "--name", name, "--if-idle", "--drain")
    finally:
        lock.release()
    assert said.out + said.err == ""


def test_an_agent_needs_a_name_that_is_one(aispool: Run) -> None:
    """It becomes a folder's name."""
    aispool("agent", "--name", "../x", code=1)


def test_an_agent_that_drains_does_the_work(shell: Run, workspace: Workspace) -> None:
    """From `submit` to `show` with nothing but this command line."""
    assert shell("submit", "-t", "shell", "-c", "echo the answer", "--id", "a").returncode == 0
    done = shell("agent", "--drain")
    assert done.returncode == 0, done.stderr
    assert shell("wait", "a").stdout.startswith("a succeeded")
    assert "the answer" in shell("logs", "a").stdout
    assert "the answer" in shell("show", "a").stdout
    assert workspace.agents()
