"""`aispool collab providers` and `aispool collab login`, as a person sees them."""

from __future__ import annotations

import io
import json
import socket
import sys
from typing import TYPE_CHECKING, Any

import pytest

from agent.cli import main
from agent.collab.providers.definition import builtin
from agent.collab.providers.registry import open_providers

if TYPE_CHECKING:
    from collections.abc import Callable

    from spool.workspace import Workspace


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys and servers of this machine are not the tests'."""
    found = builtin()
    for options in found.values():
        for name in (*options.get("key_env", ()), options.get("base_url_env", "NOTHING")):
            monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv("QWEN_DEVICE_AUTH_URL", raising=False)


@pytest.fixture
def roles(workspace: Workspace, server: Any) -> Callable[..., None]:
    """Put the servers of this machine where none answers, but for one."""

    def write(extra: str = "", ollama: str = "") -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            nowhere = f"http://127.0.0.1:{free.getsockname()[1]}/v1"
        places = dict.fromkeys(("ollama", "llamacpp", "vllm", "lmstudio"), nowhere)
        if ollama:
            places["ollama"] = ollama
        tables = [f'[providers.{name}]\nbase_url = "{url}"' for name, url in places.items()]
        for name, wire in (("qwen", "openai"), ("gemini", "gemini"), ("anthropic", "anthropic")):
            tables.append(f'[providers.{name}]\nbase_url = "{server.base_url(wire)}"')
        (workspace.configs / "roles.toml").write_text("\n".join([*tables, extra]))

    return write


@pytest.fixture
def collab(
    workspace: Workspace, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[str, str]]:
    """Run `aispool collab …` and return what it printed, on both streams."""

    def run(*words: str, code: int = 0, given: str = "") -> tuple[str, str]:
        capsys.readouterr()
        monkeypatch.setattr(sys, "stdin", io.StringIO(given))
        got = main(["--workspace", str(workspace.root), "collab", *words])
        said = capsys.readouterr()
        assert got == code, said.out + said.err
        return said.out, said.err

    return run


def providers(collab: Any, *words: str, code: int = 0) -> dict[str, dict[str, Any]]:
    document = json.loads(collab("providers", "--json", *words, code=code)[0])
    return {one["name"]: one for one in document["providers"]}


def test_nobody_could_answer(roles: Any, collab: Any) -> None:
    """Exit code 1, and the three ways."""
    roles()
    out, err = collab("providers", code=1)
    assert out.startswith("without a key, or not on this machine: qwen, gemini")
    for way in ("chmod 600", "aispool collab login qwen", "ollama serve"):
        assert way in err


def test_who_answers(roles: Any, collab: Any, server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """With its models, its family and where its key comes from."""
    roles()
    monkeypatch.setenv("GEMINI_API_KEY", "g")
    gemini = providers(collab)["gemini"]
    assert (gemini["state"], gemini["family"], gemini["credential"]) == (
        "answers",
        "gemini",
        "GEMINI_API_KEY",
    )
    assert gemini["models"] == server.models["gemini"]
    (row,) = (line for line in collab("providers")[0].splitlines() if line.startswith("gemini"))
    assert row.split()[:5] == ["gemini", "answers", "gemini", "gemini-2.5-flash", "GEMINI_API_KEY"]


def test_a_server_on_this_machine_is_found(roles: Any, collab: Any, server: Any) -> None:
    """Without any key, and its first model is the default one."""
    server.models["openai"] = ["qwen3:8b"]
    roles(ollama=server.base_url("openai"))
    found = providers(collab)
    assert (found["ollama"]["state"], found["ollama"]["model"]) == ("answers", "qwen3:8b")
    assert found["vllm"]["state"] == "absent"
    assert found["qwen"]["state"] == "no key"


def test_a_default_model_that_is_gone(
    roles: Any, collab: Any, server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is named, with what is listed instead."""
    roles()
    server.models["gemini"] = ["gemini-9-flash", "gemini-9-pro"]
    monkeypatch.setenv("GEMINI_API_KEY", "g")
    gemini = providers(collab, code=1)["gemini"]
    assert gemini["state"] == "trouble"
    assert (
        "no model 'gemini-2.5-flash' (any more); it lists gemini-9-flash, gemini-9-pro" in gemini["problem"]
    )


@pytest.mark.parametrize("listed", ["gemini-2.5-flash-20260101", "gemini-2.5-flash-2026-01-01"])
def test_a_dated_name_is_the_same_model(
    roles: Any, collab: Any, server: Any, monkeypatch: pytest.MonkeyPatch, listed: str
) -> None:
    """Lists often have the date that the name leaves out."""
    roles()
    server.models["gemini"] = [listed]
    monkeypatch.setenv("GEMINI_API_KEY", "g")
    assert providers(collab)["gemini"]["state"] == "answers"


def test_a_refused_key_is_trouble(
    roles: Any, collab: Any, server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With what the provider says."""
    roles()
    server.key = "another"
    monkeypatch.setenv("QWEN_API_KEY", "q")
    out, _ = collab("providers", code=1)
    assert "\nqwen: HTTP 401: invalid api key: check its key" in out


def test_a_provider_that_is_left_alone(
    roles: Any, collab: Any, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After outages in a row no run asks it for a while, and that is said."""
    roles()
    monkeypatch.setenv("GEMINI_API_KEY", "g")
    with open_providers(workspace) as found:
        standing = found.caller.standings["gemini"]
        for _ in range(5):
            standing.begin()
            standing.end("outage")
    out, _ = collab("providers")
    assert "gemini: it failed several times in a row: no run asks it for " in out


def test_offline_asks_nobody(roles: Any, collab: Any, server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is known without them."""
    roles(ollama=server.base_url("openai"))
    monkeypatch.setenv("GEMINI_API_KEY", "g")
    found = providers(collab, "--offline")
    assert (found["gemini"]["state"], found["ollama"]["state"]) == ("ready", "absent")
    assert server.listed == []


def test_a_mistake_in_roles_toml_is_told(roles: Any, collab: Any) -> None:
    """As in every file of the configuration."""
    roles('[providers.mine]\nkind = "opnai"')
    _, err = collab("providers", code=1)
    assert "roles.toml, providers.mine.kind" in err


def test_a_key_from_standard_input(roles: Any, collab: Any, workspace: Workspace) -> None:
    """It is kept in the file for secrets, and found there."""
    roles()
    out, _ = collab("login", "anthropic", given="sk-ant-secret-value\n")
    assert "as ANTHROPIC_API_KEY, for you alone" in out
    assert "secret" not in out
    found = providers(collab)["anthropic"]
    assert found["credential"] == "ANTHROPIC_API_KEY in collab.env"
    assert (workspace.configs / "env" / "collab.env").read_text() == "ANTHROPIC_API_KEY=sk-ant-secret-value\n"


@pytest.mark.parametrize("given", ["", "\n", "two words\n", "two\nlines\n", "sécret\n"])
def test_what_is_no_key(roles: Any, collab: Any, given: str) -> None:
    """Nothing is kept."""
    roles()
    _, err = collab("login", "gemini", given=given, code=1)
    assert "that is no key" in err


def test_a_provider_that_nobody_knows(roles: Any, collab: Any) -> None:
    """Those that there are come with it; a tool has its own login."""
    roles('[providers.thinking]\nkind = "tool"\ntool = "claude"')
    for name in ("qwn", "thinking"):
        _, err = collab("login", name, code=1)
        assert f"no provider '{name}' to log in to: they are qwen, gemini" in err


def test_forgetting_a_login_that_was_none(roles: Any, collab: Any) -> None:
    """It is said."""
    roles()
    assert collab("login", "qwen", "--forget")[0] == "there was no login of qwen\n"
