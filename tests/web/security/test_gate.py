"""Who gets in, from where, and what comes with every answer."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING, Any

import pytest
from starlette.datastructures import Headers

from agent.audit import entries
from agent.web.app import build
from agent.web.context import Context, Settings
from agent.web.security import gate
from agent.web.security.attempts import FAILURES
from agent.web.security.hosts import UnknownHostError, origin_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import httpx

    from spool.workspace import Workspace

TASK = {"tool": "shell", "command": "date"}


@pytest.fixture
def browser(client_of: Callable[..., httpx.Client], context: Context) -> httpx.Client:
    """A client with a session's cookie, as a browser has it after the printed link."""
    client = client_of()
    answer = client.get("/login", params={"key": context.access.links.create("ada"), "next": "/tasks"})
    assert answer.status_code == 303
    assert answer.headers["location"] == "/tasks"
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "samesite=strict" in cookie.lower()
    assert "secure" not in cookie.lower()
    name, _, value = cookie.partition(";")[0].partition("=")
    client.headers["Cookie"] = f"{name}={value}"
    return client


def test_nobody_gets_in_without_a_token(client_of: Callable[..., httpx.Client]) -> None:
    client = client_of()
    for path in ("/api/v1/tasks", "/api/v1/openapi.json", "/api/v1/me", "/api/v1/nothing"):
        answer = client.get(path)
        assert answer.status_code == 401
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.headers["www-authenticate"].startswith("Bearer")
    assert client.get("/api/v1/me", headers={"Authorization": "Basic YTpi"}).status_code == 401
    page = client.get("/tasks?x=1")
    assert (page.status_code, page.headers["location"]) == (303, "/login?next=/tasks%3Fx%3D1")


def test_each_scope_opens_what_it_is_for(
    client_of: Callable[..., httpx.Client], token: Callable[..., str]
) -> None:
    """A scope contains no other: approving is nobody's who only reads, submits or operates."""
    asked = {
        "read": ("GET", "/api/v1/tasks", None),
        "submit": ("POST", "/api/v1/check", TASK),
        "operate": ("POST", "/api/v1/tasks/nobody/cancel", None),
        "approve": ("POST", "/api/v1/collab/runs/nobody/commands/1/approve", {"sha256": "0" * 64}),
    }
    for own in asked:
        client = client_of(token(own))
        for scope, (method, path, body) in asked.items():
            answer = client.request(method, path, json=body)
            if scope == own:
                assert answer.status_code in {200, 404}, (own, scope)
            else:
                assert answer.status_code == 403, (own, scope)
                assert f"--scope {scope}" in answer.json()["detail"]


def test_a_host_header_must_name_us(api: httpx.Client) -> None:
    """DNS rebinding: a page of evil.example whose name answers with 127.0.0.1 gets nothing."""
    for host in ("evil.example", "evil.example:8377", "127.0.0.1.evil.example", "[::1].evil.example", ""):
        answer = api.get("/api/v1/me", headers={"Host": host})
        assert answer.status_code in {400, 421}, host
        assert "token:" not in answer.text
    for host in ("localhost:9000", "127.0.0.1", "[::1]:8377", "LOCALHOST"):
        assert api.get("/api/v1/me", headers={"Host": host}).status_code == 200, host


def test_forwarded_headers_are_nobodys_without_a_proxy(api: httpx.Client) -> None:
    headers = {"X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "https", "X-Forwarded-For": "1.2.3.4"}
    answer = api.get("/api/v1/me", headers=headers)
    assert answer.status_code == 200
    assert "strict-transport-security" not in answer.headers


def test_what_changes_something_must_come_from_our_page(browser: httpx.Client, served: str) -> None:
    """CSRF: a cookie alone is not enough, neither is another origin, nor another port of this machine."""
    csrf = browser.get("/api/v1/me").json()["csrf"]
    cancel = "/api/v1/tasks/nobody/cancel"
    assert browser.post(cancel).status_code == 403
    for origin in ("http://evil.example", "null", "http://127.0.0.1:1", served.replace("http", "https")):
        answer = browser.post(cancel, headers={"Origin": origin, "X-CSRF-Token": csrf})
        assert answer.status_code == 403, origin
    assert browser.post(cancel, headers={"Origin": served}).status_code == 403
    assert browser.post(cancel, headers={"Origin": served, "X-CSRF-Token": "0" * 64}).status_code == 403
    assert browser.post(cancel, headers={"Origin": served, "X-CSRF-Token": csrf}).status_code == 404


def test_logging_out_needs_the_page_too(browser: httpx.Client, served: str) -> None:
    csrf = browser.get("/api/v1/me").json()["csrf"]
    assert browser.post("/logout", data={"csrf": csrf}).status_code == 403
    assert browser.post("/logout", data={"csrf": "x"}, headers={"Origin": served}).status_code == 403
    assert browser.get("/api/v1/me").status_code == 200
    assert browser.post("/logout", data={"csrf": csrf}, headers={"Origin": served}).status_code == 303
    assert browser.get("/api/v1/me").status_code == 401


def test_too_many_logins_must_wait(
    client_of: Callable[..., httpx.Client], served: str, api: httpx.Client
) -> None:
    """Who failed so often stands in the audit log, once."""
    client = client_of()
    own = {"Origin": served}
    for _ in range(FAILURES):
        assert client.post("/login", data={"token": "ais_wrong"}, headers=own).status_code == 401
    answer = client.post("/login", data={"token": "ais_wrong"}, headers=own)
    assert answer.status_code == 429
    assert 0 < int(answer.headers["retry-after"]) <= 60
    again = client.get("/login?key=wrong")
    assert again.status_code == 429
    assert f"try again in {again.headers['retry-after']} s" in again.text  # a page: people read it
    assert api.get("/api/v1/me").status_code == 200
    (refused,) = api.get("/api/v1/audit", params={"event": "login-refused"}).json()["entries"]
    assert (refused["who"], refused["details"]["by"]) == ("nobody", "token")


@pytest.mark.parametrize("kind", ["image", "iframe", "empty"])
def test_another_site_cannot_use_up_the_tries(
    client_of: Callable[..., httpx.Client], context: Context, kind: str
) -> None:
    """A page that is open elsewhere asks for pictures of ours; nobody may be kept from logging in by it."""
    client = client_of()
    foreign = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Dest": kind}
    for _ in range(FAILURES + 1):
        assert client.get("/login?key=wrong", headers=foreign).status_code == 200
    key = context.access.links.create("ada")
    assert client.get("/login", params={"key": key}, headers=foreign).status_code == 200
    opened = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Dest": "document"}
    assert client.get("/login", params={"key": key}, headers=opened).status_code == 303


def test_a_login_leads_nowhere_else(client_of: Callable[..., httpx.Client], context: Context) -> None:
    client = client_of()
    for target in (
        "//evil.example",
        "https://evil.example",
        "/\\evil.example",
        "javascript:alert(1)",
        "/\n/x",
    ):
        key = context.access.links.create("ada")
        answer = client.get("/login", params={"key": key, "next": target})
        assert answer.headers["location"] == "/", target


def test_the_login_page_escapes_what_it_is_given(client_of: Callable[..., httpx.Client]) -> None:
    answer = client_of().get("/login", params={"next": '/"><script>alert(1)</script>'})
    assert "<script>alert" not in answer.text


def test_every_answer_has_its_headers(api: httpx.Client, client_of: Callable[..., httpx.Client]) -> None:
    for answer in (api.get("/api/v1/me"), client_of().get("/login"), client_of().get("/api/v1/me")):
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["x-frame-options"] == "DENY"
        assert answer.headers["referrer-policy"] == "same-origin"
        assert "server" not in answer.headers
    page = client_of().get("/login").headers["content-security-policy"]
    assert "frame-ancestors 'none'" in page
    script = next(part for part in page.split("; ") if part.startswith("script-src"))
    assert "unsafe-inline" not in script
    assert "default-src 'none'" in api.get("/api/v1/me").headers["content-security-policy"]


def test_logins_and_actions_are_in_the_audit_log(
    browser: httpx.Client, api: httpx.Client, workspace: Workspace
) -> None:
    del browser
    task_id = api.post("/api/v1/tasks", json=TASK).json()["task_id"]
    api.post(f"/api/v1/tasks/{task_id}/hold")
    found = [(each.event, each.who, each.task_id) for each in entries(workspace)]
    assert ("login", "ada", None) in found
    assert ("submit", "token:t1", task_id) in found
    assert ("hold", "token:t1", task_id) in found


def test_a_large_body_is_refused_before_it_is_read(api: httpx.Client, served: str) -> None:
    port = int(served.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        head = "POST /api/v1/tasks HTTP/1.1\r\nHost: localhost\r\nContent-Length: 999999999999\r\n"
        connection.sendall(f"{head}Authorization: {api.headers['authorization']}\r\n\r\n".encode())
        assert b" 413 " in connection.recv(4096).partition(b"\r\n")[0]


def test_a_body_without_a_length_is_counted(api: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sent in chunks, it is cut off where it becomes too large: as a task, as a form, as any other body."""
    monkeypatch.setattr(gate, "MAX_BODY_BYTES", 1000)
    json, form = "application/json", "multipart/form-data; boundary=x"
    for path, kind in (("tasks", json), ("tasks", form), ("pause", json)):
        answer = api.post(f"/api/v1/{path}", content=a_form(100), headers={"Content-Type": kind})
        assert answer.status_code == 413, path
        assert answer.headers["content-type"] == "application/problem+json"


def a_form(pieces: int) -> Iterator[bytes]:
    """Yield a form that goes on and on; a parser has nothing against any piece of it."""
    yield b'--x\r\nContent-Disposition: form-data; name="task"; filename="a"\r\n\r\n'
    for _ in range(pieces):
        yield b" " * 100


def test_what_anybody_may_send_is_small(client_of: Callable[..., httpx.Client], served: str) -> None:
    """The login form is open to all: it must not fill the server's disk or memory."""
    client = client_of()
    client.headers["Origin"] = served
    assert client.post("/login", data={"token": "x" * gate.MAX_LOGIN_BYTES}).status_code == 413
    form = {"Content-Type": "multipart/form-data; boundary=x"}
    assert client.post("/login", content=a_form(1000), headers=form).status_code == 413


def test_another_origin_s_script_reads_nothing_with_our_cookie(browser: httpx.Client, served: str) -> None:
    """Another port of the same address is the same site, and gets the cookie sent."""
    for path in ("/api/v1/me", "/_nicegui_ws/socket.io/?EIO=4&transport=polling"):
        answer = browser.get(path, headers={"Origin": "http://127.0.0.1:9999"})
        assert answer.status_code == 403
        assert "access-control-allow-origin" not in answer.headers
    assert browser.get("/api/v1/me", headers={"Origin": served}).status_code == 200


@pytest.mark.parametrize(
    "lines",
    [
        [("x-forwarded-for", "192.0.2.1, 203.0.113.9")],
        [("x-forwarded-for", "192.0.2.1"), ("x-forwarded-for", "203.0.113.9")],
    ],
)
def test_the_proxy_s_own_entry_counts(lines: list[tuple[str, str]]) -> None:
    """A client that claims addresses of its own does not get round the limit; HAProxy adds a second line."""
    settings = Settings(proxy="ai.example.org")
    found = origin_of(settings, headers_of([("host", "ai.example.org"), *lines]), "127.0.0.1")
    assert found.address == "203.0.113.9"


def test_a_client_does_not_choose_the_scheme_behind_a_proxy() -> None:
    lines = [("host", "ai.example.org"), ("x-forwarded-proto", "https"), ("x-forwarded-proto", "http")]
    with pytest.raises(UnknownHostError):
        origin_of(Settings(proxy="ai.example.org"), headers_of(lines), "127.0.0.1")


def headers_of(lines: list[tuple[str, str]]) -> Headers:
    return Headers(raw=[(name.encode(), value.encode()) for name, value in lines])


@pytest.mark.parametrize(
    ("headers", "peer", "status"),
    [
        ({"host": "ai.example.org"}, "127.0.0.1", 200),
        ({"host": "x", "x-forwarded-host": "ai.example.org"}, "127.0.0.1", 200),
        ({"host": "ai.example.org", "x-forwarded-proto": "http"}, "127.0.0.1", 421),
        ({"host": "evil.example"}, "127.0.0.1", 421),
        ({"host": "ai.example.org"}, "192.0.2.7", 421),
    ],
)
def test_behind_a_proxy(
    context: Context, token: Callable[..., str], headers: dict[str, str], peer: str, status: int
) -> None:
    """The proxy's headers are believed, from the proxy only; its browsers get Secure and HSTS."""
    behind = Context(
        context.desk, context.index, context.live, context.access, Settings(proxy="ai.example.org")
    )
    got = ask(behind, {**headers, "authorization": f"Bearer {token()}"}, peer)
    assert got["status"] == status
    assert b"strict-transport-security" in dict(got["headers"])


def test_a_socket_needs_a_session_and_our_origin(context: Context) -> None:
    """Another site's page cannot open the page's socket with our cookie (WebSocket hijacking)."""
    cookie = context.access.log_in_with_link(context.access.links.create("ada"), "127.0.0.1")
    own = {"host": "127.0.0.1:8377", "cookie": f"aispool-8377={cookie}"}
    for headers in (
        {"host": "127.0.0.1:8377", "origin": "http://127.0.0.1:8377"},
        {**own, "origin": "http://evil.example"},
        own,
    ):
        assert ask(context, headers, "127.0.0.1", kind="websocket")["code"] == 1008
    passed = ask(context, {**own, "origin": "http://127.0.0.1:8377"}, "127.0.0.1", kind="websocket")
    assert passed["code"] != 1008


def ask(context: Context, headers: dict[str, str], peer: str, kind: str = "http") -> dict[str, Any]:
    """Send one request to the app itself, from any address; return the start of its answer."""
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": f"{kind}.{'connect' if kind == 'websocket' else 'request'}", "body": b""}

    async def send(message: Any) -> None:
        sent.append(message)

    scope: dict[str, Any] = {
        "type": kind, "method": "GET", "path": "/api/v1/me" if kind == "http" else "/_nicegui_ws/",
        "raw_path": b"", "query_string": b"", "scheme": "http", "http_version": "1.1", "asgi": {},
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
        "client": (peer, 1234), "server": ("127.0.0.1", 8377), "extensions": {}, "root_path": "",
    }  # fmt: skip

    async def answer() -> None:
        await build(context, pages=False)(scope, receive, send)

    asyncio.run(answer())
    first: dict[str, Any] = sent[0]
    return first
