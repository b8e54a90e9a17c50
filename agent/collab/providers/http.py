"""The only module that knows httpx: one JSON document out, one back, and every failure a `ProviderError`.

What comes back is bounded in size and in time, however slowly it drips. Redirects are not followed: a secret
goes where its owner sent it, over https or without leaving this machine, and nowhere else.
"""

from __future__ import annotations

import functools
import json
import logging
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import httpx

from agent.collab.credentials import HIDDEN, SHORTEST, hidden, without
from agent.collab.providers.addresses import carries_secrets, is_loopback
from agent.collab.providers.base import ProviderError
from agent.collab.providers.failures import failure_of

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterable, Mapping

    from agent.collab.credentials import Secret

# at DEBUG they write down whole headers, which servers may have put our key into
for _name in ("httpx", "httpcore"):
    logging.getLogger(_name).setLevel(logging.WARNING)

MAX_BODY_BYTES: Final = 16 << 20
CONNECT_S: Final = 10.0
_READ_BYTES: Final = 1 << 16
_SHOWN_CHARS: Final = 120


@dataclass(frozen=True, slots=True)
class Answer:
    """What an HTTP server said; header names are in lower case."""

    status: int
    body: bytes = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)


class Http:
    """Requests to one base URL. Threads may share it.

    Args:
        name: of the provider, for messages.
        base_url: of it.
        proxy: instead of those in the environment; none is ever used for this machine itself.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        name: str,
        base_url: str,
        *,
        proxy: str | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._name = name
        self._url = base_url
        self._clock = clock
        self._proxy = proxy
        self._lock = threading.Lock()
        self._made: httpx.Client | None = None

    def close(self) -> None:
        """Close the connections."""
        if self._made is not None:
            self._made.close()

    @property
    def _client(self) -> httpx.Client:
        """Return the connections, made when they are first needed.

        Raises:
            ProviderError: the proxy is malformed, or of a kind that needs another package.
        """
        with self._lock:
            if self._made is None:
                here = is_loopback(self._url)
                try:
                    self._made = httpx.Client(
                        verify=_certificates(),
                        proxy=None if here else self._proxy,
                        trust_env=not here,
                        follow_redirects=False,
                        headers={"user-agent": "aispool", "accept": "application/json"},
                    )
                except (ImportError, ValueError, httpx.InvalidURL) as error:
                    what = f"the proxy cannot be used ({hidden(str(error))})"
                    raise ProviderError(
                        "unavailable", f"{self._name}: {what}: mend HTTPS_PROXY or ALL_PROXY"
                    ) from None
            return self._made

    def json(
        self,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        secrets: Iterable[Secret] = (),
        timeout_s: float,
    ) -> dict[str, Any]:
        """Send a JSON document (or GET, without one) and return the object that comes back.

        Args:
            path: below the base URL.
            body: the document.
            headers: with the secrets in them.
            secrets: that are in the headers or the body; no message will hold them.
            timeout_s: in all.

        Raises:
            ProviderError: there is no such object.
        """
        held = tuple(secrets)
        content = None if body is None else json.dumps(body, ensure_ascii=False).encode()
        given = {"content-type": "application/json", **(headers or {})}
        answer = _scrubbed(self.send(path, content, headers=given, secrets=held, timeout_s=timeout_s), held)
        if not httpx.codes.is_success(answer.status):
            text = _words(answer.body)
            raise failure_of(self._name, answer.status, answer.headers, text, secrets=held)
        return self._object(answer, held)

    def send(
        self,
        path: str,
        content: bytes | None,
        *,
        headers: Mapping[str, str],
        secrets: tuple[Secret, ...] = (),
        timeout_s: float,
    ) -> Answer:
        """Send bytes (or GET, without any) and return what comes back, whatever its status.

        Raises:
            ProviderError: nothing whole came back.
        """
        if secrets and not carries_secrets(self._url):
            raise ProviderError(
                "unavailable",
                f"{self._name}: a key is not sent over plain http to {self._url}: use https, or "
                "an ssh tunnel (ssh -L) to an address of this machine",
            )
        end_s = self._clock() + timeout_s
        timeout = httpx.Timeout(timeout_s, connect=min(CONNECT_S, timeout_s))
        method = "GET" if content is None else "POST"
        try:
            with self._client.stream(
                method, self._url + path, content=content, headers=dict(headers), timeout=timeout
            ) as response:
                body = self._read(response, end_s, timeout_s)
                return Answer(response.status_code, body, {n.lower(): v for n, v in response.headers.items()})
        except httpx.TimeoutException:
            raise self._too_slow(timeout_s) from None
        except httpx.ProxyError as error:
            raise ProviderError(
                "network", f"{self._name}: the proxy refuses {self._url} ({hidden(str(error), secrets)})"
            ) from None
        except httpx.HTTPError as error:
            said = hidden(str(error), secrets) or type(error).__name__
            raise ProviderError(
                "network",
                f"{self._name}: no answer from {self._url} ({said}): is it up, is base_url right?",
            ) from None
        except httpx.InvalidURL as error:
            raise ProviderError("unavailable", f"{self._name}: {error}: mend base_url") from None

    def _read(self, response: httpx.Response, end_s: float, timeout_s: float) -> bytes:
        chunks: list[bytes] = []
        size = 0
        for chunk in response.iter_bytes():
            chunks.append(chunk)
            size += len(chunk)
            if size > MAX_BODY_BYTES:
                raise ProviderError(
                    "server", f"{self._name}: the answer is larger than {MAX_BODY_BYTES >> 20} MiB: not read"
                )
            if self._clock() > end_s:
                raise self._too_slow(timeout_s)
        return b"".join(chunks)

    def _too_slow(self, timeout_s: float) -> ProviderError:
        return ProviderError("timeout", f"{self._name}: {self._url} has not answered in {timeout_s:g} s")

    def _object(self, answer: Answer, secrets: tuple[Secret, ...]) -> dict[str, Any]:
        try:
            document = json.loads(answer.body)
        except (ValueError, RecursionError):
            kind = answer.headers.get("content-type", "something").partition(";")[0]
            said = hidden(_words(answer.body), secrets)[:_SHOWN_CHARS]
            raise ProviderError(
                "server",
                f"{self._name}: {self._url} answers with {kind}, not JSON ({said}): is base_url right?",
            ) from None
        if not isinstance(document, dict):
            raise ProviderError("server", f"{self._name}: {self._url} answers with JSON that is no object")
        return document


@functools.cache
def _certificates() -> ssl.SSLContext:
    """Return whom we trust: SSL_CERT_FILE, SSL_CERT_DIR, else certifi's list, which is slow to read."""
    return httpx.create_ssl_context()


def _scrubbed(answer: Answer, secrets: tuple[Secret, ...]) -> Answer:
    """Return an answer in which a server that repeats our secrets has not repeated them."""
    body = answer.body
    for secret in secrets:
        if len(secret.reveal()) < SHORTEST:
            continue
        for form in (secret.reveal(), secret.reveal().replace("/", r"\/")):
            body = body.replace(form.encode(), HIDDEN.encode())
    headers = {name: without(value, secrets) for name, value in answer.headers.items()}
    return Answer(answer.status, body, headers)


def _words(body: bytes) -> str:
    """Return the beginning of a body as one line that steers no terminal."""
    text = body[:_READ_BYTES].decode(errors="replace")
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())
