"""ETags of answers, and 304 for who has them already.

The tag is that of the bytes, weak since a proxy or we may compress them. What is read is read anew each time:
the folder is the state, and a tag that were kept beside it could lie.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from starlette.datastructures import Headers, MutableHeaders

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send


class ETags:
    """Tags every JSON answer to a GET."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or say that nothing changed."""
        if scope["type"] != "http" or scope["method"] != "GET":
            await self.app(scope, receive, send)
            return
        await self.app(scope, receive, _Answer(Headers(scope=scope).get("if-none-match", ""), send).send)


class _Answer:
    def __init__(self, known: str, send: Send) -> None:
        self._known = known
        self._send = send
        self._start: Message | None = None
        self._body = bytearray()

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            is_json = headers.get("content-type", "") == "application/json"
            headers.setdefault("cache-control", "private, no-cache")
            if message["status"] == 200 and is_json and "etag" not in headers:  # noqa: PLR2004 - OK
                self._start = message
                return
        elif self._start is not None:
            self._body += message.get("body", b"")
            if not message.get("more_body", False):
                await self._finish(self._start)
            return
        await self._send(message)

    async def _finish(self, start: Message) -> None:
        headers = MutableHeaders(scope=start)
        headers["etag"] = f'W/"{hashlib.sha256(self._body).hexdigest()[:32]}"'
        body = bytes(self._body)
        if matches(self._known, headers["etag"]):
            start["status"], body = 304, b""
            del headers["content-length"], headers["content-type"]
        await self._send(start)
        await self._send({"type": "http.response.body", "body": body})


def matches(known: str, tag: str) -> bool:
    """Tell whether If-None-Match names a tag: weakly, as RFC 9110 compares there."""
    names = {each.strip().removeprefix("W/") for each in known.split(",")}
    return "*" in names or tag.removeprefix("W/") in names
