"""Talking to an authorization server: forms out, tokens back, errors in OAuth's own words (RFC 6749)."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

from agent.collab.credentials import Secret, hidden
from agent.collab.providers.addresses import carries_secrets, check_url
from agent.collab.providers.base import ProviderError
from agent.collab.providers.failures import failure_of
from agent.collab.providers.http import Http

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agent.collab.providers.definition import ProviderDefinition

TIMEOUT_S: Final = 30.0
_SHOWN_CHARS: Final = 300


class OAuthError(ProviderError):
    """The server said no; `code` is OAuth's word for it, such as `invalid_grant`."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__("auth", message)
        self.code = code


@dataclass(frozen=True, slots=True)
class Server:
    """An authorization server, as a provider's definition and its variables name it."""

    name: str
    device_auth_url: str
    token_url: str
    client_id: str
    client_secret: Secret | None
    scope: str

    @classmethod
    def of(cls, definition: ProviderDefinition, environment: Mapping[str, str]) -> Server | None:
        """Return the server; None when nobody names one.

        The variables are NAME_DEVICE_AUTH_URL, NAME_DEVICE_TOKEN_URL, NAME_CLIENT_ID, NAME_CLIENT_SECRET and
        NAME_SCOPE (with commas or spaces), with the provider's name in capitals: QWEN_CLIENT_ID.

        Raises:
            ProviderError: an address is none, or would carry secrets in the open.
        """
        login = definition.login
        prefix = definition.name.upper().replace("-", "_").replace(".", "_")

        def value(name: str, otherwise: str | None) -> str:
            return environment.get(f"{prefix}_{name}", "").strip() or otherwise or ""

        addresses = {
            "DEVICE_AUTH_URL": value("DEVICE_AUTH_URL", login.device_auth_url if login else None),
            "DEVICE_TOKEN_URL": value("DEVICE_TOKEN_URL", login.token_url if login else None),
        }
        client_id = value("CLIENT_ID", login.client_id if login else None)
        if not all(addresses.values()) or not client_id:
            return None
        for name, address in addresses.items():
            try:
                addresses[name] = check_url(address)
            except ValueError as error:
                raise ProviderError("unavailable", f"{prefix}_{name}: {error}") from None
            if not carries_secrets(address):
                raise ProviderError(
                    "unavailable", f"{prefix}_{name} is plain http: tokens go over https only"
                )
        secret = value("CLIENT_SECRET", None)
        return cls(
            name=definition.name,
            device_auth_url=addresses["DEVICE_AUTH_URL"],
            token_url=addresses["DEVICE_TOKEN_URL"],
            client_id=client_id,
            client_secret=Secret(secret, f"{prefix}_CLIENT_SECRET") if secret else None,
            scope=" ".join(value("SCOPE", login.scope if login else None).replace(",", " ").split()),
        )

    def post(self, url: str, form: Mapping[str, str], held: tuple[Secret, ...] = ()) -> dict[str, Any]:
        """Send a form with our client's name in it, and return the object that comes back.

        Args:
            url: one of the server's.
            form: its fields.
            held: secrets among them.

        Raises:
            OAuthError: the server said no.
            ProviderError: it did not answer.
        """
        fields = {"client_id": self.client_id, **form}
        if self.client_secret is not None:
            fields["client_secret"] = self.client_secret.reveal()
            held = (*held, self.client_secret)
        headers = {"content-type": "application/x-www-form-urlencoded"}
        http = Http(self.name, url)
        try:
            answer = http.send(
                "", urlencode(fields).encode(), headers=headers, secrets=held, timeout_s=TIMEOUT_S
            )
        finally:
            http.close()
        if answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR or answer.status == HTTPStatus.TOO_MANY_REQUESTS:
            text = answer.body.decode(errors="replace")
            raise failure_of(self.name, answer.status, answer.headers, text, secrets=held)
        try:
            document = json.loads(answer.body)
        except (ValueError, RecursionError):
            document = None
        if not isinstance(document, dict):
            what = f"HTTP {answer.status} without a JSON object"
            raise ProviderError("bad_request", f"{self.name}: {url} answers {what}: is it the right address?")
        if "error" in document or answer.status not in range(200, 300):
            code = str(document.get("error", f"HTTP {answer.status}"))
            said = hidden(f"{code}: {document.get('error_description', '')}", held)[:_SHOWN_CHARS]
            raise OAuthError(code, f"{self.name}: {url} says {said.rstrip(': ')}")
        return document


def verifier() -> Secret:
    """Return a new PKCE code verifier (RFC 7636 4.1)."""
    return Secret(secrets.token_urlsafe(48), "PKCE")


def challenge(code_verifier: Secret) -> str:
    """Return the S256 challenge of a verifier (RFC 7636 4.2)."""
    digest = hashlib.sha256(code_verifier.reveal().encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
