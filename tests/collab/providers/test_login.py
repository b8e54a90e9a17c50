"""Logins: the device flow against a strict server, and tokens that several processes renew."""

from __future__ import annotations

import errno
import importlib.util
import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from agent.collab.credentials import CredentialError, Secret
from agent.collab.providers.base import ProviderError
from agent.collab.providers.definition import ProviderDefinition, load_definitions
from agent.collab.providers.device import begin, wait_for_consent
from agent.collab.providers.oauth import OAuthError, Server
from agent.collab.providers.registry import open_providers
from agent.collab.providers.tokens import LoginKeys, Tokens, TokenStore

if TYPE_CHECKING:
    from collections.abc import Iterator

    from spool.workspace import Workspace

_spec = importlib.util.spec_from_file_location(
    "aispool_authserver", Path(__file__).with_name("authserver.py")
)
assert _spec is not None
assert _spec.loader is not None
authserver = importlib.util.module_from_spec(_spec)
sys.modules[_spec.name] = authserver
_spec.loader.exec_module(authserver)


@pytest.fixture
def auth() -> Iterator[Any]:
    with authserver.AuthServer() as one:
        yield one


@pytest.fixture
def qwen(workspace: Workspace) -> ProviderDefinition:
    """The built-in provider."""
    return load_definitions(workspace)["qwen"]


def server_of(definition: ProviderDefinition, auth: Any, **more: str) -> Server:
    found = Server.of(definition, {**auth.environment(), **more})
    assert found is not None
    return found


def log_in(auth: Any, definition: ProviderDefinition, store: TokenStore, clock: Any, **more: str) -> Server:
    """Log in as a person does, with consent at once."""
    server = server_of(definition, auth, **more)
    tokens = wait_for_consent(server, begin(server), clock=clock, sleep=clock.advance, now=lambda: 1000.0)
    store.write(tokens)
    return server


def test_a_person_is_shown_a_code(auth: Any, qwen: Any) -> None:
    """With the address where it is typed, and the one that has it already."""
    code = begin(server_of(qwen, auth))
    assert (code.user_code, code.verification_uri) == ("WDJB-MJHT", "https://auth.example/device")
    assert code.complete_uri == "https://auth.example/device?user_code=WDJB-MJHT"
    ((_, form),) = auth.forms
    assert form["scope"] == "openid profile email model.completion"
    assert form["code_challenge_method"] == "S256"
    assert len(form["code_challenge"]) == 43


@pytest.mark.parametrize("scope", ["a b c", "a,b,c", "a, b,  c", " a  b,c "])
def test_scopes_are_separated_by_commas_or_spaces(auth: Any, qwen: Any, scope: str) -> None:
    """As people write them."""
    begin(server_of(qwen, auth, QWEN_SCOPE=scope))
    assert auth.forms[0][1]["scope"] == "a b c"


def test_consent_is_waited_for(auth: Any, qwen: Any, clock: Any) -> None:
    """Every five seconds; `slow_down` makes it ten."""
    auth.pending = ["authorization_pending", "slow_down", "authorization_pending"]
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        clock.advance(seconds)

    server = server_of(qwen, auth)
    tokens = wait_for_consent(server, begin(server), clock=clock, sleep=sleep, now=lambda: 1000.0)
    assert slept == [5.0, 5.0, 10.0, 10.0]
    assert (tokens.access_token, tokens.expires_at_s) == ("access-secret-1", 4600.0)


def test_a_server_that_is_down_for_a_moment_costs_no_login(auth: Any, qwen: Any, clock: Any) -> None:
    """It is asked again, less often."""
    server = server_of(qwen, auth)
    code = begin(server)
    auth.broken = 2
    assert wait_for_consent(server, code, clock=clock, sleep=clock.advance).access_token == "access-secret-1"


@pytest.mark.parametrize("word", ["access_denied", "expired_token"])
def test_a_no_is_a_no(auth: Any, qwen: Any, clock: Any, word: str) -> None:
    """Said in the server's word."""
    auth.pending = [word]
    server = server_of(qwen, auth)
    with pytest.raises(OAuthError, match=word):
        wait_for_consent(server, begin(server), clock=clock, sleep=clock.advance)


def test_nobody_agrees(auth: Any, qwen: Any, clock: Any) -> None:
    """The code ends by itself."""
    auth.interval_s = 60
    auth.pending = ["authorization_pending"] * 1000
    server = server_of(qwen, auth)
    with pytest.raises(OAuthError, match="nobody agreed in time"):
        wait_for_consent(server, begin(server), clock=clock, sleep=clock.advance)


def test_a_confidential_client_shows_its_secret(auth: Any, qwen: Any, clock: Any, workspace: Any) -> None:
    """QWEN_CLIENT_SECRET; a wrong one is not repeated in the error, though the server repeats it."""
    auth.secret = "the-client-secret"
    log_in(auth, qwen, TokenStore(workspace, "qwen"), clock, QWEN_CLIENT_SECRET="the-client-secret")
    with pytest.raises(OAuthError, match="invalid_client") as caught:
        begin(server_of(qwen, auth, QWEN_CLIENT_SECRET="a-wrong-secret"))
    assert "a-wrong-secret" not in str(caught.value)


@pytest.mark.parametrize("name", ["QWEN_DEVICE_AUTH_URL", "QWEN_DEVICE_TOKEN_URL"])
def test_tokens_do_not_go_over_plain_http(auth: Any, qwen: Any, name: str) -> None:
    """To another machine, that is."""
    with pytest.raises(ProviderError, match=f"{name} is plain http"):
        server_of(qwen, auth, **{name: "http://auth.example/token"})


def test_without_a_server_there_is_no_login(qwen: Any) -> None:
    """The vendor's own was closed: one must be named."""
    assert Server.of(qwen, {}) is None


def test_any_provider_can_have_a_login(auth: Any) -> None:
    """Its variables begin with its name, or the definition says it all."""
    login = {
        "device_auth_url": f"{auth.url}/device",
        "token_url": f"{auth.url}/token",
        "client_id": "client-1",
    }
    options = {"kind": "openai", "base_url": "https://api.example/v1"}
    defined = ProviderDefinition.model_validate({"name": "acme", **options, "login": login})
    found = Server.of(defined, {})
    assert found is not None
    assert begin(found).user_code == "WDJB-MJHT"
    plain = ProviderDefinition.model_validate({"name": "my-llm", **options})
    assert Server.of(plain, auth.environment("MY_LLM")) is not None


def test_tokens_are_kept_for_us_alone(auth: Any, qwen: Any, clock: Any, workspace: Any) -> None:
    """0600, in a folder of ours; a file that others may read is refused."""
    store = TokenStore(workspace, "qwen")
    log_in(auth, qwen, store, clock)
    assert store.file.stat().st_mode & 0o777 == 0o600
    store.file.chmod(0o640)
    with pytest.raises(CredentialError, match="chmod 600"):
        store.read()


def test_no_token_shows_itself(auth: Any, qwen: Any, clock: Any, workspace: Any) -> None:
    """Neither the tokens nor a secret made of them."""
    store = TokenStore(workspace, "qwen")
    log_in(auth, qwen, store, clock)
    tokens = store.read()
    assert "secret-1" not in f"{tokens!r} {tokens} {Secret('secret-1', 'x')!r} {Secret('secret-1', 'x')}"
    with pytest.raises(TypeError):
        __import__("pickle").dumps(Secret("secret-1", "x"))


def test_a_token_is_renewed_before_it_ends(auth: Any, qwen: Any, clock: Any, workspace: Any) -> None:
    """Once; the next request takes the new one."""
    store = TokenStore(workspace, "qwen")
    server = log_in(auth, qwen, store, clock)
    keys = LoginKeys(store, server, now=lambda: 1000.0 + 3600 - 30)
    assert [keys.take().reveal() for _ in range(3)] == ["access-secret-2"] * 3
    assert auth.refreshes() == 1
    kept = store.read()
    assert kept is not None
    assert kept.refresh_token == "refresh-secret-2"


def test_a_server_that_keeps_its_refresh_token() -> None:
    """What a response leaves out stays as it was (RFC 6749 6)."""
    before = Tokens(access_token="a", refresh_token="r", expires_at_s=0.0, scope="s", base_url="https://x/v1")
    after = Tokens.of({"access_token": "b", "expires_in": 60}, 100.0, before)
    assert (after.refresh_token, after.scope, after.base_url, after.expires_at_s) == (
        "r",
        "s",
        "https://x/v1",
        160,
    )


def test_a_token_that_is_still_good_survives_an_outage(
    auth: Any, qwen: Any, clock: Any, workspace: Any
) -> None:
    """Renewing early is no reason to fail early."""
    store = TokenStore(workspace, "qwen")
    server = log_in(auth, qwen, store, clock)
    auth.broken = 1
    assert LoginKeys(store, server, now=lambda: 1000.0 + 3600 - 30).take().reveal() == "access-secret-1"


def test_a_login_that_is_over_says_how_to_begin_again(
    auth: Any, qwen: Any, clock: Any, workspace: Any
) -> None:
    """And repeats no token, though the server does."""
    store = TokenStore(workspace, "qwen")
    server = log_in(auth, qwen, store, clock)
    auth.revoked = True
    with pytest.raises(ProviderError, match="run `aispool collab login qwen`") as caught:
        LoginKeys(store, server, now=lambda: 99999.0).take()
    assert caught.value.kind == "auth"
    assert "refresh-secret" not in str(caught.value)


def test_a_full_disk_costs_no_login(
    auth: Any, qwen: Any, clock: Any, workspace: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The refresh token is not used while its heir could not be kept."""
    store = TokenStore(workspace, "qwen")
    server = log_in(auth, qwen, store, clock)
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(store.file))
    with monkeypatch.context() as disk:
        disk.setattr(TokenStore, "write", lambda *_: (_ for _ in ()).throw(full))
        with pytest.raises(ProviderError, match="No space left") as caught:
            LoginKeys(store, server, now=lambda: 99999.0).take()
    assert (caught.value.kind, auth.refreshes()) == ("unavailable", 0)
    assert LoginKeys(store, server, now=lambda: 99999.0).take().reveal() == "access-secret-2"


def test_threads_that_renew_at_once_use_one(auth: Any, qwen: Any, clock: Any, workspace: Any) -> None:
    """All get the same new token; the server sees one request."""
    store = TokenStore(workspace, "qwen")
    server = log_in(auth, qwen, store, clock)
    barrier = threading.Barrier(8)
    taken: list[str] = []

    def take() -> None:
        keys = LoginKeys(TokenStore(workspace, "qwen"), server, now=lambda: 1000.0 + 3590)
        barrier.wait(30)
        taken.append(keys.take().reveal())

    threads = [threading.Thread(target=take) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert taken == ["access-secret-2"] * 8
    assert auth.refreshes() == 1
    assert not auth.revoked


RENEW = """
import json, os, sys
from pathlib import Path
from agent.collab.providers.definition import load_definitions
from agent.collab.providers.oauth import Server
from agent.collab.providers.tokens import LoginKeys, TokenStore
from spool.workspace import Workspace
workspace = Workspace(Path(sys.argv[1]))
keys = LoginKeys(TokenStore(workspace, "qwen"), Server.of(load_definitions(workspace)["qwen"], os.environ))
print("ready", flush=True)
sys.stdin.readline()
print(keys.take().reveal())
"""


def test_processes_that_renew_at_once_use_one(auth: Any, qwen: Any, clock: Any, workspace: Any) -> None:
    """The tokens of the login are long over, and four processes notice it at the same moment."""
    auth.expires_in_s = 7200
    store = TokenStore(workspace, "qwen")
    log_in(auth, qwen, store, clock)
    environment = {**os.environ, **auth.environment()}
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", RENEW, str(workspace.root)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        for _ in range(4)
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    said = []
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    for process in processes:
        said.append(process.communicate(timeout=60)[0].strip())
        assert process.returncode == 0
    assert said == ["access-secret-2"] * 4
    assert auth.refreshes() == 1
    assert not auth.revoked


def test_a_run_with_a_login(auth: Any, server: Any, qwen: Any, clock: Any, workspace: Any, ask: Any) -> None:
    """The token is the key; one that the API refuses before its time is renewed and the call made again."""
    log_in(auth, qwen, TokenStore(workspace, "qwen"), clock)
    server.rule = "well"
    server.key = "access-secret-2"
    environment = {**auth.environment(), "QWEN_BASE_URL": server.base_url("openai")}
    store = TokenStore(workspace, "qwen")
    tokens = store.read()
    assert tokens is not None
    store.write(tokens.model_copy(update={"expires_at_s": 9e9}))
    with open_providers(workspace, environment=environment) as providers:
        answered = providers.caller.ask(providers.choices(["qwen"]), ask())
    assert answered.reply.text == "well"
    assert [call.error for call in answered.calls] == ["auth", None]
    assert auth.refreshes() == 1


def test_a_token_that_stays_refused_is_renewed_once(
    auth: Any, server: Any, qwen: Any, clock: Any, workspace: Any, ask: Any
) -> None:
    """And not for ever."""
    log_in(auth, qwen, TokenStore(workspace, "qwen"), clock)
    server.key = "nobody-has-this"
    environment = {**auth.environment(), "QWEN_BASE_URL": server.base_url("openai")}
    with (
        open_providers(workspace, environment=environment) as providers,
        pytest.raises(ProviderError) as caught,
    ):
        providers.caller.ask(providers.choices(["qwen"]), ask())
    assert caught.value.kind == "auth"
    assert auth.refreshes() <= 2


def test_the_server_may_name_the_api(auth: Any, qwen: Any, clock: Any, workspace: Any) -> None:
    """`resource_url`, a host alone as Qwen's server sends it; QWEN_BASE_URL wins."""
    auth.extra = {"resource_url": "portal.example.ai", "expires_in": 10**9}
    log_in(auth, qwen, TokenStore(workspace, "qwen"), clock)
    with open_providers(workspace, environment=auth.environment()) as providers:
        assert providers.ready["qwen"].where == "https://portal.example.ai/v1"
    environment = {**auth.environment(), "QWEN_BASE_URL": "https://other.example/v1"}
    with open_providers(workspace, environment=environment) as providers:
        assert providers.ready["qwen"].where == "https://other.example/v1"


def test_aispool_collab_login(auth: Any, workspace: Any) -> None:
    """The command shows the code and keeps the tokens; no token is in what it prints."""
    auth.interval_s = 1
    auth.pending = ["authorization_pending"]
    done = subprocess.run(
        [sys.executable, "-m", "agent", "--workspace", str(workspace.root), "collab", "login", "qwen"],
        env={**os.environ, **auth.environment()},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Open https://auth.example/device in any browser and enter WDJB-MJHT" in done.stdout
    assert "secret" not in done.stdout + done.stderr
    kept = json.loads((workspace.configs / "logins" / "qwen.json").read_text())
    assert kept["access_token"] == "access-secret-1"
