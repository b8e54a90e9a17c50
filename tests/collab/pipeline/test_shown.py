"""What a person sees of a run: the table while it goes on, its steps, its report as one document."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

from rich.console import Console

from agent.cli import main
from agent.cli.collab_live import _table
from agent.cli.wait import Watch, Watched

if TYPE_CHECKING:
    import pytest


def test_the_table_of_a_run(desk: Any, brain: Any, fault: Any) -> None:
    """One line a step, the failed one with its reason; nothing in it steers the terminal."""
    brain.says["analyst"] = fault(status=401, body=b'{"error": {"message": "bad \\u001b[31mkey"}}')
    desk.run(desk.ask())
    console = Console(width=120, record=True, file=io.StringIO())
    console.print(_table(Watch(desk.workspace, [Watched("q")]), "q"))
    lines = console.export_text().splitlines()
    assert lines[0].startswith("q: done")
    (analyst,) = [line for line in lines if line.startswith("2-analyst")]
    assert "failed" in analyst
    assert "\x1b" not in "".join(lines)
    assert any(line.startswith("4-integration") and " ok " in line for line in lines)


def test_the_steps_and_the_document(desk: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """`collab show` in each of its forms, while the run is in session as well."""
    session = desk.ask()
    root = str(desk.workspace.root)
    assert main(["--workspace", root, "collab", "show", "q"]) == 1
    capsys.readouterr()
    done = desk.run(session)
    assert main(["--workspace", root, "collab", "show", "q"]) == 0
    assert capsys.readouterr().out == done.stdout
    assert main(["--workspace", root, "collab", "show", "q", "--steps"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in lines][:2] == [["1-plan", "ok"], ["2-analyst", "ok"]]
    assert main(["--workspace", root, "collab", "show", "q", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert len(document["steps"]) == 9
    assert document["report"]["integration"]["summary"] == "It is to be done."
    assert document["progress"]["doing"] == "done"


def test_what_is_no_run_is_said_so(desk: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """An id that nobody knows, and a task of another tool."""
    root = str(desk.workspace.root)
    assert main(["--workspace", root, "collab", "show", "nobody"]) == 1
    assert "no task nobody" in capsys.readouterr().err
    (desk.workspace.tasks / "job.json").write_text('{"task_id": "job", "tool": "shell", "command": "date"}')
    assert main(["--workspace", root, "collab", "show", "job"]) == 1
    assert "no collaborative run, but a task of shell" in capsys.readouterr().err
