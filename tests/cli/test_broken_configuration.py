"""A mistake in a configuration file while the agent works on: what only looks or asks goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from spool.results import read_result

if TYPE_CHECKING:
    from collections.abc import Callable

    from spool.workspace import Workspace

    Run = Callable[..., Any]

BROKEN = {
    "agent.toml": "slots = 'two'\nallowed_paths = ['/srv']\n",
    "tools.toml": "[tools.mine]\nargv = [\n",
}


@pytest.fixture(params=sorted(BROKEN))
def broken(request: pytest.FixtureRequest, workspace: Workspace) -> str:
    """The name of the file that cannot be used."""
    name: str = request.param
    (workspace.configs / name).write_text(BROKEN[name])
    return name


def test_submit_leaves_the_check_to_the_agent(aispool: Run, workspace: Workspace, broken: str) -> None:
    """The task is dropped, and the mistake told beside it, once."""
    said = aispool("submit", "-t", "shell", "-c", "true", "-p", "cwd=/srv", "--id", "a", "--json")
    assert said.document["submitted"][0]["task_id"] == "a"
    assert said.err.count(broken) == 1
    assert "the agent checks the task" in said.err
    assert [path.suffix for path in workspace.tasks.glob("[!.]*.*")] == [".json"]


def test_submit_still_refuses_what_is_no_task(aispool: Run, workspace: Workspace, broken: str) -> None:
    """What needs no configuration is checked as ever."""
    said = aispool("submit", "-t", "a/b", "-c", "true", code=1)
    assert "is not a name" in said.err
    assert broken in said.err
    assert list(workspace.tasks.glob("*.json")) == []


def test_a_broken_agent_toml_does_not_hide_an_unknown_tool(aispool: Run, workspace: Workspace) -> None:
    """The tools can be read, so they are looked up."""
    (workspace.configs / "agent.toml").write_text(BROKEN["agent.toml"])
    assert "there is no tool 'shel'" in aispool("submit", "-t", "shel", "-c", "true", code=1).err


def test_edit_goes_on(aispool: Run, dropped: Run, broken: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The agent judges the file again when it claims it."""
    path = dropped(priority="low")
    monkeypatch.delenv("VISUAL", raising=False)
    monkeypatch.setenv("EDITOR", "sed -i s/low/high/")
    assert broken in aispool("edit", "build").err
    assert '"high"' in path.read_text()


def test_cancel_goes_on(aispool: Run, workspace: Workspace, dropped: Run, broken: str) -> None:
    """Also for a tool that only the broken file knew: what never starts need not be able to."""
    assert broken
    dropped(tool="mine")
    assert "cancelled before it started" in aispool("cancel", "build").out
    result = read_result(workspace, "build")
    assert result is not None
    assert result.state == "cancelled"


def test_usage_and_tools_go_on(aispool: Run, workspace: Workspace) -> None:
    """They are shown without budgets and slots."""
    (workspace.configs / "agent.toml").write_text(BROKEN["agent.toml"])
    said = aispool("usage", "--json")
    assert said.document["budgets"] == []
    assert "budgets are left out" in said.err
    assert aispool("tools", "--json").document["tools"]
    assert aispool("tools", "show", "shell", "--json").document["slots"] is None


def test_what_would_act_on_a_guess_refuses(aispool: Run, workspace: Workspace, over: Run) -> None:
    """`clean` with other limits than the owner's could remove what was to be kept."""
    over()
    (workspace.configs / "agent.toml").write_text("keep_days = 3650\nkeep_day = 1\n")
    assert "did you mean 'keep_days'" in aispool("clean", code=1).err
    assert (workspace.results / "build").exists()
    assert "keep_day" in aispool("submit", "-t", "shell", "-c", "true", "--dry-run", code=1).err
