"""Definitions, credentials and what this machine serves: who is ready, and why the others are not."""

from __future__ import annotations

import json
import os
import socket
import sys
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from agent.collab import credentials
from agent.collab.credentials import CredentialError, Secret, find_keys, hidden, store_key
from agent.collab.providers.addresses import carries_secrets
from agent.collab.providers.base import ProviderError
from agent.collab.providers.caller import Choice
from agent.collab.providers.definition import builtin, definitions, load_definitions
from agent.collab.providers.registry import open_providers
from agent.config import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from spool.workspace import Workspace


@pytest.fixture
def roles(workspace: Workspace) -> Callable[[str], None]:
    """Write configs/roles.toml."""

    def write(text: str) -> None:
        (workspace.configs / "roles.toml").write_text(text)

    return write


@pytest.fixture(autouse=True)
def no_local_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """What happens to run on this machine is not a part of these tests."""
    found = builtin()
    for name, options in found.items():
        if options.get("local"):
            with socket.create_server(("127.0.0.1", 0)) as free:
                found[name]["base_url"] = f"http://127.0.0.1:{free.getsockname()[1]}/v1"
    monkeypatch.setattr("agent.collab.providers.definition.builtin", lambda: json.loads(json.dumps(found)))


def private(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o600)
    return path


def test_the_built_in_ones_are_good(workspace: Workspace) -> None:
    """Each can be made, and sends its secrets over https or to this machine."""
    found = load_definitions(workspace)
    assert {"qwen", "gemini", "anthropic", "openai", "ollama", "llamacpp", "vllm", "lmstudio"} <= set(found)
    assert all(one.base_url and carries_secrets(one.base_url) for one in found.values())


def test_the_usual_ports() -> None:
    """Ollama, llama.cpp, vLLM and LM Studio."""
    found = {name: options["base_url"] for name, options in builtin().items() if options.get("local")}
    assert found == {
        "ollama": "http://127.0.0.1:11434/v1",
        "llamacpp": "http://127.0.0.1:8080/v1",
        "vllm": "http://127.0.0.1:8000/v1",
        "lmstudio": "http://127.0.0.1:1234/v1",
    }


def test_options_are_laid_over_one_by_one(workspace: Workspace, roles: Any) -> None:
    """What is not named stays."""
    roles(
        '[providers.qwen]\nmodel = "qwen9"\n[providers.mine]\nkind = "openai"\nbase_url = "https://m.example/v1/"'
    )
    found = load_definitions(workspace)
    assert (found["qwen"].model, found["qwen"].schema_mode) == ("qwen9", "json_object")
    assert found["mine"].base_url == "https://m.example/v1"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[providers]\nqwen = "x"', "not a table"),
        ("providers = 3", "not a table"),
        ('[providers.qwen]\nmodle = "x"', "did you mean 'model'"),
        ('[providers.qwen]\nname = "x"', "the table's own name counts"),
        ('[providers.qwen]\nbase_url = "qwen.example"', "write it like https://"),
        ('[providers.qwen]\nbase_url = "https://me:hunter2@x.example"', "it holds a password"),
        ('[providers.qwen]\nbase_url = "https://x.example/?key=1"', "goes on behind the path"),
        ('[providers.x]\nkind = "openai"', "does not say where"),
        ('[providers.x]\nkind = "tool"', "does not say which tool"),
        ('[providers.qwen]\ntool = "claude"', "are for tools"),
        ('[providers.qwen.headers]\nAuthorization = "Bearer hunter2"', "is a secret"),
        ('[providers.qwen]\nkey_env = ["not a name"]', "key_env"),
        ('[providers.qwen.login]\ntoken_url = "x"', "write it like https://"),
        ("[providers.qwen]\nrequests_per_minute = 0", "greater"),
    ],
)
def test_a_mistake_is_named(workspace: Workspace, roles: Any, text: str, said: str) -> None:
    """With its place; and no password in a mistake is repeated."""
    roles(text)
    with pytest.raises(ConfigError, match=said) as caught:
        load_definitions(workspace)
    assert "hunter2" not in str(caught.value)
    assert "providers" in str(caught.value)


@pytest.mark.parametrize(
    ("url", "good"),
    [
        ("https://api.example/v1", True),
        ("http://127.0.0.1:8080", True),
        ("http://127.9.9.9", True),
        ("http://localhost:1/v1", True),
        ("http://my.localhost", True),
        ("http://[::1]:8080/v1", True),
        ("http://10.0.0.1", False),
        ("http://localhost.example", False),
        ("http://127.0.0.1.example", False),
        ("http://[::ffff:10.0.0.1]", False),
    ],
)
def test_where_a_secret_may_go(url: str, good: bool) -> None:  # noqa: FBT001 - a table
    """Over https, or not away from this machine."""
    assert carries_secrets(url) is good


def test_the_first_place_with_a_key_counts(tmp_path: Path) -> None:
    """The environment, the file of the workspace, the file of the definition."""
    file = private(tmp_path / "key", "# mine\nfrom-file-1\nfrom-file-2\n")

    def keys(environment: dict[str, str], filed: dict[str, str]) -> list[tuple[str, str]]:
        found = find_keys(names=("A", "B"), environment=environment, filed=filed, key_file=file)
        return [(key.reveal(), key.origin) for key in found]

    assert keys({"A": "x"}, {"A": "y"}) == [("x", "A")]
    assert keys({"B": "x", "A": "x"}, {}) == [("x", "A")]
    assert keys({"A": "x, z", "B": "w"}, {}) == [("x", "A #1"), ("z", "A #2"), ("w", "B")]
    assert keys({"A": ""}, {"B": "y"}) == [("y", "B in collab.env")]
    assert keys({}, {}) == [("from-file-1", f"{file} #1"), ("from-file-2", f"{file} #2")]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o660])
def test_a_file_that_others_may_read_is_refused(tmp_path: Path, mode: int) -> None:
    """With the command that mends it."""
    file = private(tmp_path / "key", "k")
    file.chmod(mode)
    with pytest.raises(CredentialError, match=f"chmod 600 {file}"):
        find_keys(names=(), environment={}, filed={}, key_file=file)


def test_a_file_that_is_no_file_is_refused(tmp_path: Path) -> None:
    """Missing, a link, a folder, a FIFO."""
    target = private(tmp_path / "key", "k")
    (tmp_path / "link").symlink_to(target)
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "fifo", 0o600)
    for name in ("missing", "link", "folder", "fifo"):
        with pytest.raises(CredentialError, match=name):
            find_keys(names=(), environment={}, filed={}, key_file=tmp_path / name)


def test_a_key_that_cannot_be_one() -> None:
    """A character that no header carries is named without the key."""
    with pytest.raises(CredentialError, match="characters that no key has") as caught:
        find_keys(names=("A",), environment={"A": "k\x00ey-sécret"}, filed={})
    assert "cret" not in str(caught.value)


class LockedError(Exception):
    """keyring.errors.KeyringError."""


class Ring:
    """A keyring in memory, as the package `keyring` looks from outside."""

    errors = SimpleNamespace(KeyringError=LockedError)

    def __init__(self, priority: float = 5) -> None:
        self.priority = priority
        self.held: dict[tuple[str, str], str] = {}
        self.locked = False

    def get_keyring(self) -> Ring:
        return self

    def get_password(self, service: str, user: str) -> str | None:
        if self.locked:
            raise self.errors.KeyringError
        return self.held.get((service, user))

    def set_password(self, service: str, user: str, value: str) -> None:
        self.held[service, user] = value


def test_a_keyring_is_asked_last(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is one that keeps anything; a locked one is said so."""
    ring = Ring()
    monkeypatch.setitem(sys.modules, "keyring", ring)
    credentials.store_in_keyring("qwen", "from-ring")
    (key,) = find_keys(names=("A",), environment={}, filed={}, keyring_user="qwen")
    assert (key.reveal(), key.origin) == ("from-ring", "the keyring")
    assert find_keys(names=("A",), environment={"A": "x"}, filed={}, keyring_user="qwen")[0].reveal() == "x"
    ring.locked = True
    with pytest.raises(CredentialError, match="unlock it"):
        find_keys(names=(), environment={}, filed={}, keyring_user="qwen")


@pytest.mark.parametrize("priority", [0, -1])
def test_a_keyring_that_keeps_nothing_is_none(monkeypatch: pytest.MonkeyPatch, priority: float) -> None:
    """The null and the fail back ends of the package have no priority."""
    monkeypatch.setitem(sys.modules, "keyring", Ring(priority))
    assert find_keys(names=(), environment={}, filed={}, keyring_user="qwen") == ()
    with pytest.raises(CredentialError, match="leave --keyring out"):
        credentials.store_in_keyring("qwen", "k")


def test_without_the_package_there_is_no_keyring(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is optional."""
    monkeypatch.setitem(sys.modules, "keyring", None)
    assert credentials.ask_keyring("qwen") is None


def test_a_stored_key_leaves_the_others(workspace: Workspace) -> None:
    """One line is replaced; comments stay, and the file is ours alone."""
    file = private(workspace.configs / "env" / "collab.env", "# keys\nA=1\nexport B=2\n")
    assert store_key(workspace, "B", "3") == file
    assert file.read_text() == "# keys\nA=1\nB=3\n"
    store_key(workspace, "C", "4")
    assert file.read_text() == "# keys\nA=1\nB=3\nC=4\n"
    assert file.stat().st_mode & 0o777 == 0o600


def test_what_looks_like_a_secret_is_hidden() -> None:
    """The ones that we hold, and the ones that look like one."""
    text = "mine-1234 sk-abcdefghijklmnop AIzaSyA1234567890123456 Bearer abcdefgh1234 plain words"
    assert hidden(text, [Secret("mine-1234", "x")]) == "*** *** *** Bearer *** plain words"


def test_a_role_is_answered_by_who_is_ready(workspace: Workspace) -> None:
    """In its order; a model can be named for each."""
    with open_providers(workspace, environment={"GEMINI_API_KEY": "g", "QWEN_API_KEY": "q"}) as providers:
        found = providers.choices(["qwen", "gemini/gemini-9", "anthropic"], ["qwen/q2"], model="q1")
        assert found == (
            Choice("qwen", "q1"),
            Choice("gemini", "gemini-9"),
            Choice("qwen", "q2", fallback=True),
        )
        assert providers.family("qwen") == "qwen"
        assert providers.explain("gemini").endswith("with GEMINI_API_KEY")
        assert "set ANTHROPIC_API_KEY" in providers.explain("anthropic")


def test_a_name_that_nobody_defined(workspace: Workspace) -> None:
    """Those that are defined come with it."""
    with (
        open_providers(workspace, environment={}) as providers,
        pytest.raises(ProviderError, match=r"no provider 'qwn': the providers are qwen, gemini"),
    ):
        providers.choices(["qwn"])


def test_nobody_is_ready(workspace: Workspace) -> None:
    """The error says the three ways: a key, a login, a server on this machine."""
    with open_providers(workspace, environment={}) as providers, pytest.raises(ProviderError) as caught:
        providers.choices(["qwen"], ["gemini"])
    said = caught.value.message
    assert "qwen, gemini: no key" in said
    assert f"a line like QWEN_API_KEY=… in {workspace.configs}/env/collab.env (chmod 600)" in said
    assert "`aispool collab login qwen`" in said
    assert "`ollama serve`" in said
    assert "(ollama)" in said


def test_a_server_on_this_machine_is_the_default_without_a_key(
    server: Any, workspace: Workspace, roles: Any, ask: Any
) -> None:
    """It is found by its list of models, asked for the first of them, and needs no key."""
    server.models["openai"] = ["smollm2:135m"]
    roles(f'[providers.ollama]\nbase_url = "{server.base_url("openai")}"')
    with open_providers(workspace, environment={}) as providers:
        assert providers.choices(["qwen"], ["gemini"]) == (Choice("ollama"),)
        answered = providers.caller.ask(providers.choices(["qwen"]), ask())
    assert (answered.reply.model, answered.reply.family) == ("smollm2:135m", "smollm")
    assert "authorization" not in server.calls[0].headers


def test_a_key_is_preferred_to_a_server_on_this_machine(
    server: Any, workspace: Workspace, roles: Any
) -> None:
    """Nobody even looks for one."""
    roles(f'[providers.ollama]\nbase_url = "{server.base_url("openai")}"')
    with open_providers(workspace, environment={"GEMINI_API_KEY": "g"}) as providers:
        assert providers.choices(["qwen"], ["gemini"]) == (Choice("gemini", fallback=True),)
    assert server.listed == []


def test_something_else_on_the_port_is_no_model_server(server: Any, workspace: Workspace, roles: Any) -> None:
    """A web server that answers 404, and one that lists nothing."""
    server.models["openai"] = []
    roles(
        f'[providers.ollama]\nbase_url = "{server.url}/other"\n'
        f'[providers.vllm]\nbase_url = "{server.base_url("openai")}"'
    )
    with open_providers(workspace, environment={}) as providers, pytest.raises(ProviderError):
        providers.choices(["qwen"])


def test_a_role_may_name_a_server_on_this_machine(server: Any, workspace: Workspace, roles: Any) -> None:
    """Even while others have keys."""
    roles(f'[providers.ollama]\nbase_url = "{server.base_url("openai")}"')
    with open_providers(workspace, environment={"GEMINI_API_KEY": "g"}) as providers:
        found = providers.choices(["ollama", "gemini"])
    assert found == (Choice("ollama"), Choice("gemini"))


def test_a_broken_credential_is_told(workspace: Workspace, roles: Any, tmp_path: Path) -> None:
    """The provider is not ready, and why is known; the others are."""
    file = private(tmp_path / "key", "k")
    file.chmod(0o644)
    roles(f'[providers.qwen]\nkey_file = "{file}"')
    with open_providers(workspace, environment={"GEMINI_API_KEY": "g"}) as providers:
        assert "chmod 600" in providers.explain("qwen")
        assert providers.choices(["qwen", "gemini"]) == (Choice("gemini"),)
        with pytest.raises(ProviderError, match="chmod 600"):
            providers.choices(["qwen"])


def test_an_address_in_the_environment_wins(workspace: Workspace) -> None:
    """QWEN_BASE_URL; a broken one is told."""
    environment = {"QWEN_API_KEY": "q", "QWEN_BASE_URL": "https://q.example/v1/"}
    with open_providers(workspace, environment=environment) as providers:
        assert providers.ready["qwen"].where == "https://q.example/v1"
    with open_providers(workspace, environment=environment | {"QWEN_BASE_URL": "q.example"}) as providers:
        assert "QWEN_BASE_URL: it is not a web address" in providers.explain("qwen")


def test_definitions_of_another_table(workspace: Workspace) -> None:
    """Whoever has read the file already gives its table."""
    table = {"mine": {"kind": "openai", "base_url": "https://m.example"}}
    assert "mine" in definitions(workspace.configs / "roles.toml", table)
