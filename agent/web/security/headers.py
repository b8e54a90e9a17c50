"""The headers of every answer, and a policy under which only our own scripts run.

NiceGUI's page holds scripts of its own and compiles templates in the browser: the scripts get a nonce that is
new for each page, and the compiling needs 'unsafe-eval'; 'unsafe-inline' is not given to scripts. What tools
print reaches a page as escaped JSON: when the nonces are set, each `<script` in a page is one of ours.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Final

from starlette.datastructures import MutableHeaders

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

_SAME: Final = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",  # no-referrer makes the Origin of our own forms "null" (Fetch, 3.1)
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}
_STRICT_TRANSPORT: Final = "max-age=31536000"
_DATA_ONLY: Final = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'; sandbox"


def page_policy(nonce: str) -> str:
    """Return the Content-Security-Policy of a page."""
    return "; ".join(
        (
            "default-src 'none'",
            f"script-src 'self' 'nonce-{nonce}' 'unsafe-eval'",
            "style-src 'self' 'unsafe-inline'",
            "img-src 'self' data: blob:",
            "font-src 'self' data:",
            "connect-src 'self'",
            "worker-src 'self' blob:",
            "manifest-src 'self'",
            "form-action 'self'",
            "frame-ancestors 'none'",
            "base-uri 'none'",
        )
    )


class Headers:
    """Adds them, and the nonce to the scripts of a page.

    Args:
        app: what answers.
        secure: browsers reach us through TLS.
    """

    def __init__(self, app: ASGIApp, *, secure: bool) -> None:
        self.app = app
        self.secure = secure

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, with the headers."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        answer = _Answer(send, secure=self.secure)
        await self.app(scope, receive, answer.send)


class _Answer:
    """One answer on its way out; a page is held back until it is whole."""

    def __init__(self, send: Send, *, secure: bool) -> None:
        self._send = send
        self._secure = secure
        self._start: Message | None = None
        self._page = bytearray()

    async def send(self, message: Message) -> None:
        """Pass a message on."""
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in _SAME.items():
                headers.setdefault(name, value)
            if self._secure:
                headers.setdefault("strict-transport-security", _STRICT_TRANSPORT)
            if headers.get("content-type", "").startswith("text/html"):
                self._start = message
                return
            headers.setdefault("content-security-policy", _DATA_ONLY)
        elif message["type"] == "http.response.body" and self._start is not None:
            self._page += message.get("body", b"")
            if not message.get("more_body", False):
                await self._send_page(self._start)
            return
        await self._send(message)

    async def _send_page(self, start: Message) -> None:
        nonce = secrets.token_urlsafe(16)
        page = bytes(self._page).replace(b"<script", f'<script nonce="{nonce}"'.encode())
        headers = MutableHeaders(scope=start)
        headers["content-security-policy"] = page_policy(nonce)
        headers["content-length"] = str(len(page))
        headers["cache-control"] = "no-store"
        await self._send(start)
        await self._send({"type": "http.response.body", "body": page})
