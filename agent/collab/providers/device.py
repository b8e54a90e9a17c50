"""The device flow of RFC 8628 with PKCE: a code for a person, and then waiting for the consent."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from agent.collab.credentials import Secret
from agent.collab.providers.base import PASSING, ProviderError
from agent.collab.providers.oauth import OAuthError, Server, challenge, verifier
from agent.collab.providers.tokens import Tokens

if TYPE_CHECKING:
    from collections.abc import Callable

GRANT: Final = "urn:ietf:params:oauth:grant-type:device_code"
INTERVAL_S: Final = 5.0
"""Between two questions, when the server does not say (RFC 8628 3.2); `slow_down` adds as much."""
LONGEST_INTERVAL_S: Final = 60.0
EXPIRES_S: Final = 600.0


@dataclass(frozen=True, slots=True)
class Code:
    """What a person is shown.

    Args:
        user_code: to be typed there.
        verification_uri: where.
        complete_uri: the same with the code in it; None when the server has none.
        expires_in_s: from now.
    """

    user_code: str
    verification_uri: str
    complete_uri: str | None
    expires_in_s: float
    interval_s: float
    device_code: Secret
    verifier: Secret


def begin(server: Server) -> Code:
    """Ask for a code.

    Raises:
        ProviderError: the server gave none.
    """
    code_verifier = verifier()
    form = {"code_challenge": challenge(code_verifier), "code_challenge_method": "S256"}
    if server.scope:
        form["scope"] = server.scope
    document = server.post(server.device_auth_url, form)
    uri = document.get("verification_uri") or document.get("verification_url")
    texts = (document.get("device_code"), document.get("user_code"), uri)
    if not all(isinstance(text, str) and text for text in texts):
        raise OAuthError(
            "invalid_response", f"{server.name}: {server.device_auth_url} sent no code: is that the address?"
        )
    device_code, user_code, verification_uri = (str(text) for text in texts)
    complete = document.get("verification_uri_complete")
    return Code(
        user_code=user_code,
        verification_uri=verification_uri,
        complete_uri=complete if isinstance(complete, str) and complete else None,
        expires_in_s=_seconds(document.get("expires_in"), EXPIRES_S),
        interval_s=_seconds(document.get("interval"), INTERVAL_S),
        device_code=Secret(device_code, "device code"),
        verifier=code_verifier,
    )


def wait_for_consent(
    server: Server,
    code: Code,
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
    now: Callable[[], float] = time.time,
) -> Tokens:
    """Ask until a person has agreed.

    Args:
        server: that gave the code.
        code: of `begin`.
        clock: monotonic seconds.
        sleep: for seconds.
        now: seconds since the epoch.

    Raises:
        OAuthError: the person said no, or the code's time is over.
        ProviderError: the server does not answer.
    """
    end_s = clock() + code.expires_in_s
    interval_s = code.interval_s
    form = {
        "grant_type": GRANT,
        "device_code": code.device_code.reveal(),
        "code_verifier": code.verifier.reveal(),
    }
    while clock() + interval_s <= end_s:
        sleep(interval_s)
        try:
            document = server.post(server.token_url, form, (code.device_code, code.verifier))
        except OAuthError as error:
            match error.code:
                case "authorization_pending":
                    continue
                case "slow_down":
                    interval_s = min(interval_s + INTERVAL_S, LONGEST_INTERVAL_S)
                    continue
            raise
        except ProviderError as error:
            if error.kind not in PASSING:
                raise
            # RFC 8628 3.5: ask less often after a time-out
            interval_s = min(interval_s * 2, LONGEST_INTERVAL_S)
            continue
        return Tokens.of(document, now())
    raise OAuthError("expired_token", f"{server.name}: nobody agreed in time: try again")


def _seconds(value: Any, otherwise: float) -> float:
    good = isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < 1e6  # noqa: PLR2004
    return float(value) if good else otherwise
