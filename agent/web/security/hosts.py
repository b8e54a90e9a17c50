"""Under which names we are reached, and from where a request comes.

A page of somebody else can make a browser send requests to 127.0.0.1 under that page's own name, by answering
for it with our address (DNS rebinding): so a Host header must name us. An address in digits is always ours:
no name was asked for, so nobody could answer wrongly. Forwarded headers are believed from the proxy only.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from starlette.datastructures import Headers

    from agent.web.context import Settings

_HOST: Final = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]+))(?::[0-9]{1,5})?")
LOOPBACK_NAMES: Final = frozenset({"localhost"})


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a request comes from, and which origin its browser sees us at.

    Args:
        address: of the client.
        scheme: http or https.
        host: name or address with its port, as in the Host header.
    """

    address: str
    scheme: str
    host: str

    @property
    def text(self) -> str:
        """Return it as a browser writes it in an Origin header."""
        default = ":443" if self.scheme == "https" else ":80"
        return f"{self.scheme}://{self.host.lower().removesuffix(default)}"


class UnknownHostError(Exception):
    """The Host header does not name us, or the request did not come through the proxy."""


def is_loopback(host: str) -> bool:
    """Tell whether an address can be reached from this machine only."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host in LOOPBACK_NAMES


def origin_of(settings: Settings, headers: Headers, peer: str) -> Origin:
    """Return where a request comes from.

    Args:
        settings: of the server.
        headers: of the request.
        peer: the address of the connection's other end.

    Raises:
        UnknownHostError: it names somebody else, or came past the proxy.
    """
    host = headers.get("host", "")
    scheme = "https" if settings.tls else "http"
    if settings.proxy is not None:
        if peer not in settings.proxy_addresses:
            raise UnknownHostError(f"this server is reached through {settings.proxy} only")
        host = _forwarded(headers, "host") or host
        peer = _forwarded(headers, "for") or peer
        scheme = _forwarded(headers, "proto") or "https"
        if scheme != "https":
            raise UnknownHostError(f"{settings.proxy} was reached without TLS: let it redirect to https")
    if not _is_ours(settings, name_of(host)):
        raise UnknownHostError(
            "this server is not reached under the name in the Host header: "
            "start it with `--name NAME` if it is yours"
        )
    return Origin(peer, scheme, host)


def _forwarded(headers: Headers, what: str) -> str:
    """Return the last entry: the proxy's own, in the client's line or in one behind it (RFC 9110, 5.3)."""
    return ",".join(headers.getlist(f"x-forwarded-{what}")).rpartition(",")[2].strip()


def name_of(host: str) -> str:
    """Return a Host header's name or address without its port, in lower case; nothing for what is no host."""
    match = _HOST.fullmatch(host)
    return (match[1] or match[2]).lower() if match else ""


def _is_ours(settings: Settings, name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return bool(name) and name in own_names(settings)
    return True


def own_names(settings: Settings) -> frozenset[str]:
    """Return the names that a Host header may give."""
    names = {*LOOPBACK_NAMES, settings.host, *settings.names}
    if settings.proxy is not None:
        names.add(settings.proxy)
    if not is_loopback(settings.host):
        names.add(socket.gethostname())
    return frozenset(name.lower() for name in names)
