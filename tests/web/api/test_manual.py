"""agent/web/API.md: every block of it, run by a shell against a server of its own."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from fastapi.routing import APIRoute
from web.browser import TESTS, Site, e2e, load

from agent.collab.commands import CommandRecord, CommandsRecord
from agent.fleet.layout import Fleet
from agent.fleet.outbox import Note, Parcel
from agent.web.api.app import ROUTERS
from agent.web.context import SCOPES
from spool.files import make_folder
from spool.records import State, Status, utc_now
from spool.task import AcceptedTask
from spool.workspace import Workspace, create

if TYPE_CHECKING:
    from collections.abc import Iterator

MANUAL = TESTS.parent / "agent" / "web" / "API.md"
BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SHELL = """set -euo pipefail
curl() { command curl --fail-with-body --max-time 60 "$@"; }
trap 'echo "failed: line $LINENO: $BASH_COMMAND" >&2' ERR
"""
UNSHOWN = {
    ("POST", "/collab/tuning/undo"),  # there is nothing to undo
}


def session(workspace: Workspace, task_id: str, tool: str, **status: Any) -> Path:
    """Make the session of a task that runs, as an agent leaves it."""
    folder = workspace.sessions / task_id
    make_folder(folder / "attempts" / "001")
    moment = datetime(2026, 11, 20, 12, tzinfo=UTC)
    source = {"source_name": f"{task_id}.json", "submitted_at": moment}
    task = AcceptedTask(task_id=task_id, tool=tool, command="general", source_sha256="0" * 64, **source)
    (folder / "task.json").write_text(task.model_dump_json())
    fields: dict[str, Any] = {
        "task_id": task_id, "tool": tool, "command": "general", "state": State.RUNNING, "reason": "attempt 1",
        "since": moment, "attempt": 1, "agent": "a1", "host": "here",
    }  # fmt: skip
    Status(**(fields | source | status)).write(folder / "status.json")
    return folder


def proposing(workspace: Workspace) -> None:
    """Make a run that waits for the approval of two commands."""
    folder = session(workspace, "proposed", "collab", state=State.WAITING_INPUT, question="may I?")
    make_folder(folder / "collab")
    rows = [
        CommandRecord(
            number=number, role="executor", command=text, sha256=hashlib.sha256(text.encode()).hexdigest(),
            purpose="mend it", decision="ask", reasons=("ask: because",),
        )
        for number, text in enumerate(("systemctl restart nginx", "rm -r /var/cache/old"), 1)
    ]  # fmt: skip
    record = CommandsRecord(task_id="proposed", host="here", commands=tuple(rows))
    record.write(folder / "collab" / "commands.json")
    (folder / "collab" / "report.md").write_text("# It is the disk\n")


def on_its_way(workspace: Workspace) -> None:
    """Make a task that a collector has taken for a host and not delivered yet."""
    (workspace.configs / "hosts.toml").write_text('[[hosts]]\nname = "box"\naddress = "192.0.2.1"\n')
    mirror = Fleet(workspace).mirror("box")
    mirror.make()
    folder = mirror.outbox.tasks / "sent"
    folder.mkdir(parents=True)
    parcel = Parcel(folder)
    parcel.task.write_text(json.dumps({"task_id": "sent", "tool": "shell", "command": "true"}))
    Note(source_name="sent.json", dropped_for="box", accepted_at=utc_now()).write(folder / "note.json")


@pytest.fixture
def site() -> Iterator[Site]:
    """A workspace in which an agent has worked, a model server, and a server that shows it."""
    folder = Path(tempfile.mkdtemp(prefix="aw-", dir="/tmp")).resolve()
    (folder / "home").mkdir()
    env = {"HOME": str(folder / "home"), "PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8"}
    host = e2e.Host(folder, create(folder / "ws"), env)
    host.configure(allowed_paths=[str(folder)])
    site = Site(host)
    scripted = load("aispool_scripted_for_manual", TESTS / "collab" / "server.py")
    with scripted.ScriptedServer() as server:
        server.rule = lambda _call: "domain name system"
        roles = f'[providers.qwen]\nbase_url = "{server.base_url("openai")}"\n'
        (host.ws.configs / "roles.toml").write_text(roles)
        (host.ws.configs / "env" / "collab.env").write_text("QWEN_API_KEY=k-qwen\n")
        (host.ws.configs / "env" / "collab.env").chmod(0o600)
        try:
            host.shell("done", "echo hello; echo again >&2")
            host.put("refused.json", b'{"tool": "nothing", "command": "x"}')
            finished = {"tool": "collab", "command": "general", "parameters": {"prompt": "why?"}}
            host.put("finished.json", json.dumps({"task_id": "finished", **finished}).encode())
            host.drain()
            proposing(host.ws)
            session(host.ws, "asks", "shell", state=State.WAITING_INPUT, question="go on?")
            on_its_way(host.ws)
            site.start()
            yield site
        finally:
            site.stop()
            host.close()
            shutil.rmtree(folder)


def test_every_block_works(site: Site, tmp_path: Path) -> None:
    """Run one after another, as a reader would paste them."""
    refused = next(path.name for path in site.host.ws.rejected.glob("*.json") if "error" not in path.name)
    env = {
        "PATH": f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin",
        "AISPOOL_WORKSPACE": str(site.host.ws.root),
        "URL": f"{site.url}/api/v1",
        "TOKEN": site.token(*SCOPES),
        "DONE": "done",
        "ASKS": "asks",
        "SENT": "sent",
        "PROPOSED": "proposed",
        "FINISHED": "finished",
        "REFUSED": refused,
    }
    blocks = BLOCK.findall(MANUAL.read_text())
    assert len(blocks) == 15
    done = subprocess.run(
        ["bash", "-c", SHELL + "\n".join(blocks)],
        env=env, cwd=tmp_path, capture_output=True, text=True, timeout=110, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:] + done.stdout[-2000:]
    assert "\n304\n" in done.stdout
    assert '"replayed":false' in done.stdout
    assert "domain name system" in done.stdout
    words = {
        path.name: path.read_text().strip() for path in (site.host.ws.sessions / "proposed/approve").iterdir()
    }
    assert words["1"] == hashlib.sha256(b"systemctl restart nginx").hexdigest()
    assert len(words) == 2
    assert words["2"] != words["1"]


def test_every_route_is_shown() -> None:
    """Nothing of the API is missing in the manual."""
    text = MANUAL.read_text().replace("\\\n", " ")
    lines = [line for line in text.splitlines() if "$URL" in line]
    shown = set()
    for line in lines:
        for path in re.findall(r"\$URL(/[^\s\"'|)?]*)", line):
            given = re.search(r"-X (\w+)", line)
            method = given[1] if given else "POST" if re.search(r" (-d|-F|--data-binary) ", line) else "GET"
            shown.add((method, path))
    missing = []
    for route in (route for routes in ROUTERS for route in routes.routes):
        assert isinstance(route, APIRoute)
        pattern = re.compile(re.sub(r"\{path:path\}", r".+", re.sub(r"\{[a-z_]+\}", r"[^/]+", route.path)))
        for method in route.methods or ():
            if (method, route.path) in UNSHOWN:
                continue
            if not any(method == used and pattern.fullmatch(path) for used, path in shown):
                missing.append(f"{method} {route.path}")
    assert missing == []
