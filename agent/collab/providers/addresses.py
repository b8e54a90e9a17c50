"""Base URLs, and where a secret may be sent."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit


def is_loopback(url: str) -> bool:
    """Tell whether an address is this machine's own, and the end of an ssh tunnel perhaps."""
    host = urlsplit(url).hostname or ""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def carries_secrets(url: str) -> bool:
    """Tell whether a secret may be sent there: over https, or without leaving this machine."""
    return urlsplit(url).scheme == "https" or is_loopback(url)


def check_url(text: str) -> str:
    """Return a base URL without its last slash.

    Raises:
        ValueError: it is none, or it holds a password.
    """
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError:
        raise ValueError("it is not a web address: write it like https://example.org/v1") from None
    if parts.scheme not in {"http", "https"} or not parts.hostname or any(c.isspace() for c in text):
        raise ValueError("it is not a web address: write it like https://example.org/v1")
    if parts.username is not None or parts.password is not None:
        raise ValueError("it holds a password: take it out, and give the key as key_env says")
    if parts.query or parts.fragment:
        raise ValueError("it goes on behind the path: take away what begins with ? or #")
    return text.rstrip("/")
