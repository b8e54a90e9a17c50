"""A role played by an AI tool: real agents, real files, a scripted tool."""

from __future__ import annotations

import importlib.util
import json
import signal
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from agent.collab.providers.base import Message, ProviderError, Request
from agent.collab.providers.caller import Choice, GaveUpError, Patience
from agent.collab.providers.definition import ProviderDefinition
from agent.collab.providers.registry import open_providers
from agent.collab.providers.tool import ToolProvider
from spool.results import read_task
from spool.workspace import Workspace, create

if TYPE_CHECKING:
    from types import ModuleType


def _load(name: str, path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


e2e = _load("aispool_e2e_for_collab", Path(__file__).parents[2] / "e2e" / "conftest.py")
host, folder = e2e.host, e2e.folder

THINKER = """#!/bin/sh
echo "$AISPOOL_TASK_ID" >>"@FOLDER@/asked"
printf '%s' "$2" >"@FOLDER@/prompt"
[ -e "@FOLDER@/broken" ] && { rm "@FOLDER@/broken"; echo "HTTP 503: overloaded" >&2; exit 1; }
[ -e "@FOLDER@/limited" ] && { echo "HTTP 401: invalid api key" >&2; exit 1; }
while [ -e "@FOLDER@/slow" ]; do sleep 0.05; done
cat "@FOLDER@/answer"
"""
TOOL = """
[tools.thinker]
path = "@FOLDER@/bin/thinker"
argv = ["$executable", ["-m", "$model"], "$approval", "$prompt"]
[tools.thinker.approval]
read-only = ["--look"]
"""


@pytest.fixture
def thinker(host: Any) -> Any:
    """A host whose agent has an AI tool."""
    host.program("thinker", THINKER.replace("@FOLDER@", str(host.folder)))
    host.tools(TOOL.replace("@FOLDER@", str(host.folder)))
    (host.folder / "answer").write_text("It is the disk.\n")
    return host


def tool_of(workspace: Workspace, **options: Any) -> ToolProvider:
    base = {"name": "thinking", "kind": "tool", "tool": "thinker", "timeout_s": 60.0}
    definition = ProviderDefinition.model_validate({**base, **options})
    return ToolProvider(definition, workspace, sleep=lambda _s: time.sleep(0.02))


def question(**options: Any) -> Request:
    return Request((Message("system", "You are careful."), Message("user", "Why is it slow?")), **options)


def asked(host: Any) -> list[str]:
    path = host.folder / "asked"
    return path.read_text().split() if path.exists() else []


def is_seen_to_run(host: Any) -> bool:
    statuses = host.ws.sessions.glob("*/status.json")
    return any(json.loads(path.read_text())["state"] == "running" for path in statuses)


def test_a_tool_answers(thinker: Any) -> None:
    """A task of the tool, which may look and change nothing; its result is the reply."""
    thinker.start()
    reply = tool_of(thinker.ws).complete(question(key="run-1.analyst"))
    assert (reply.text.strip(), reply.provider, reply.model) == ("It is the disk.", "thinking", "thinker")
    assert (thinker.folder / "prompt").read_text() == "You are careful.\n\nWhy is it slow?"
    (task_id,) = asked(thinker)
    assert task_id.startswith("run-1.analyst.")
    task = read_task(thinker.ws.results / task_id)
    assert task is not None
    assert (task.approval, task.idempotent, task.timeout) == ("read-only", True, 60.0)


def test_the_same_question_is_asked_once(thinker: Any) -> None:
    """Whoever asks again finds the result; another question is another task."""
    thinker.start()
    one = tool_of(thinker.ws)
    for _ in range(2):
        one.complete(question(key="run-1.analyst"))
    one.complete(question(key="run-1.innovator"))
    assert len(asked(thinker)) == 2


def test_a_task_that_runs_already_is_waited_for(thinker: Any) -> None:
    """As after a kill of the one who asked."""
    (thinker.folder / "slow").touch()
    thinker.start()
    replies: list[Any] = []
    first = threading.Thread(target=lambda: replies.append(tool_of(thinker.ws).complete(question(key="r.a"))))
    first.start()
    thinker.wait(lambda: asked(thinker), "the tool runs")
    second = threading.Thread(
        target=lambda: replies.append(tool_of(thinker.ws).complete(question(key="r.a")))
    )
    second.start()
    (thinker.folder / "slow").unlink()
    first.join()
    second.join()
    assert [reply.text.strip() for reply in replies] == ["It is the disk."] * 2
    assert len(asked(thinker)) == 1


def test_a_failed_task_is_tried_again_under_another_id(thinker: Any, caller: Any) -> None:
    """The kind of failure is the tool's own."""
    (thinker.folder / "broken").touch()
    thinker.start()
    answered = caller(tool_of(thinker.ws)).ask([Choice("thinking")], question(key="r.a"))
    assert answered.reply.text.strip() == "It is the disk."
    assert [call.error for call in answered.calls] == ["server", None]
    first, second = asked(thinker)
    assert second == f"{first}.2"


def test_a_tool_without_a_key_is_not_tried_again(thinker: Any, caller: Any) -> None:
    """Its failure is `auth`, and the result is named."""
    (thinker.folder / "limited").touch()
    thinker.start()
    with pytest.raises(GaveUpError, match=r"aispool show r\.a\.") as caught:
        caller(tool_of(thinker.ws)).ask([Choice("thinking")], question(key="r.a"))
    assert (caught.value.kind, len(asked(thinker))) == ("auth", 1)


def test_a_tool_that_takes_too_long_is_ended(thinker: Any) -> None:
    """The task is cancelled, and how far it came is said."""
    (thinker.folder / "slow").touch()
    thinker.start()
    # the time is up as soon as the tool is seen to run, however slow this machine is
    one = replace(tool_of(thinker.ws), clock=lambda: 1e9 if is_seen_to_run(thinker) else 0.0)
    with pytest.raises(ProviderError, match="took too long and is cancelled; it was running") as caught:
        one.complete(question(key="r.a"))
    assert caught.value.kind == "timeout"
    (task_id,) = asked(thinker)
    assert thinker.result(task_id)["state"] == "cancelled"


def test_without_an_agent_the_task_is_taken_back(thinker: Any) -> None:
    """Nothing stays in the line that nobody waits for."""
    with pytest.raises(ProviderError, match="no agent has looked at it yet") as caught:
        tool_of(thinker.ws).complete(question(key="r.a", timeout_s=0.2))
    assert caught.value.kind == "timeout"
    assert not list(thinker.ws.tasks.glob("*.json"))


def test_a_task_that_is_refused_is_told(thinker: Any) -> None:
    """A tool that nobody defined, in the agent's own words; once it is defined, it is asked."""
    thinker.start()
    one = tool_of(thinker.ws, tool="thinkre")
    with pytest.raises(ProviderError, match="its task was refused: there is no tool 'thinkre'") as caught:
        one.complete(question(key="r.a"))
    assert caught.value.kind == "unavailable"
    thinker.tools(
        (TOOL + TOOL.replace("thinker]", "thinkre]").replace("thinker.", "thinkre.")).replace(
            "@FOLDER@", str(thinker.folder)
        )
    )
    thinker.agents[0].signal(signal.SIGHUP)
    thinker.wait(lambda: "options reloaded" in thinker.agent_log(), "the agent knows the tool")
    assert one.complete(question(key="r.a")).text.strip() == "It is the disk."


def test_a_structured_answer(thinker: Any, caller: Any, verdict: Any) -> None:
    """The schema is told in words, and the answer checked; the repair is a task of its own."""
    (thinker.folder / "answer").write_text('Sure:\n```json\n{"safe": true}\n```\n')
    thinker.start()
    answered = caller(tool_of(thinker.ws)).ask([Choice("thinking")], question(key="r.a", schema=verdict))
    assert answered.reply.parsed == verdict(safe=True)
    (thinker.folder / "answer").write_text("I would rather not.")
    with pytest.raises(GaveUpError, match="not the second time either"):
        caller(tool_of(thinker.ws)).ask([Choice("thinking")], question(key="r.b", schema=verdict))
    assert len(asked(thinker)) == 3
    assert "r.b.repair." in asked(thinker)[2]


def test_a_tool_on_another_host(thinker: Any, workspace: Workspace) -> None:
    """The task goes into the host's mirror on the collector; its result is looked for there."""
    mirror = workspace.root / "fleet" / "gpu1"
    mirror.parent.mkdir()
    mirror.symlink_to(thinker.ws.root)  # a collector that is always up to date
    thinker.start()
    reply = tool_of(workspace, host="gpu1").complete(question(key="r.a"))
    assert reply.text.strip() == "It is the disk."
    assert len(asked(thinker)) == 1


def test_a_tool_on_any_host(thinker: Any, workspace: Workspace) -> None:
    """The collector chooses; the result is found wherever it turns up."""
    line = create(workspace.root / "fleet" / "any")
    create(workspace.root / "fleet" / "cpu1")
    (workspace.root / "fleet" / "gpu1").symlink_to(thinker.ws.root)
    thinker.start()

    def choose() -> None:
        (task,) = thinker.wait(lambda: list(line.tasks.glob("*.json")), "a task for any host")
        task.rename(thinker.ws.tasks / task.name)

    collector = threading.Thread(target=choose)
    collector.start()
    one = tool_of(workspace, host="any")
    assert one.complete(question(key="r.a")).text.strip() == "It is the disk."
    collector.join()
    assert one.complete(question(key="r.a")).text.strip() == "It is the disk."
    assert len(asked(thinker)) == 1


def test_a_host_that_nobody_knows(workspace: Workspace) -> None:
    """What makes it known comes with it."""
    with pytest.raises(ProviderError, match=r"no host gpu9 here .* `aispool fleet add`") as caught:
        tool_of(workspace, host="gpu9").complete(question(key="r.a"))
    assert caught.value.kind == "unavailable"


def test_a_spool_that_cannot_be_written(workspace: Workspace) -> None:
    """It is no bug of ours, and another provider may answer."""
    workspace.tasks.rename(workspace.root / "gone")
    with pytest.raises(ProviderError, match="No such file") as caught:
        tool_of(workspace).complete(question(key="r.a"))
    assert caught.value.kind == "unavailable"


def test_a_tool_as_a_provider_of_roles_toml(thinker: Any) -> None:
    """Beside the others, with its model, and a family by its name."""
    table = '[providers.thinking]\nkind = "tool"\ntool = "thinker"\nmodel = "claude-9"\ntimeout_s = 60.0'
    (thinker.ws.configs / "roles.toml").write_text(table)
    thinker.start()
    with open_providers(thinker.ws, environment={}) as providers:
        assert providers.family("thinking") == "claude"
        assert providers.explain("thinking") == "thinking: ready, the tool thinker on this host"
        asking = providers.caller
        asking.sleep = lambda _s: None
        answered = asking.ask(providers.choices(["thinking"]), question(key="r.a"), Patience(tries=1))
    assert (
        json.loads((thinker.ws.results / asked(thinker)[0] / "result.json").read_text())["tool"] == "thinker"
    )
    assert answered.reply.family == "claude"
