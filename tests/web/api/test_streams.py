"""Logs and events as streams: taken up where they broke, whatever happened to the file."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import httpx

from agent.client.transport import Events
from agent.web.api.logs import _unfinished
from spool.files import make_folder
from spool.records import Output, Result, State, Status, utc_now
from spool.task import AcceptedTask

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from agent.client.transport import Event
    from agent.web.context import Context
    from spool.workspace import Workspace

ID = "talk"
FOLLOW = {"Accept": "text/event-stream"}
LOG = f"logs/shell-{ID}.log"


def record(workspace: Workspace) -> Path:
    """Make the session of a task that runs, with a log."""
    folder = workspace.sessions / ID
    make_folder(folder / "attempts" / "001")
    now = utc_now()
    source: dict[str, Any] = {"source_name": f"{ID}.json", "source_sha256": "0" * 64, "submitted_at": now}
    task = AcceptedTask(task_id=ID, tool="shell", command="talk", **source)
    (folder / "task.json").write_text(task.model_dump_json())
    Status(
        task_id=ID, tool="shell", command="talk", state=State.RUNNING, reason="it runs", since=now, attempt=1,
        agent="a1", host="here", submitted_at=now, source_name=f"{ID}.json", log=LOG,
    ).write(folder / "status.json")  # fmt: skip
    (workspace.root / LOG).write_bytes(b"")
    return folder


def end(workspace: Workspace) -> None:
    """End it: its folder becomes a result."""
    now = utc_now()
    folder = workspace.sessions / ID
    Result(
        task_id=ID, tool="shell", command="talk", state=State.SUCCEEDED, reason="exit code 0", host="here",
        source_name=f"{ID}.json", submitted_at=now, finished_at=now, output=Output(log=LOG),
    ).write(folder / "result.json")  # fmt: skip
    folder.rename(workspace.results / ID)


def read(api: httpx.Client, stop: Any, **headers: str) -> list[Event]:
    """Return the events of the log up to one that `stop` knows, or to the end."""
    found: list[Event] = []
    with api.stream("GET", f"/api/v1/tasks/{ID}/log/stream", headers=FOLLOW | headers) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        events = Events()
        for line in response.iter_lines():
            event = events.feed(line)
            if event is not None:
                found.append(event)
                if stop(event):
                    break
    return found


def said(events: list[Event]) -> str:
    return "".join(json.loads(event.data)["text"] for event in events if event.name == "output")


def test_a_stream_goes_on_behind_its_last_event(api: httpx.Client, workspace: Workspace) -> None:
    """Cut, rotated, and moved to results/ in between: nothing is missing, nothing comes twice."""
    record(workspace)
    log = workspace.root / LOG
    log.write_text("one\n")
    first = read(api, lambda event: "one" in event.data)
    with log.open("a") as stream:
        stream.write("two\n")
    log.rename(log.with_name(log.name + ".1"))
    log.write_text("three\n")
    end(workspace)
    rest = read(api, lambda event: event.name == "over", **{"Last-Event-ID": str(first[-1].event_id)})
    assert said(first) == "one\n"
    assert said(rest) == "two\nthree\n"
    assert rest[-1].name == "over"
    again = read(api, lambda event: event.name == "over", **{"Last-Event-ID": str(rest[-1].event_id)})
    assert said(again) == ""


def test_a_character_is_never_cut_in_two(api: httpx.Client, workspace: Workspace) -> None:
    record(workspace)
    log = workspace.root / LOG
    text = "ñ€🤝" * 50
    log.write_bytes(text.encode() + b"\xf0\x9f")
    got, offset = "", 0
    while True:
        part = api.get(f"/api/v1/tasks/{ID}/log", params={"offset": offset, "most_bytes": 17}).json()
        if part["next_offset"] == offset:
            break
        got, offset = got + part["text"], part["next_offset"]
    assert got == text
    with log.open("ab") as stream:
        stream.write(b"\xa4\x9d")
    end(workspace)
    assert api.get(f"/api/v1/tasks/{ID}/log", params={"offset": offset}).json()["text"] == "🤝"


def test_bytes_that_are_no_text_do_not_stop_a_stream(api: httpx.Client, workspace: Workspace) -> None:
    record(workspace)
    (workspace.root / LOG).write_bytes(b"a\xff\xfeb\xe2\x82")
    end(workspace)
    events = read(api, lambda event: event.name == "over")
    assert said(events) == "a\ufffd\ufffdb\ufffd"


def test_who_asks_for_no_events_gets_what_there_is(api: httpx.Client, workspace: Workspace) -> None:
    """A program that reads to the end does not hang on a task that goes on."""
    record(workspace)
    (workspace.root / LOG).write_text("so far\n")
    answer = api.get(f"/api/v1/tasks/{ID}/log/stream")
    assert "so far" in answer.text
    assert "event: over" not in answer.text
    assert "event: revision" in api.get("/api/v1/events").text


def test_unfinished_characters_are_counted() -> None:
    whole = "aé€🤝".encode()
    counted = [_unfinished(whole[:length]) for length in range(len(whole) + 1)]
    assert counted == [
        0,
        0,
        1,
        0,
        1,
        2,
        0,
        1,
        2,
        3,
        0,
    ]
    assert _unfinished(b"\xff") == 0


def test_a_change_on_disk_is_told(api: httpx.Client, workspace: Workspace) -> None:
    """Who follows hears of a file that a person dropped by hand."""
    heard = threading.Event()
    ready = threading.Event()

    def follow() -> None:
        with api.stream("GET", "/api/v1/events", headers=FOLLOW) as response:
            events = Events()
            for line in response.iter_lines():
                event = events.feed(line)
                if event is None:
                    continue
                if event.name == "revision":
                    ready.set()
                elif event.name == "changed":
                    heard.set()
                    return

    follower = threading.Thread(target=follow)
    follower.start()
    assert ready.wait(20)
    (workspace.tasks / "by-hand.json").write_text('{"tool": "shell", "command": "date"}')
    assert heard.wait(20)
    follower.join()


def test_a_stream_ends_with_its_token(
    context: Context, client_of: Callable[..., httpx.Client], workspace: Workspace
) -> None:
    """A token that is revoked sees nothing more, also where it was let in before."""
    record(workspace)
    secret, token = context.access.tokens.create("guest", ("read",), by="ada")
    log = workspace.root / LOG
    log.write_bytes(b"before\n")
    heard: list[str] = []
    with client_of(secret).stream("GET", f"/api/v1/tasks/{ID}/log/stream", headers=FOLLOW) as response:
        for line in response.iter_lines():
            heard.append(line)
            if "before" in line:
                context.access.tokens.revoke(token.token_id)
                log.write_bytes(b"before\nsecret\n")
    assert any("before" in line for line in heard)
    assert not any("secret" in line or "event: over" in line for line in heard)


def test_who_waits_is_in_nobody_s_way(
    context: Context, api: httpx.Client, client_of: Callable[..., httpx.Client], token: Callable[..., str]
) -> None:
    """More of them than the server has threads: all else goes on, and they hear of the end."""
    many = 60
    task_id = api.post("/api/v1/tasks", json={"tool": "shell", "command": "date"}).json()["task_id"]
    reader = client_of(token("read"), limits=httpx.Limits(max_connections=many), trust_env=False)

    def wait(_number: int) -> str:
        answer = reader.get(f"/api/v1/tasks/{task_id}?wait_s=60", timeout=120)
        return str(answer.json()["state"])

    with ThreadPoolExecutor(many) as pool:
        waiting = pool.map(wait, range(many))
        while context.live._waiting < 40:
            api.get("/api/v1/openapi.json")
        assert api.post(f"/api/v1/tasks/{task_id}/cancel", timeout=120).status_code == 200
        assert set(waiting) == {"cancelled"}
