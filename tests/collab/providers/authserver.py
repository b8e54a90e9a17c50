"""An authorization server for the device flow (RFC 8628) that is strict: PKCE, one use of each refresh token.

A refresh token that is used twice ends the whole login, as RFC 9700 4.14.2 wants it: a client that renews
in two processes at once loses its login here.
"""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs

GRANT = "urn:ietf:params:oauth:grant-type:device_code"
CLIENT = "client-1"


class AuthServer:
    """Serves until its block ends.

    Attributes:
        pending: what the next questions are answered with before the consent, such as `slow_down`.
        expires_in_s: of each access token.
        extra: laid into each token response.
        secret: that the client must show; None for a public client.
        forms: every form that came, by path.
        good: the access tokens that an API would take.
    """

    def __init__(self) -> None:
        self.pending: list[str] = []
        self.expires_in_s = 3600
        self.interval_s = 5
        self.extra: dict[str, Any] = {}
        self.secret: str | None = None
        self.forms: list[tuple[str, dict[str, str]]] = []
        self.good: set[str] = set()
        self.revoked = False
        self.broken = 0
        self._refresh: str | None = None
        self._spent: set[str] = set()
        self._challenge = ""
        self._lock = threading.Lock()
        handler = type("Handler", (_Handler,), {"auth": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def environment(self, prefix: str = "QWEN") -> dict[str, str]:
        """What a person sets to use it."""
        return {
            f"{prefix}_DEVICE_AUTH_URL": f"{self.url}/device",
            f"{prefix}_DEVICE_TOKEN_URL": f"{self.url}/token",
            f"{prefix}_CLIENT_ID": CLIENT,
        }

    def __enter__(self) -> Self:
        """Begin to serve."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def refreshes(self) -> int:
        """How often a token was renewed, or tried to."""
        return sum(form.get("grant_type") == "refresh_token" for _, form in self.forms)

    def answer(self, path: str, form: dict[str, str]) -> tuple[int, dict[str, Any]]:
        """Answer one form."""
        with self._lock:
            self.forms.append((path, form))
            if self.broken:
                self.broken -= 1
                return 503, {"error": "temporarily_unavailable"}
            if form.get("client_id") != CLIENT or form.get("client_secret") != self.secret:
                return 401, {
                    "error": "invalid_client",
                    "error_description": f"not {form.get('client_secret')}",
                }
            if path == "/device":
                return self._device(form)
            return self._by_code(form) if form.get("grant_type") == GRANT else self._by_refresh(form)

    def _device(self, form: dict[str, str]) -> tuple[int, dict[str, Any]]:
        if form.get("code_challenge_method") != "S256":
            return 400, {"error": "invalid_request"}
        self._challenge = form["code_challenge"]
        return 200, {
            "device_code": "the-device-code",
            "user_code": "WDJB-MJHT",
            "verification_uri": "https://auth.example/device",
            "verification_uri_complete": "https://auth.example/device?user_code=WDJB-MJHT",
            "expires_in": 600,
            "interval": self.interval_s,
        }

    def _by_code(self, form: dict[str, str]) -> tuple[int, dict[str, Any]]:
        digest = hashlib.sha256(form["code_verifier"].encode()).digest()
        if base64.urlsafe_b64encode(digest).rstrip(b"=").decode() != self._challenge:
            return 400, {"error": "invalid_grant", "error_description": "code_verifier"}
        if form["device_code"] != "the-device-code":
            return 400, {"error": "invalid_grant"}
        if self.pending:
            return 400, {"error": self.pending.pop(0)}
        return self._tokens()

    def _by_refresh(self, form: dict[str, str]) -> tuple[int, dict[str, Any]]:
        given = form["refresh_token"]
        if given in self._spent:
            self.revoked = True
            self.good.clear()
        if self.revoked or given != self._refresh:
            return 400, {"error": "invalid_grant", "error_description": f"{given} is spent"}
        self._spent.add(given)
        return self._tokens()

    def _tokens(self) -> tuple[int, dict[str, Any]]:
        number = len(self._spent) + 1
        access = f"access-secret-{number}"
        self._refresh = f"refresh-secret-{number}"
        self.good = {access}
        body = {"access_token": access, "refresh_token": self._refresh, "token_type": "Bearer"}
        return 200, {**body, "expires_in": self.expires_in_s, **self.extra}


class _Handler(BaseHTTPRequestHandler):
    auth: AuthServer

    def do_POST(self) -> None:
        """Answer a form with JSON."""
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        form = {name: values[0] for name, values in parse_qs(raw).items()}
        status, body = self.auth.answer(self.path, form)
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Say nothing on stderr."""
