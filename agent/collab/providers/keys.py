"""A provider's keys, used in turn: one that is refused or used up rests while there are others."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Final, Protocol

from agent.collab.providers.base import OF_THE_KEY

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.collab.credentials import Secret
    from agent.collab.providers.base import ProviderError

RESTS_S: Final = {"auth": 3600.0, "quota": 3600.0, "rate_limit": 30.0}
"""How long a key rests when the provider does not say."""


class Keys(Protocol):
    """Where the key for the next request comes from."""

    def take(self) -> Secret | None:
        """Return a key; None for a provider that wants none.

        Raises:
            ProviderError: there was one, and it cannot be renewed.
        """
        ...

    def failed(self, key: Secret, error: ProviderError) -> bool:
        """Learn that a request with the key failed; tell whether another key may be tried at once."""
        ...


class KeyRing:
    """Some keys that do not change. Threads may share it.

    Args:
        keys: none for a provider that wants none.
        clock: monotonic seconds.
    """

    def __init__(self, keys: tuple[Secret, ...], clock: Callable[[], float] = time.monotonic) -> None:
        self._keys = keys
        self._clock = clock
        self._lock = threading.Lock()
        self._uses = dict.fromkeys(keys, 0)
        self._rests_until_s = dict.fromkeys(keys, 0.0)

    def take(self) -> Secret | None:
        """Return the least used key that does not rest; when all do, the one that rests the shortest."""
        if not self._keys:
            return None
        with self._lock:
            now_s = self._clock()
            key = min(self._keys, key=lambda k: (max(self._rests_until_s[k], now_s), self._uses[k]))
            self._uses[key] += 1
            return key

    def failed(self, key: Secret, error: ProviderError) -> bool:
        """Let the key rest when the failure was its own; tell whether another one is ready."""
        if error.kind not in OF_THE_KEY:
            return False
        with self._lock:
            now_s = self._clock()
            rest_s = error.retry_after_s if error.retry_after_s is not None else RESTS_S[error.kind]
            self._rests_until_s[key] = now_s + rest_s
            return any(other != key and until_s <= now_s for other, until_s in self._rests_until_s.items())
