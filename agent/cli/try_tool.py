"""`aispool tools try NAME`: one cheap call, to see whether a tool really answers from here.

Where an agent works, it is given a small task, so that its own environment is what is tried. Where none does,
an agent of our own works for that one task in a workspace that is thrown away afterwards, with the tools and
the keys of the real one.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from subprocess import DEVNULL
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final

from agent.cli.place import InputError, Place
from agent.cli.wait import POLL_S, Watch, Watched
from agent.cluster import CLUSTER
from agent.inspect.agents import any_alive
from agent.service.actions import cancel
from agent.service.errors import ServiceError
from agent.tools.credentials import prepared_logins
from spool.names import given_id
from spool.refusal import Refusal
from spool.submit import drop, encode
from spool.task import parse_task
from spool.view import in_session
from spool.workspace import create

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agent.tools.definition import ToolDefinition
    from agent.tools.registry import Registry
    from spool.view import View
    from spool.workspace import Workspace

PROMPT: Final = "Answer with the word ready."
SLACK_S: Final = 15.0
"""What an agent needs beside the tool: to take the task, and to end it at its time limit."""
END_S: Final = 20.0
"""How long a call that is cancelled, and then an agent of our own, have to end."""


def try_tool(place: Place, registry: Registry, tool: ToolDefinition, timeout_s: float) -> dict[str, Any]:
    """Call a tool and return what came of it, as JSON has it.

    Raises:
        InputError: it cannot be tried.
    """
    content = encode(_fields(tool, timeout_s))
    _check(place, registry, content)
    if any_alive(place.workspace):
        return _document(tool, _call(place, content, timeout_s), "agent")
    if prepared_logins(tool.name, place.workspace.configs):
        what = f"{tool.name} has logins of its own, which only an agent hands out"
        raise InputError(f"{what}: start one with `aispool agent`, and try again")
    with _own_agent(place) as own:
        return _document(tool, _call(own, content, timeout_s), "directly")


def _fields(tool: ToolDefinition, timeout_s: float) -> dict[str, Any]:
    fields: dict[str, Any] = {"task_id": given_id(f"try-{tool.name}"), "tool": tool.name, "labels": ["try"]}
    fields |= {"timeout": timeout_s, "priority": "critical"}
    if tool.takes_prompt:
        fields["parameters"] = {"prompt": PROMPT}
    elif tool.name == "shell":
        fields["command"] = "echo ready"
    else:
        raise InputError(
            f"{tool.name} takes commands of its own: `aispool submit -t {tool.name} -c … --wait`"
        )
    return fields | ({"approval": "read-only"} if "read-only" in tool.approval else {})


def _check(place: Place, registry: Registry, content: bytes) -> None:
    parsed = parse_task(content)
    refusal = parsed if isinstance(parsed, Refusal) else None
    if not isinstance(parsed, Refusal):
        refusal = registry.check(parsed[0], place.workspace, place.config)
    if refusal is not None:
        raise InputError(refusal.sentence())


def _call(place: Place, content: bytes, timeout_s: float) -> Watched:
    """Drop the task and wait; what is not over by then, or stands still, is cancelled."""
    workspace = place.workspace
    path = drop(workspace, content, "try")
    watched = Watched(json.loads(content)["task_id"])
    watch = Watch(workspace, [watched])
    give_up_s = time.monotonic() + timeout_s + SLACK_S
    while not list(watch.look(time.monotonic())):
        if stands_still(watched.view) or time.monotonic() >= give_up_s:
            with suppress(ServiceError):  # it ended at this moment, or its file is gone
                cancel(place.desk, watched.task_id, host=place.where)
            path.unlink(missing_ok=True)
            break
        time.sleep(POLL_S)
    return watched


def stands_still(view: View | None) -> bool:
    """Tell whether a call goes on only later, or with a person: it does not work now."""
    if view is None or view.status is None:
        return False
    return view.state == "waiting_input" or view.status.next_attempt_at is not None


@contextmanager
def _own_agent(real: Place) -> Iterator[Place]:
    """Run an agent in a workspace with the tools and keys of the real one; both are gone afterwards."""
    with TemporaryDirectory(prefix="aispool-try-", ignore_cleanup_errors=True) as folder:
        workspace = create(Path(folder) / "workspace")
        (workspace.configs / "env").rmdir()
        (workspace.configs / "env").symlink_to(real.workspace.configs / "env")
        # a cluster's nodes do not see this folder
        launcher = real.config.launcher if real.config.launcher != CLUSTER else "tmux"
        (workspace.configs / "agent.toml").write_text(f'launcher = "{launcher}"\n')
        for name in ("tools.toml", "tmux.conf"):
            if (real.workspace.configs / name).is_file():
                shutil.copyfile(real.workspace.configs / name, workspace.configs / name)
        command = [sys.executable, "-m", "agent", "--workspace", str(workspace.root), "agent"]
        with subprocess.Popen(command, stdin=DEVNULL, stdout=DEVNULL, stderr=DEVNULL) as process:
            try:
                yield Place(str(workspace.root))
            finally:
                _end(workspace, process)


def _end(workspace: Workspace, process: subprocess.Popen[bytes]) -> None:
    """End our agent, once what it was asked to cancel is over."""
    give_up_s = time.monotonic() + END_S
    while process.poll() is None and next(in_session(workspace), None) and time.monotonic() < give_up_s:
        time.sleep(POLL_S)
    process.terminate()
    try:
        process.wait(END_S)
    except subprocess.TimeoutExpired:
        process.kill()


def _document(tool: ToolDefinition, watched: Watched, by: str) -> dict[str, Any]:
    view = watched.view
    result = view.result if view else None
    reason = view.reason if view else "no agent took it"
    if watched.verdict is None and not stands_still(view):
        reason = f"no answer in time; it is {watched.state}: {reason}"
    return {
        "tool": tool.name,
        "works": watched.succeeded,
        "tried_by": by,
        "state": watched.state,
        "outcome": result.outcome if result else None,
        "reason": reason,
        "text": result.output.text if result else "",
        "question": view.status.question if view and view.status else None,
        "duration_s": result.duration_s if result else None,
        "usage": result.usage.model_dump(mode="json") if result else None,
    }
