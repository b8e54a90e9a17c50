"""The tokens of a login: configs/logins/NAME.json (0600), renewed by one process at a time.

A refresh token is often good for one use (rotation). So whoever wants to renew takes the file's lock, and
looks first whether another has renewed it meanwhile. What the server sends is on the disk before it is used;
only a kill between its answer and that costs a new login.
"""

from __future__ import annotations

import fcntl
import os
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from pydantic import Field

from agent.collab.credentials import CredentialError, Secret
from agent.collab.providers.addresses import check_url
from agent.collab.providers.base import ProviderError
from agent.collab.providers.oauth import OAuthError
from spool.files import make_folder, remove
from spool.records import DamagedError, Record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from agent.collab.providers.oauth import Server
    from spool.workspace import Workspace

EARLY_S: Final = 60.0
"""A token that ends so soon is renewed before it is used."""
UNSAID_S: Final = 3600.0
"""How long a token is taken to be good when the server does not say (RFC 6749 5.1 lets it)."""


class Tokens(Record):
    """The file. Its values are secrets: `repr` shows none.

    Args:
        expires_at_s: since the epoch.
        base_url: of the API that takes the token, where the server named one.
    """

    access_token: str = Field(repr=False)
    refresh_token: str | None = Field(default=None, repr=False)
    expires_at_s: float
    scope: str = ""
    base_url: str | None = None

    @classmethod
    def of(cls, document: dict[str, Any], now_s: float, before: Tokens | None = None) -> Tokens:
        """Read a token response; what it leaves out stays as it was before.

        Raises:
            OAuthError: it holds no token.
        """
        access = document.get("access_token")
        if not isinstance(access, str) or not access.isascii() or not access.isprintable():
            raise OAuthError("invalid_response", "the server sent no access token: try to log in again")
        lasts = document.get("expires_in")
        refresh = document.get("refresh_token")
        return cls(
            access_token=access,
            refresh_token=refresh
            if isinstance(refresh, str) and refresh
            else before and before.refresh_token,
            expires_at_s=now_s + (float(lasts) if isinstance(lasts, int | float) else UNSAID_S),
            scope=str(document.get("scope") or (before.scope if before else "")),
            base_url=_api_url(document.get("resource_url")) or (before.base_url if before else None),
        )


def _api_url(resource: Any) -> str | None:
    """Return the base URL of the API that a server names (`resource_url`, as Qwen's does: `host` alone)."""
    if not isinstance(resource, str) or not resource:
        return None
    url = resource if "://" in resource else f"https://{resource}"
    try:
        url = check_url(url)
    except ValueError:
        return None
    return url if urlsplit(url).path else f"{url}/v1"


class TokenStore:
    """One login's file."""

    def __init__(self, workspace: Workspace, name: str) -> None:
        self.file: Path = workspace.configs / "logins" / f"{name}.json"
        self.name = name

    def read(self) -> Tokens | None:
        """Return the tokens; None when nobody logged in.

        Raises:
            CredentialError: the file is damaged, or others may read it.
        """
        try:
            status = self.file.lstat()
        except FileNotFoundError:
            return None
        if status.st_mode & 0o077 or status.st_uid != os.geteuid():
            raise CredentialError(f"{self.file} holds tokens and must be yours alone: chmod 600 {self.file}")
        try:
            return Tokens.read(self.file)
        except DamagedError:
            raise CredentialError(
                f"{self.file} is damaged: log in again with `aispool collab login {self.name}`"
            ) from None

    def write(self, tokens: Tokens) -> None:
        """Keep tokens, durably."""
        make_folder(self.file.parent)
        tokens.write(self.file)

    def forget(self) -> bool:
        """Remove the tokens; False when there were none."""
        with self.locked():
            there = self.file.exists()
            remove(self.file)
        return there

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Be the only one, of all processes and threads, who renews these tokens."""
        make_folder(self.file.parent)
        lock = self.file.with_name(f".{self.file.name}.lock")
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


class LoginKeys:
    """The access token of a login as a provider's key. Threads may share it.

    Args:
        store: where the tokens are.
        server: that renews them; None when its address is not known any more.
        now: seconds since the epoch.
    """

    def __init__(
        self, store: TokenStore, server: Server | None, now: Callable[[], float] = time.time
    ) -> None:
        self._store = store
        self._server = server
        self._now = now
        self._lock = threading.Lock()
        self._after_refusal: str | None = None

    def take(self) -> Secret:
        """Return a token that is good for a while.

        Raises:
            ProviderError: there is none, and none can be had without a person.
        """
        tokens = self._read()
        left_s = tokens.expires_at_s - self._now()
        if left_s < EARLY_S:
            try:
                tokens = self._renewed(tokens.access_token)
            except ProviderError as error:
                if left_s <= 0 or error.kind == "auth":
                    raise
        return self._secret(tokens)

    def failed(self, key: Secret, error: ProviderError) -> bool:
        """Renew a token that was refused before its time; once, as a new one may be refused, too."""
        if error.kind != "auth":
            return False
        with self._lock:
            if key.reveal() == self._after_refusal:
                return False
            try:
                self._after_refusal = self._renewed(key.reveal()).access_token
            except ProviderError:
                return False
            return True

    def _renewed(self, old: str) -> Tokens:
        """Return other tokens than the old ones: renewed by another meanwhile, or by us now.

        Raises:
            ProviderError: that is impossible.
        """
        try:
            with self._store.locked():
                return self._renewed_alone(old)
        except OSError as error:
            where = error.filename or self._store.file
            raise ProviderError("unavailable", f"{self._store.name}: {where}: {error.strerror}") from None

    def _renewed_alone(self, old: str) -> Tokens:
        tokens = self._read()
        if tokens.access_token != old:
            return tokens
        if tokens.refresh_token is None or self._server is None:
            raise self._over("it has ended and cannot be renewed")
        # the disk is tried first: a refresh token that was used, and its heir not kept, is a lost login
        self._store.write(tokens)
        secret = Secret(tokens.refresh_token, "refresh token")
        form = {"grant_type": "refresh_token", "refresh_token": tokens.refresh_token}
        try:
            document = self._server.post(self._server.token_url, form, (secret,))
        except OAuthError as error:
            raise self._over(error.message) from None
        renewed = Tokens.of(document, self._now(), tokens)
        self._store.write(renewed)
        return renewed

    def _read(self) -> Tokens:
        try:
            tokens = self._store.read()
        except CredentialError as error:
            raise ProviderError("auth", f"{self._store.name}: {error}") from None
        if tokens is None:
            raise self._over("it was removed")
        return tokens

    def _secret(self, tokens: Tokens) -> Secret:
        return Secret(tokens.access_token, f"the login in {self._store.file}")

    def _over(self, why: str) -> ProviderError:
        name = self._store.name
        return ProviderError(
            "auth", f"the login of {name} is over ({why}): run `aispool collab login {name}`"
        )
