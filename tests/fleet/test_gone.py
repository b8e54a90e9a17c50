"""What was removed on a host by hand: it is shown as gone, a person settles it, nothing runs twice."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner
from fleet_agents import Agents, collector, drop, result

from agent.cli.root import cli
from spool.records import State

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from fleet_network import Network, Remote


@pytest.fixture
def agents(network: Network) -> Iterator[Agents]:
    agents = Agents(network)
    yield agents
    agents.close()


def aispool(network: Network, *words: str) -> str:
    return CliRunner().invoke(cli, ["-w", str(network.workspace.root), *words]).output


def rounds(network: Network, condition: Callable[[], object], what: str, most: int = 30) -> None:
    """Make rounds, as cron does, each by a new collector, until something is so."""
    for _ in range(most):
        assert collector(network).run_once()
        if condition():
            return
    pytest.fail(f"after {most} rounds: {what}")


def names_gone(network: Network, *task_ids: str) -> Callable[[], bool]:
    return lambda: network.state("a").unaccounted == task_ids


def waiting_there(network: Network, agents: Agents, **fields: object) -> Remote:
    """Let t1 wait on the host a, which claims nothing."""
    remote = network.host("a")
    (remote.workspace.configs / "paused").touch()
    agents.start(remote)
    drop(network, "a", "t1", command=agents.command(), **fields)
    rounds(network, (network.mirror("a").raw / "tasks/t1.json").exists, "t1 waits there")
    return remote


def test_a_waiting_task_that_was_removed_there(network: Network, agents: Agents) -> None:
    """It is gone for `fleet status`, `ls` and `show`; forgotten it is over as lost, and may be sent again."""
    remote = waiting_there(network, agents)
    (remote.workspace.tasks / "t1.json").unlink()
    rounds(network, names_gone(network, "t1"), "t1 is gone")
    assert "t1 gone from there" in aispool(network, "fleet", "status")
    rounds(network, lambda: "gone from a" in aispool(network, "ls", "--host", "a"), "ls says it")
    assert "aispool fleet forget t1" in aispool(network, "show", "--all", "t1")
    assert "t1: ends here as lost" in aispool(network, "fleet", "forget", "t1")
    rounds(network, lambda: result(network.mirror("a").workspace, "t1"), "t1 is over")
    over = result(network.mirror("a").workspace, "t1")
    assert over is not None
    assert (over.state, "a person ended it here" in over.reason) == (State.LOST, True)
    assert sorted(p.name for p in network.mirror("a").workspace.tasks.iterdir()) == ["held"]
    rounds(network, names_gone(network), "nothing is gone")
    assert "is not gone" in aispool(network, "fleet", "forget", "t1")
    (remote.workspace.configs / "paused").unlink()
    rounds(network, lambda: not list(network.mirror("a").sent_controls.iterdir()), "the host has answered")
    aispool(network, "retry", "--host", "a", "t1")
    rounds(
        network,
        lambda: (again := result(network.mirror("a").workspace, "t1")) and again.state is State.SUCCEEDED,
        "t1 runs at last",
    )
    assert agents.ran() == ["t1 a"]


def test_given_to_another_host_only_when_that_is_harmless(network: Network, agents: Agents) -> None:
    """Nobody knows whether it has started; --force says that it may run twice."""
    remote = waiting_there(network, agents)
    agents.start(network.host("b"))
    (remote.workspace.tasks / "t1.json").unlink()
    rounds(network, names_gone(network, "t1"), "t1 is gone")
    assert "only --force" in aispool(network, "fleet", "reassign", "t1", "--to", "b")
    assert "t1: goes to b" in aispool(network, "fleet", "reassign", "t1", "--to", "b", "--force")
    rounds(network, lambda: result(network.mirror("b").workspace, "t1"), "t1 is over on b")
    assert agents.ran() == ["t1 b"]
    rounds(network, names_gone(network), "nothing is gone from a")


def test_what_turns_up_again_is_as_before(network: Network, agents: Agents) -> None:
    """A file that was moved away and back; nothing was done meanwhile."""
    remote = waiting_there(network, agents)
    aside = remote.home / "t1.json"
    (remote.workspace.tasks / "t1.json").rename(aside)
    rounds(network, names_gone(network, "t1"), "t1 is gone")
    aside.rename(remote.workspace.tasks / "t1.json")
    rounds(network, names_gone(network), "t1 is back")
    (remote.workspace.configs / "paused").unlink()
    rounds(network, lambda: result(network.mirror("a").workspace, "t1"), "t1 is over")
    assert agents.ran() == ["t1 a"]


@pytest.mark.parametrize("sent", [True, False])
def test_a_session_that_was_removed_there(network: Network, agents: Agents, *, sent: bool) -> None:
    """Of a task from here or from there: it is shown with what is known, until a person ends it."""
    remote = network.host("a")
    agents.start(remote)
    command = agents.command(then="sleep 300")
    if sent:
        drop(network, "a", "t1", command=command)
    else:
        task = {"task_id": "t1", "tool": "shell", "command": command}
        (remote.workspace.tasks / "t1.json").write_text(json.dumps(task))
    rounds(network, agents.ran, "t1 runs")
    rounds(network, (network.mirror("a").workspace.sessions / "t1").exists, "it is shown")
    agents.kill("a")
    shutil.rmtree(remote.workspace.sessions / "t1")
    rounds(network, names_gone(network, "t1"), "t1 is gone")
    shown = aispool(network, "ls", "--host", "a")
    assert "it was running when last seen" in shown
    aispool(network, "fleet", "forget", "t1")
    rounds(network, lambda: result(network.mirror("a").workspace, "t1"), "t1 is over")
    assert not (network.mirror("a").workspace.sessions / "t1").exists()
    over = result(network.mirror("a").workspace, "t1")
    assert over is not None
    assert over.state is State.LOST


def test_what_an_agent_has_claimed_is_not_gone(network: Network) -> None:
    """An agent that died between taking a task and starting it: the task is its own."""
    remote = network.host("a")
    drop(network, "a", "t1")
    rounds(network, (remote.workspace.inbox_tasks / "t1.json").exists, "t1 is delivered")
    (remote.workspace.inbox_tasks / "t1.json").rename(remote.workspace.tasks / "t1.json")
    rounds(network, (network.mirror("a").workspace.tasks / "t1.json").exists, "t1 is shown")
    claimed = remote.workspace.agent("dead") / "t1" / "source"
    claimed.mkdir(parents=True)
    (remote.workspace.tasks / "t1.json").rename(claimed / "t1.json")
    for _ in range(4):
        assert collector(network).run_once()
    assert network.state("a").unaccounted == ()
    shutil.rmtree(claimed.parent)
    rounds(network, names_gone(network, "t1"), "t1 is gone")


def test_what_was_given_and_never_seen(network: Network) -> None:
    """Removed before the collector looked again: it is given again, taken for a repetition, and then gone."""
    remote = network.host("a")
    drop(network, "a", "t1")
    rounds(network, (remote.workspace.inbox_tasks / "t1.json").exists, "t1 is delivered")

    def taken_away() -> bool:
        (remote.workspace.inbox_tasks / "t1.json").unlink(missing_ok=True)
        return network.state("a").unaccounted == ("t1",)

    rounds(network, taken_away, "t1 is gone")
    rounds(network, lambda: "gone from a" in aispool(network, "ls", "--host", "a"), "ls says it")
    assert not (remote.workspace.inbox_tasks / "t1.json").exists(), "it is not given again and again"
