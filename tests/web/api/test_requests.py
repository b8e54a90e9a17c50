"""Single requests: what is refused and how, what is not sent twice, and what no path trick reaches."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest

from agent.audit import entries
from agent.web.api.app import make
from agent.web.api.description import describe
from spool.view import waiting

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx

    from agent.web.context import Context
    from spool.workspace import Workspace

TASK = {"tool": "shell", "command": "echo hello"}


def submit(api: httpx.Client, **fields: Any) -> str:
    answer = api.post("/api/v1/tasks", json={**TASK, **fields})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["task_id"])


def test_the_bytes_are_those_that_were_sent(api: httpx.Client, workspace: Workspace) -> None:
    """A task with an id of its own is dropped byte by byte."""
    content = b'{"task_id": "mine",\n   "tool": "shell", "command": "date" }\n'
    answer = api.post("/api/v1/tasks", content=content, headers={"Content-Type": "application/json"})
    assert answer.headers["location"] == "/api/v1/tasks/mine"
    (view,) = waiting(workspace)
    assert view.path.read_bytes() == content
    assert api.get("/api/v1/tasks/mine/source").content == content


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        (b'{"tool": "shell"', 422, "ends in the middle"),
        (b'{"tool": "shell", "tool": "x", "command": "y"}', 422, "twice"),
        (b'{"tool": "shell", "command": 5}', 422, "command"),
        (b'{"tool": "shell", "command": NaN}', 422, "NaN"),
        (b"[]", 422, "object"),
        (b"\xff\xfe", 422, ""),
        (b"", 422, ""),
        (b'{"tool": "nothing", "command": "x"}', 409, "there is no tool"),
        (b'{"tool": "shell", "command": "x", "parameters": {"cwd": "/etc"}}', 409, "allowed_paths"),
    ],
)
def test_what_is_no_task_is_refused_with_why(
    api: httpx.Client, workspace: Workspace, body: bytes, status: int, said: str
) -> None:
    for path in ("/api/v1/tasks", "/api/v1/check"):
        answer = api.post(path, content=body, headers={"Content-Type": "application/json"})
        problem = answer.json()
        assert (answer.status_code, problem["status"]) == (status, status), problem
        assert answer.headers["content-type"] == "application/problem+json"
        assert said in problem["detail"]
        assert problem["instance"] == path
    assert list(waiting(workspace)) == []


def test_the_framework_s_refusals_are_problems_too(api: httpx.Client) -> None:
    cases = [
        (api.get("/api/v1/nothing"), 404, {}),
        (api.get("/api/v1/tasks/a%0Ab/x"), 404, {}),
        (api.get("/api/v1/tasks/"), 404, {}),
        (api.delete("/api/v1/tasks"), 405, {"allow": "GET, POST"}),
        (api.post("/api/v1/tasks/x/source"), 405, {"allow": "GET, PUT"}),
        (api.patch("/api/v1/collab/memory/x"), 405, {"allow": "DELETE, GET"}),
        (api.get("/api/v1/tasks?limit=0"), 422, {}),
        (api.get("/api/v1/tasks?limit=true"), 422, {}),
        (api.get("/api/v1/tasks?limit=+5"), 422, {}),
        (api.get("/api/v1/tasks?state=nothing"), 422, {}),
        (api.get("/api/v1/tasks?stat=running"), 422, {}),
        (api.get("/api/v1/tasks?since=yesterday"), 422, {}),
        (api.get("/api/v1/tasks?cursor=nothing"), 404, {}),
        (api.get("/api/v1/tools?versions=1"), 422, {}),
        (api.post("/api/v1/tasks", content=b"x", headers={"Content-Type": "text/plain"}), 415, {}),
        (api.post("/api/v1/pause", json={"tol": "shell"}), 422, {}),
        (api.post("/api/v1/pause", json={"tool": "shell", "group": "g"}), 422, {}),
        (api.post("/api/v1/pause", content=b"{", headers={"Content-Type": "application/json"}), 422, {}),
        (api.put("/api/v1/tasks/x/source", json=TASK), 422, {}),
    ]
    for answer, status, headers in cases:
        where = f"{answer.request.method} {answer.request.url}"
        assert answer.status_code == status, where
        assert answer.headers["content-type"] == "application/problem+json", where
        problem = answer.json()
        assert problem["status"] == status
        assert problem["detail"]
        for name, value in headers.items():
            assert answer.headers[name] == value, where
    assert cases[6][0].json()["errors"][0]["where"] == "query.limit"


def test_a_key_makes_one_task(api: httpx.Client, workspace: Workspace) -> None:
    key = {"Idempotency-Key": "night-1"}
    first = api.post("/api/v1/tasks", json=TASK, headers=key)
    second = api.post("/api/v1/tasks", json=TASK, headers=key)
    other = api.post("/api/v1/tasks", json={**TASK, "command": "date"}, headers=key)
    assert [each.status_code for each in (first, second, other)] == [201, 200, 409]
    assert first.json()["task_id"] == second.json()["task_id"]
    assert (first.json()["replayed"], second.json()["replayed"]) == (False, True)
    assert len(list(waiting(workspace))) == 1


def test_what_is_known_is_not_sent_again(api: httpx.Client) -> None:
    task_id = submit(api)
    path = f"/api/v1/tasks/{task_id}"
    tag = api.get(path).headers["etag"]
    again = api.get(path, headers={"If-None-Match": tag})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["etag"] == tag
    api.post(f"{path}/hold")
    changed = api.get(path, headers={"If-None-Match": tag})
    assert changed.status_code == 200
    assert changed.headers["etag"] != tag


def test_an_edit_takes_what_was_read(api: httpx.Client) -> None:
    task_id = submit(api)
    path = f"/api/v1/tasks/{task_id}/source"
    read = api.get(path)
    headers = {"If-Match": read.headers["etag"], "Content-Type": "application/json"}
    edited = read.content.replace(b"hello", b"good morning")
    assert api.put(path, content=edited, headers=headers).status_code == 200
    assert api.get(path).content == edited
    late = api.put(path, content=read.content, headers=headers)
    assert late.status_code == 412
    assert "get it again" in late.json()["detail"]
    assert api.get(path).content == edited


def test_an_edit_takes_the_scope_that_starts_commands(
    api: httpx.Client, client_of: Callable[..., httpx.Client], token: Callable[..., str]
) -> None:
    """What it says is run."""
    task_id = submit(api)
    path = f"/api/v1/tasks/{task_id}/source"
    read = api.get(path)
    headers = {"If-Match": read.headers["etag"], "Content-Type": "application/json"}
    edited = read.content.replace(b"hello", b"good morning")
    for scope, lacks in (("operate", "submit"), ("submit", "operate")):
        refused = client_of(token("read", scope)).put(path, content=edited, headers=headers)
        assert (refused.status_code, refused.json()["fields"]) == (403, {"scope": lacks})
    assert api.get(path).content == read.content
    both = client_of(token("read", "submit", "operate"))
    assert both.put(path, content=edited, headers=headers).status_code == 200


def test_files_travel_and_come_back_as_bytes(api: httpx.Client) -> None:
    """A file is a download, whatever it holds: nothing of it runs in a browser."""
    parts = [
        ("task", (None, json.dumps(TASK), "application/json")),
        ("files", ("page.html", b"<script>1</script>")),
    ]
    task_id = api.post("/api/v1/tasks", files=parts).json()["task_id"]
    listed = [each["path"] for each in api.get(f"/api/v1/tasks/{task_id}/files").json()["files"]]
    path = next(each for each in listed if each.endswith("page.html"))
    answer = api.get(f"/api/v1/tasks/{task_id}/files/{path}")
    assert answer.content == b"<script>1</script>"
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["content-disposition"].startswith("attachment")
    assert "sandbox" in answer.headers["content-security-policy"]
    tag = {"If-None-Match": answer.headers["etag"]}
    assert api.get(f"/api/v1/tasks/{task_id}/files/{path}", headers=tag).status_code == 304


@pytest.mark.parametrize("name", ["../x", "a/b", "..", ".", "", "a\nb", "x" * 300])
def test_a_file_s_name_leads_nowhere(api: httpx.Client, workspace: Workspace, name: str) -> None:
    head = b'--x\r\nContent-Disposition: form-data; name="task"\r\n\r\n{"tool": "shell", "command": "x"}\r\n'
    file = f'--x\r\nContent-Disposition: form-data; name="files"; filename="{name}"\r\n\r\nhi\r\n--x--\r\n'
    kind = {"Content-Type": "multipart/form-data; boundary=x"}
    answer = api.post("/api/v1/tasks", content=head + file.encode(), headers=kind)
    assert 400 <= answer.status_code < 500, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert list(waiting(workspace)) == []


def test_no_path_trick_reaches_anything_else(
    api: httpx.Client, workspace: Workspace, context: Context
) -> None:
    """Neither dots, nor links, nor names of other folders: what is not the task's stays where it is."""
    secret, _ = context.access.tokens.create("hidden", ["read"], by="ada")
    (workspace.configs / "env" / "shell.env").write_text("KEY=secret\n")
    folder = workspace.results / "trap"
    folder.mkdir()
    (folder / "task.json").write_text("{}")
    (folder / "passwd").symlink_to("/etc/passwd")
    (folder / "configs").symlink_to(workspace.configs)
    os.link(workspace.configs / "env" / "shell.env", folder / "linked")
    paths = [
        "../../configs/env/shell.env", "..%2f..%2fconfigs%2fenv%2fshell.env",
        "%2e%2e/%2e%2e/configs/agent.toml",
        "passwd", "configs/env/shell.env", "linked", "/etc/passwd", "%2fetc%2fpasswd", "task.json%00.txt",
        ".", "..", "attempts", "%ff",
    ]  # fmt: skip
    port = api.base_url.port
    for path in paths:
        for task_id in ("trap", "..", "%2e%2e", "trap%2f..%2f..%2fconfigs"):
            url = f"http://127.0.0.1:{port}/api/v1/tasks/{task_id}/files/{path}"
            answer = api.get(url)
            assert answer.status_code in {400, 404, 405, 409, 422}, (task_id, path, answer.text)
            assert "root:" not in answer.text
            assert "KEY=" not in answer.text
            assert secret not in answer.text
    for host in ("..", "../..", ".raw", "%2e%2e"):
        assert api.get("/api/v1/tasks/trap", params={"host": host}).status_code == 404


def test_a_rejected_file_says_why(api: httpx.Client, workspace: Workspace) -> None:
    (workspace.rejected / "bad.json").write_text("{")
    (workspace.rejected / "bad.json.error.json").write_text('{"what": "cut off", "remedy": "copy it again"}')
    (found,) = api.get("/api/v1/rejected").json()["rejected"]
    assert found["error"]["what"] == "cut off"
    assert api.get("/api/v1/rejected/bad.json").json() == found
    assert api.get("/api/v1/rejected/other.json").status_code == 404


def test_the_next_page_is_linked(api: httpx.Client, context: Context) -> None:
    for number in range(3):
        submit(api, task_id=f"t{number}")
    context.index.refresh()
    first = api.get("/api/v1/tasks?limit=2&sort=task_id&order=asc&tool=shell")
    link = first.headers["link"]
    assert link.endswith('; rel="next"')
    second = api.get(link[1 : link.index(">")])
    assert [row["task_id"] for row in second.json()["tasks"]] == ["t2"]
    assert "link" not in second.headers


def test_who_asked_is_in_the_audit_log(api: httpx.Client, workspace: Workspace) -> None:
    task_id = submit(api)
    for path, body in (
        (f"tasks/{task_id}/hold", None), (f"tasks/{task_id}/release", None), ("pause", {"tool": "shell"}),
        ("resume", {"tool": "shell"}), (f"tasks/{task_id}/cancel", None),
    ):  # fmt: skip
        assert api.post(f"/api/v1/{path}", json=body).status_code == 200, path
    found = [each.event for each in entries(workspace) if each.who == "token:t1"]
    assert found == ["submit", "hold", "release", "pause", "unpause", "cancel"]


def test_cleaning_up_is_in_the_audit_log(api: httpx.Client, workspace: Workspace) -> None:
    assert api.post("/api/v1/clean?rejected_days=3").status_code == 200
    found = [each for each in entries(workspace) if each.event == "clean"]
    assert [(each.who, each.details["rejected_days"]) for each in found] == [("token:t1", 3)]


def test_each_example_of_the_description_is_valid(context: Context) -> None:
    """OpenAPI 3.1; every operation is explained, and every example fits its schema."""
    document = describe(make(context))
    assert document["openapi"] == "3.1.0"
    store = {"components": document["components"]}
    checked = 0
    for name, schema in document["components"]["schemas"].items():
        for example in schema.get("examples", ()):
            jsonschema.Draft202012Validator({"$ref": f"#/components/schemas/{name}", **store}).validate(
                example
            )
            checked += 1
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            assert operation["summary"], (method, path)
            assert operation["description"], (method, path)
            assert {"401", "403", "422"} <= operation["responses"].keys(), (method, path)
            for parameter in operation.get("parameters", ()):
                for example in parameter["schema"].get("examples", ()):
                    jsonschema.Draft202012Validator({**parameter["schema"], **store}).validate(example)
                    checked += 1
    assert checked > 60


def test_only_a_known_scope_sees_the_description(client_of: Callable[..., httpx.Client]) -> None:
    assert client_of().get("/api/v1/openapi.json").status_code == 401
