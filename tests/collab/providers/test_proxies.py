"""Proxies, certificates and base URLs: what goes where, and who sees what."""

from __future__ import annotations

import socket
import ssl
import subprocess
import threading
from typing import TYPE_CHECKING, Any

import pytest

from agent.collab.credentials import Secret
from agent.collab.providers import http
from agent.collab.providers.base import ProviderError
from agent.collab.providers.definition import ProviderDefinition
from agent.collab.providers.http import Http
from agent.collab.providers.keys import KeyRing
from agent.collab.providers.remote import RemoteProvider

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

KEY = "sk-a-secret-that-no-proxy-must-see"


class Proxy:
    """Takes one connection after the other, keeps what it is sent first, and answers the same to all."""

    def __init__(self, answer: bytes) -> None:
        self.answer = answer
        self.seen: list[bytes] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection:
                self.seen.append(connection.recv(1 << 16))
                connection.sendall(self.answer)

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    one = Proxy(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
    yield one
    one.close()


@pytest.fixture
def remote() -> Iterator[Callable[..., RemoteProvider]]:
    made: list[RemoteProvider] = []

    def make(base_url: str, *keys: str, **options: Any) -> RemoteProvider:
        given = {"name": "p", "kind": "openai", "base_url": base_url, "model": "m", **options}
        definition = ProviderDefinition.model_validate(given)
        ring = KeyRing(tuple(Secret(key, "KEY") for key in keys))
        made.append(RemoteProvider(definition, Http("p", base_url, proxy=definition.proxy), ring))
        return made[-1]

    yield make
    for one in made:
        one.http.close()


@pytest.mark.parametrize("by", ["environment", "definition"])
def test_a_proxy_is_used_and_sees_no_key(
    proxy: Proxy, remote: Any, ask: Any, monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    """Over https it is only asked for a tunnel."""
    if by == "environment":
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
    options = {"proxy": proxy.url} if by == "definition" else {}
    with pytest.raises(ProviderError, match=r"the proxy refuses https://api\.example/v1") as caught:
        remote("https://api.example/v1", KEY, **options).complete(ask())
    assert caught.value.kind == "network"
    (seen,) = proxy.seen
    assert seen.startswith(b"CONNECT api.example:443 ")
    assert KEY.encode() not in seen


def test_this_machine_is_never_asked_through_a_proxy(
    proxy: Proxy, server: Any, remote: Any, ask: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The key would leave it in the open."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, proxy.url)
    assert remote(server.base_url("openai"), KEY).complete(ask()).text == "hello"
    assert remote(server.base_url("openai"), KEY, proxy=proxy.url).complete(ask()).text == "hello"
    assert proxy.seen == []


def test_a_server_without_a_key_may_be_anywhere(
    proxy: Proxy, remote: Any, ask: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There is no secret to keep on a model server of one's own network."""
    monkeypatch.setenv("HTTP_PROXY", proxy.url)
    with pytest.raises(ProviderError, match="HTTP 403"):
        remote("http://models.example:8000/v1", needs_key=False).complete(ask())
    assert proxy.seen[0].startswith(b"POST http://models.example:8000/v1/chat/completions ")


def test_a_key_is_not_sent_there(
    proxy: Proxy, remote: Any, ask: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not through the proxy either."""
    monkeypatch.setenv("HTTP_PROXY", proxy.url)
    with pytest.raises(ProviderError, match="not sent over plain http"):
        remote("http://models.example:8000/v1", KEY).complete(ask())
    assert proxy.seen == []


def test_no_proxy_is_obeyed(proxy: Proxy, remote: Any, ask: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """NO_PROXY names who is asked directly."""
    monkeypatch.setenv("HTTP_PROXY", proxy.url)
    monkeypatch.setenv("NO_PROXY", "nowhere.invalid")
    with pytest.raises(ProviderError) as caught:
        remote("http://nowhere.invalid:8000/v1", needs_key=False).complete(ask(timeout_s=5.0))
    assert caught.value.kind == "network"
    assert proxy.seen == []


def test_a_proxy_that_cannot_be_used(remote: Any, ask: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a kind that needs another package: what to mend is said, and its password is not."""
    monkeypatch.setenv("ALL_PROXY", "socks9://me:hunter2@127.0.0.1:1080")
    with pytest.raises(
        ProviderError, match=r"the proxy cannot be used .* mend HTTPS_PROXY or ALL_PROXY"
    ) as caught:
        remote("https://api.example/v1", KEY).complete(ask())
    assert caught.value.kind == "unavailable"
    assert "hunter2" not in str(caught.value)


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    """A certificate for localhost and its key, as a company's own would be."""
    paths = tmp_path / "cert.pem", tmp_path / "key.pem"
    words = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "2",
        "-subj",
        "/CN=localhost",
    ]
    words += ["-addext", "subjectAltName=DNS:localhost", "-out", str(paths[0]), "-keyout", str(paths[1])]
    subprocess.run(words, check=True, capture_output=True)
    return paths


@pytest.fixture
def https(server: Any, certificate: tuple[Path, Path]) -> str:
    """The scripted server, behind TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    server._server.socket = context.wrap_socket(server._server.socket, server_side=True)
    return str(server.base_url("openai").replace("http://127.0.0.1", "https://localhost"))


def test_an_unknown_certificate_is_refused(https: str, server: Any, remote: Any, ask: Any) -> None:
    """Nothing is sent to whoever answers there."""
    with pytest.raises(ProviderError, match="CERTIFICATE_VERIFY_FAILED") as caught:
        remote(https, KEY).complete(ask())
    assert (caught.value.kind, server.calls) == ("network", [])


def test_a_certificate_of_one_s_own(
    https: str, certificate: tuple[Path, Path], remote: Any, ask: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SSL_CERT_FILE names whom to trust."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
    http._certificates.cache_clear()
    try:
        assert remote(https, KEY).complete(ask()).text == "hello"
    finally:
        http._certificates.cache_clear()
