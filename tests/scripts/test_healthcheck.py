"""healthcheck.sh where aispool is not installed, and start-agent.sh."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Shell


def test_it_shows_sessions_queue_processes_and_logs(shell: Shell) -> None:
    """One page for a person, kept in logs/."""
    session = shell.run("init-ai-session.sh", "qwen", "t-1").stdout.splitlines()[0]
    shell.run("drop-task.sh", "-", "waits", given="{}")
    log = shell.workspace / "logs/qwen-old.log"
    log.write_text("".join(f"line {number}\n" for number in range(9)))
    stale = shell.workspace / "logs/stale.log"
    stale.write_text("stale\n")
    os.utime(stale, (0, 0))
    done = shell.run("healthcheck.sh")
    assert done.returncode == 1  # no agent runs
    assert session in done.stdout
    assert "1 waiting, 0 held, 0 running, 0 finished, 0 rejected" in done.stdout
    assert re.search(r"^ *\d+ +\d+ +[\d.]+ +[\d:-]+ +sh$", done.stdout, re.MULTILINE), "the session's shell"
    assert "line 4\nline 5" in done.stdout
    assert "line 3" not in done.stdout
    assert "stale" not in done.stdout
    (kept,) = (shell.workspace / "logs").glob("healthcheck-*.log")
    assert re.fullmatch(r"healthcheck-\d{8}-\d{6}\.log", kept.name)
    assert kept.read_text() in done.stdout
    assert kept.stat().st_mode & 0o777 == 0o600
    assert kept.samefile(shell.workspace / "logs/.healthchecks" / kept.name)


def test_the_latest_ten_are_shown_to_a_collector(shell: Shell) -> None:
    """All are kept, and the earliest lose their second names."""
    recent = shell.workspace / "logs/.healthchecks"
    recent.mkdir()
    for number in range(12):
        (recent / f"healthcheck-20200101-0000{number:02d}.log").touch()
    shell.run("healthcheck.sh")
    names = sorted(os.listdir(recent))
    assert len(names) == 10
    assert names[0] == "healthcheck-20200101-000003.log"
    assert not names[-1].startswith("healthcheck-2020")


def test_a_tool_cannot_reach_the_terminal(shell: Shell) -> None:
    """Escape sequences in a log are stripped, letters of all languages stay."""
    (shell.workspace / "logs/evil.log").write_text("\x1b]0;owned\x07\x9b2J\x00größer\r\n")
    done = shell.run("healthcheck.sh")
    assert "größer" in done.stdout
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", done.stdout)


def test_start_agent_starts_one_and_only_one(shell: Shell, stand_in_agent: Path) -> None:
    """A stand-in holds the agent's lock: the second call finds it and starts nothing."""
    for _ in range(2):
        done = shell.run("start-agent.sh")
        assert done.returncode == 0, done.stderr
        assert f"agent: running on {shell.workspace}" in done.stdout
    assert len(stand_in_agent.read_text().split()) == 1


def test_start_agent_says_where_to_look_when_it_fails(shell: Shell) -> None:
    """An agent that ends at once is not waited for."""
    program = shell.home / "bin/aispool"
    program.write_text("#!/bin/sh\necho broken >&2\nexit 1\n")
    program.chmod(0o700)
    done = shell.run("start-agent.sh")
    assert done.returncode == 1
    assert "did not start" in done.stderr
    assert "broken" in (shell.workspace / "logs/agent.out").read_text()
