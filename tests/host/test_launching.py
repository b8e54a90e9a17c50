"""What an attempt finds when it starts, and what a real wrapper then makes of it."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from agent.config import load
from agent.host.launching import WRAPPER, prepare
from agent.host.runners import Busy
from agent.host.session import Session
from agent.host.site import Site
from agent.tools.adapter import Said
from agent.tools.calls import read_calls_of
from agent.tools.registry import Registry
from agent.tools.report import Outcome, Report
from spool.files import make_folder
from spool.records import Exit, State, Usage, utc_now
from spool.refusal import Refusal
from spool.results import reopen
from spool.task import AcceptedTask

if TYPE_CHECKING:
    from collections.abc import Callable

    from spool.workspace import Workspace

DEADLINE_S = 30.0

# answers with the files that its prompt lists; fails, or waits to be killed, as a file beside it says
TOOL = """#!{python} -IS
import json, os, sys, time
prompt = sys.argv[1] if sys.argv[1:] else sys.stdin.read()
files = [line[2:].rpartition(" (")[0] for line in prompt.splitlines() if line.startswith("- /")]
with open({record!r}, "a") as record:
    print(json.dumps([len(prompt), files, sys.argv[2:], os.environ.get("T_HOME"), os.getcwd()]), file=record)
for word in open({behave!r}).read().split() if os.path.exists({behave!r}) else ():
    if any(file.endswith("/" + word.partition("=")[0]) for file in files):
        if word.endswith("=hang"):
            open({record!r} + ".hangs", "w").close()
            time.sleep(600)
        elif word.endswith("=error"):
            print(json.dumps({{"error": "rate limit exceeded, try again in 30 seconds"}}))
            raise SystemExit(0)
        else:
            print(json.dumps({{"text": "no JSON"}}))
            raise SystemExit(0)
print(json.dumps({{"text": json.dumps({{"documents": files}}), "in": 10, "out": 1}}))
"""

TOOLS = """
[tools.t]
path = "{path}"
argv = ["$executable", ["$prompt"]]
prompt_by = "stdin"

[tools.t.read]
format = "json"
text = "text"
error = "error"
input_tokens = "in"
output_tokens = "out"
config_dir_variable = "T_HOME"
"""


class Stand:
    """A tool of our own in a workspace, and its tasks."""

    def __init__(self, workspace: Workspace, folder: Path) -> None:
        self.workspace = workspace
        self.record, self.behave = folder / "record", folder / "behave"
        program = folder / "t"
        program.write_text(
            TOOL.format(python=sys.executable, record=str(self.record), behave=str(self.behave))
        )
        program.chmod(0o755)
        (workspace.configs / "tools.toml").write_text(TOOLS.format(path=program))
        (workspace.configs / "agent.toml").write_text(f'allowed_paths = ["{folder}"]\ngrace_s = 0.2\n')
        self.site = Site(workspace, "a", load(workspace), Registry.load(workspace), utc_now)
        make_folder(self.site.bell)

    def session(self, task_id: str = "x", **fields: Any) -> Session:
        """Return a task in session, as a claim leaves it."""
        task = AcceptedTask.model_validate(
            {
                "tool": "t",
                "task_id": task_id,
                "source_name": "x.json",
                "source_sha256": "",
                "submitted_at": datetime.now(UTC),
                **fields,
            }
        )
        folder = self.workspace.sessions / task_id
        make_folder(folder)
        (folder / "task.json").write_text(task.model_dump_json())
        return Session(task, folder, State.QUEUED, "", datetime.now(UTC))

    def prepared(self, session: Session) -> Session:
        """Prepare the next attempt, which must be possible."""
        refusal = prepare(self.site, session)
        assert refusal is None, refusal
        return session

    def wrapper(self, session: Session) -> subprocess.Popen[bytes]:
        """Start the wrapper of a prepared attempt."""
        assert session.attempt is not None
        return subprocess.Popen(
            [sys.executable, "-I", "-S", str(WRAPPER), str(session.attempt.folder)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )

    def run(self, session: Session) -> Exit:
        """Run the next attempt to its end."""
        self.prepared(session)
        assert self.wrapper(session).wait(DEADLINE_S) == 0
        return self.ended(session)

    def ended(self, session: Session) -> Exit:
        """Return how the last attempt ended."""
        assert session.attempt is not None
        ended = Exit.read(session.attempt.exit)
        assert ended is not None
        assert ended.error is None
        return ended

    def calls(self) -> list[list[Any]]:
        """Return what the tool was given each time."""
        return [json.loads(line) for line in self.record.read_text().splitlines()]

    def report(self, session: Session) -> Report:
        """Say what the last attempt came to, as settling does."""
        ended, attempt = self.ended(session), session.attempt
        assert attempt is not None
        said = Said(
            exit_code=ended.exit_code,
            signal=ended.signal,
            ended_by=ended.ended_by,
            stdout=attempt.stdout.read_bytes(),
            stderr=attempt.stderr.read_bytes(),
            interactive=False,
            finished_at=ended.finished_at,
        )
        tool = self.site.registry.get("t")
        assert tool is not None
        return read_calls_of(tool, session.task, attempt.folder, said)


@pytest.fixture
def stand(workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stand:
    monkeypatch.setenv("HOME", str(tmp_path))
    return Stand(workspace, tmp_path)


@pytest.fixture
def documents(tmp_path: Path) -> Path:
    folder = tmp_path / "documents"
    folder.mkdir()
    for number in range(25):
        (folder / f"{number:02d}.txt").write_text(f"document {number}")
    return folder


def batched(folder: Path, **parameters: Any) -> dict[str, Any]:
    return {
        "command": "process-documents",
        "parameters": {"input_dir": str(folder), "output_format": "json", **parameters},
    }


def until(condition: Callable[[], bool]) -> None:
    give_up_s = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < give_up_s, "it did not happen in time"
        time.sleep(0.02)


def names(files: list[str]) -> list[str]:
    return [Path(file).name for file in files]


def test_twenty_five_documents_are_three_calls(stand: Stand, documents: Path) -> None:
    """Their answers are joined, and what they cost is added up."""
    session = stand.session(**batched(documents))
    assert stand.run(session).exit_code == 0
    everything = [f"{number:02d}.txt" for number in range(25)]
    assert [names(call[1]) for call in stand.calls()] == [everything[:10], everything[10:20], everything[20:]]
    report = stand.report(session)
    assert report.outcome is Outcome.SUCCESS
    assert names(json.loads(report.text)["documents"]) == everything
    assert report.usage == Usage(input_tokens=30, output_tokens=3)
    assert session.attempt is not None
    assert json.loads(session.attempt.stdout.read_bytes()) == json.loads(report.text)
    log = (stand.workspace.logs / "t-x.log").read_text()
    assert "part 2 of 3 begins" in log


def test_killed_in_the_second_only_unfinished_ones_run_again(stand: Stand, documents: Path) -> None:
    stand.behave.write_text("15.txt=hang")
    session = stand.session(**batched(documents))
    stand.prepared(session)
    wrapper = stand.wrapper(session)
    until((stand.record.with_name("record.hangs")).exists)
    (session.folder / "cancel").touch()
    assert wrapper.wait(DEADLINE_S) == 0
    report = stand.report(session)
    assert report.outcome is Outcome.CANCELLED
    assert report.reason.startswith("part 2 of 3: ")
    assert report.usage == Usage(input_tokens=10, output_tokens=1)
    assert len(json.loads(report.text)["documents"]) == 10, "what was paid for is handed on"
    (session.folder / "cancel").unlink()
    stand.behave.unlink()
    (documents / "00b.txt").touch()  # new since then: not in the plan
    assert stand.run(session).exit_code == 0
    assert [len(call[1]) for call in stand.calls()] == [10, 10, 10, 5]
    report = stand.report(session)
    assert report.outcome is Outcome.SUCCESS
    assert len(json.loads(report.text)["documents"]) == 25
    assert report.usage == Usage(input_tokens=20, output_tokens=2), "of this attempt's own calls"


def test_a_driver_that_is_killed_leaves_nothing_behind(stand: Stand, documents: Path) -> None:
    stand.behave.write_text("05.txt=hang")
    session = stand.session(**batched(documents))
    stand.prepared(session)
    wrapper = stand.wrapper(session)
    until((stand.record.with_name("record.hangs")).exists)
    assert session.attempt is not None
    driver = json.loads(session.attempt.started.read_bytes())["tool_pid"]
    os.kill(driver, signal.SIGKILL)
    assert wrapper.wait(DEADLINE_S) == 0
    report = stand.report(session)
    assert report.outcome is Outcome.KILLED
    assert report.text == ""


@pytest.mark.parametrize(("how", "outcome"), [("error", Outcome.RATE_LIMIT), ("form", Outcome.BAD_ANSWER)])
def test_a_call_that_fails_ends_the_attempt(
    stand: Stand, documents: Path, how: str, outcome: Outcome
) -> None:
    """With exit code 0 inside; the next attempt begins with that call."""
    stand.behave.write_text(f"12.txt={how}")
    session = stand.session(**batched(documents))
    assert stand.run(session).exit_code == 1
    report = stand.report(session)
    assert report.outcome is outcome
    assert report.reason.startswith("part 2 of 3: ")
    if how == "error":
        assert report.retry_after_s == pytest.approx(30)
    stand.behave.unlink()
    assert stand.run(session).exit_code == 0
    assert len(stand.calls()) == 4


def test_a_person_who_runs_it_again_gets_a_new_answer(stand: Stand, documents: Path) -> None:
    """After a success; the past run's parts stay with it."""
    session = stand.session(**batched(documents))
    stand.run(session)
    first = session.attempt
    assert first is not None
    result = {
        "task_id": "x",
        "tool": "t",
        "command": "c",
        "state": "succeeded",
        "reason": "",
        "host": "h",
        "source_name": "x",
        "submitted_at": "2026-11-20T12:00:00Z",
        "finished_at": "2026-11-20T12:00:00Z",
    }
    (session.folder / "result.json").write_text(json.dumps(result))
    reopen(session.folder)
    (documents / "25.txt").touch()
    stand.run(session)
    assert len(stand.calls()) == 6
    assert len(json.loads(stand.report(session).text)["documents"]) == 26
    session.attempt = first
    assert len(json.loads(stand.report(session).text)["documents"]) == 25


def test_few_documents_are_one_call(stand: Stand, documents: Path) -> None:
    session = stand.session(**batched(documents, batch_size=25))
    stand.run(session)
    assert len(stand.calls()) == 1
    assert not (session.folder / "batches").exists()


def test_a_long_prompt_goes_on_standard_input(stand: Stand) -> None:
    session = stand.session(parameters={"prompt": "word " * 210_000})
    assert stand.run(session).exit_code == 0
    assert stand.calls()[0][0] == 5 * 210_000
    assert session.attempt is not None
    assert (session.attempt.folder / "stdin").stat().st_mode & 0o777 == 0o600


def test_a_long_script_is_run_from_a_file(stand: Stand) -> None:
    """With its arguments in their places."""
    script = f"# {'x' * 300_000}\nprintf '%s|' \"$@\"; exit 3"
    session = stand.session(tool="shell", command=script, parameters={"args": ["-a", "b c"]})
    assert stand.run(session).exit_code == 3
    assert session.attempt is not None
    assert session.attempt.stdout.read_text() == "-a|b c|"


def test_each_run_has_its_private_folder(stand: Stand) -> None:
    """Where it lies stands in the intent, and the tool is told; a shell has no use for one."""
    session = stand.session(parameters={"prompt": "what is this"})
    stand.run(session)
    folder = stand.workspace.configs / "runners" / "t" / "task-x"
    assert stand.calls()[0][3] == str(folder)
    assert folder.stat().st_mode & 0o777 == 0o700
    assert session.intent is not None
    assert session.intent.config_dir == str(folder)
    shell = stand.prepared(stand.session("s", tool="shell", command="true"))
    assert shell.intent is not None
    assert shell.intent.config_dir is None
    assert "AISPOOL_CONFIG" not in shell.intent.env


def test_two_tasks_never_share_a_login(stand: Stand) -> None:
    (stand.workspace.configs / "runners" / "t" / "login").mkdir(parents=True)
    first = stand.prepared(stand.session(parameters={"prompt": "what is this"}))
    assert first.intent is not None
    assert first.intent.config_dir == str(stand.workspace.configs / "runners" / "t" / "login")
    second = stand.session("y", parameters={"prompt": "what is this"})
    assert prepare(stand.site, second) == Busy("the only login of t is in use")
    assert not (second.folder / "attempts").exists()
    assert stand.wrapper(first).wait(DEADLINE_S) == 0
    assert prepare(stand.site, second) is None


def test_a_task_in_a_worktree(stand: Stand, tmp_path: Path) -> None:
    """It runs in the same sub folder of its own worktree, and its inputs lie in there."""
    repo = tmp_path / "repo"
    (repo / "sub").mkdir(parents=True)
    (repo / "sub" / "a.txt").touch()
    git = ["git", "-c", "user.name=A", "-c", "user.email=a@example.org"]
    for arguments in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "first"]):
        subprocess.run([*git, *arguments], cwd=repo, check=True, timeout=30)
    (repo / "sub" / "untracked.txt").touch()
    parameters = {"cwd": str(repo / "sub"), "input_dir": "."}
    session = stand.session(command="process-documents", parameters=parameters, worktree=True)
    stand.run(session)
    worktree = stand.workspace.root / "worktrees" / "x"
    (call,) = stand.calls()
    assert call[1] == [f"{worktree}/sub/a.txt", f"{repo}/sub/untracked.txt"]
    assert call[4] == f"{worktree}/sub"
    refused = prepare(stand.site, stand.session("y", parameters={"prompt": "what is"}, worktree=True))
    assert isinstance(refused, Refusal)
    assert "cannot have a worktree" in refused.what


def test_preparing_again_after_a_kill_comes_to_the_same(
    stand: Stand, documents: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed before the intent is written, everything before it is made again."""
    session = stand.session(**batched(documents))
    monkeypatch.setattr("agent.host.launching._intent", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        prepare(stand.site, session)
    monkeypatch.undo()
    session.look_at_attempts()
    before = {
        path: hashlib.sha256(path.read_bytes()).digest() for path in session.folder.rglob("batches/plan")
    }
    assert before
    stand.run(session)
    assert session.attempt is not None
    assert session.attempt.number == 1
    assert before == {path: hashlib.sha256(path.read_bytes()).digest() for path in before}
    assert len(stand.calls()) == 3
