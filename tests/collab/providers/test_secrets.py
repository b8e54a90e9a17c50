"""A secret is in no log, no result, no process list, no exception and no repr: everything is searched."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import threading
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from agent import log
from agent.collab.providers.base import ProviderError
from agent.collab.providers.caller import Patience
from agent.collab.providers.registry import open_providers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from spool.workspace import Workspace

SECRET = "zq9-A-Secret/with+signs=and-more-77"
"""Not of a form that anybody would recognise, with characters that JSON may escape."""
WIRE_OF = {"qwen": "openai", "anthropic": "anthropic", "gemini": "gemini"}
ECHOES = [
    b'{"error": {"message": "Incorrect API key provided: @"}}',
    b'{"error": {"message": "Incorrect API key provided: %"}}',
    b"<html>@</html>",
    b"@",
    b'{"detail": [{"input": {"authorization": "Bearer @"}}]}',
]


@pytest.fixture
def environment(server: Any) -> dict[str, str]:
    """Three providers with the same secret, all of them the scripted server."""
    return {
        "QWEN_API_KEY": SECRET,
        "ANTHROPIC_API_KEY": SECRET,
        "GEMINI_API_KEY": SECRET,
        "QWEN_BASE_URL": server.base_url("openai"),
        "ANTHROPIC_BASE_URL": server.base_url("anthropic"),
        "GOOGLE_GEMINI_BASE_URL": server.base_url("gemini"),
    }


@pytest.fixture
def everything_logged(tmp_path: Path) -> Iterator[Callable[[], str]]:
    """All that any logger says, down to DEBUG; and our own log."""
    file = tmp_path / "all.log"
    handler = logging.FileHandler(file)
    root = logging.getLogger()
    before = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    log.open_log(tmp_path / "agent.log", "a1", to_terminal=False)
    yield lambda: "".join(one.read_text() for one in tmp_path.glob("*.log"))
    log.close_log()
    root.setLevel(before)
    root.removeHandler(handler)
    handler.close()


def files_of(root: Path) -> Iterator[tuple[Path, bytes]]:
    for folder, _, names in os.walk(root):
        for name in names:
            path = Path(folder, name)
            yield path, path.read_bytes()


@pytest.mark.parametrize("echo", ECHOES)
@pytest.mark.parametrize("status", [200, 400, 401, 404, 429, 500])
def test_an_error_that_repeats_the_key(
    server: Any,
    workspace: Workspace,
    environment: dict[str, str],
    everything_logged: Callable[[], str],
    ask: Any,
    fault: Any,
    status: int,
    echo: bytes,
) -> None:
    """Neither the message nor its traceback, no call record, no file and no log line holds it."""
    escaped = json.dumps(SECRET)[1:-1].replace("/", "\\/").encode()
    body = echo.replace(b"@", SECRET.encode()).replace(b"%", escaped)
    kind = "text/html" if echo.startswith(b"<") else "application/json"
    headers = {"Content-Type": kind, "Location": f"https://x.example/{SECRET}", "Retry-After": "0"}
    server.rule = fault(status=status, body=body, headers=headers)
    for name in WIRE_OF:
        with open_providers(workspace, environment=environment, sleep=lambda _s: None) as providers:
            with pytest.raises(ProviderError) as caught:
                providers.caller.ask(providers.choices([name]), ask(), Patience(tries=2))
            shown = "".join(traceback.format_exception(caught.value))
            assert SECRET not in f"{shown} {caught.value!r} {caught.value.calls!r} {providers!r}"  # type: ignore[attr-defined]
            assert "Secret/with" not in str(caught.value)
    assert any(SECRET in str(call.headers) for call in server.calls), "it was sent, after all"
    assert SECRET not in everything_logged()
    assert not [path for path, content in files_of(workspace.root) if SECRET.encode() in content]


@pytest.mark.parametrize("name", sorted(WIRE_OF))
def test_an_answer_that_repeats_the_key(
    server: Any, workspace: Workspace, environment: dict[str, str], ask: Any, name: str
) -> None:
    """A gateway may do that, and the answer becomes a result."""
    server.rule = lambda call: f"You are {call.headers.get('authorization', SECRET)}, {SECRET}"
    with open_providers(workspace, environment=environment) as providers:
        reply = providers.caller.ask(providers.choices([name]), ask()).reply
    assert reply.text.startswith("You are ")
    assert SECRET not in repr(reply)


def test_a_redirect_that_repeats_the_key(
    server: Any, workspace: Workspace, environment: dict[str, str], ask: Any, fault: Any
) -> None:
    """The address is named without it."""
    server.rule = fault(status=307, headers={"Location": f"https://x.example/?key={SECRET}"})
    with (
        open_providers(workspace, environment=environment) as providers,
        pytest.raises(ProviderError, match=r"points to https://x\.example/\?key=\*\*\*"),
    ):
        providers.caller.ask(providers.choices(["gemini"]), ask())


def test_the_key_is_in_no_address(
    server: Any, workspace: Workspace, environment: dict[str, str], ask: Any
) -> None:
    """Proxies and servers write addresses down."""
    for name in WIRE_OF:
        with open_providers(workspace, environment=environment) as providers:
            providers.caller.ask(providers.choices([name]), ask())
    assert all(SECRET not in call.path for call in server.calls)
    assert all(SECRET not in json.dumps(call.body) for call in server.calls)


def test_an_outage_holds_no_key(
    server: Any,
    workspace: Workspace,
    environment: dict[str, str],
    everything_logged: Callable[[], str],
    ask: Any,
    fault: Any,
) -> None:
    """What httpx says of broken connections is ours to repeat."""
    for trouble in (fault(reset=True), fault(truncated=True), fault(hang=True)):
        server.rule = trouble
        with open_providers(workspace, environment=environment, sleep=lambda _s: None) as providers:
            with pytest.raises(ProviderError) as caught:
                providers.caller.ask(providers.choices(["qwen"]), ask(timeout_s=0.3), Patience(tries=1))
            assert SECRET not in "".join(traceback.format_exception(caught.value))
    assert SECRET not in everything_logged()


def test_the_command_line_shows_none(
    server: Any, workspace: Workspace, environment: dict[str, str], fault: Any
) -> None:
    """Neither its output, nor a file but the one that is for secrets, nor any process's arguments."""
    seen = threading.Event()
    lines: list[bytes] = []

    def rule(_call: Any) -> Any:
        seen.set()
        return fault(status=401, body=SECRET.encode())

    server.rule = rule
    server.key = "another"  # so that even the list of models is refused
    command = [sys.executable, "-m", "agent", "--workspace", str(workspace.root), "collab"]

    def run(*words: str, given: str = "", **more: str) -> str:
        process = subprocess.Popen(
            [*command, *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, **more},
        )
        lines.append(Path(f"/proc/{process.pid}/cmdline").read_bytes())
        return process.communicate(given, timeout=60)[0]

    said = run("login", "gemini", given=f"{SECRET}\n")
    said += run("providers", "--all", **environment)
    said += run("providers", "--json", **environment)
    said += run("providers", "--all", GOOGLE_GEMINI_BASE_URL=server.base_url("gemini"))
    assert "GEMINI_API_KEY in collab.env" in said
    assert "HTTP 401" in said
    assert SECRET not in said
    assert all(SECRET.encode() not in line for line in lines)
    holding = [path for path, content in files_of(workspace.root) if SECRET.encode() in content]
    assert holding == [workspace.configs / "env" / "collab.env"]
    assert holding[0].stat().st_mode & 0o777 == 0o600


def test_a_traceback_of_a_bug_shows_none(
    workspace: Workspace, environment: dict[str, str], ask: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even one raised where the header is made."""

    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    with open_providers(workspace, environment=environment) as providers:
        provider: Any = providers.ready["qwen"].provider
        monkeypatch.setattr(provider.http._client, "stream", broken)
        with pytest.raises(ZeroDivisionError) as caught:
            providers.caller.ask(providers.choices(["qwen"]), ask())
    assert SECRET not in "".join(traceback.format_exception(caught.value))
