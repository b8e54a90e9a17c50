"""Names of hosts and addresses of pages that a command may look up without asking.

What is looked up leaves the host: a long or coded name can carry data out (DNS exfiltration), a query string
too, and the address of a cloud's metadata service hands out keys. Such targets are not plain.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import urlsplit

_HOST: Final = re.compile(
    r"(?=.{1,60}$)(?:[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,22}[A-Za-z0-9])?\.){0,4}[A-Za-z0-9](?:[A-Za-z0-9-]{0,22}[A-Za-z0-9])?\.?"
)
_ADDRESS: Final = re.compile(
    r"\[?(?=[^:]*:)[0-9a-fA-F:]{2,39}(?:%\w+)?\]?|(?:(?:0|[1-9]\d{0,2})\.){3}(?:0|[1-9]\d{0,2})"
)
_NUMERIC: Final = re.compile(r"(?:0[xX][0-9a-fA-F]*|\d+)(?:\.(?:0[xX][0-9a-fA-F]*|\d+))*\.?")
_METADATA: Final = re.compile(
    r"169\.254\.|\[?fd00:ec2:|metadata|100\.100\.100\.200|0xa9|2852039166|\[?::ffff:", re.IGNORECASE
)
_PATH: Final = re.compile(r"/[A-Za-z0-9._/~-]{0,80}")
_CODED: Final = re.compile(r"[0-9a-fA-F]{16,}|[A-Za-z0-9]*\d[A-Za-z0-9]*\d[A-Za-z0-9]*\d[A-Za-z0-9]{8,}")


def plain_host(text: str) -> bool:
    """Tell whether it is an ordinary name or address that carries nothing out."""
    if _METADATA.match(text):
        return False
    if ":" in text or _NUMERIC.fullmatch(text):  # 0251.0376.1, 2852039166 and the like hide an address
        return bool(_ADDRESS.fullmatch(text))
    return bool(_HOST.fullmatch(text)) and not any(_CODED.fullmatch(label) for label in text.split("."))


def plain_url(text: str) -> bool:
    """Tell whether it is the address of an ordinary page: no user, no query, a short path."""
    try:
        parts = urlsplit(text if "://" in text else f"http://{text}")
        host, port = parts.hostname, parts.port
    except ValueError:
        return False
    if parts.scheme not in {"http", "https"} or host is None or "@" in parts.netloc:
        return False
    if parts.netloc.endswith(":"):  # file:/path
        return False
    plain = not parts.query and not parts.fragment and (port is None or port > 0)
    return plain and plain_host(host) and (not parts.path or bool(_PATH.fullmatch(parts.path)))
