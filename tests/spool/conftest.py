from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from spool import exclusive
from spool.admit import Rules

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CALLS = ("rename", "replace", "mkdir", "rmdir", "link", "unlink", "write", "fsync")


class DiedError(BaseException):
    """A kill -9: nothing handles it, and nothing is done after it."""


class Killer:
    """Lets a part of a program make some system calls, and no more."""

    def __init__(self) -> None:
        self.left: int | None = None

    def wrapped(self, call: Callable[..., Any]) -> Callable[..., Any]:
        """Return the call, dead after its turn."""

        def counted(*args: Any, **kwargs: Any) -> Any:
            if self.left is not None:
                if self.left <= 0:
                    raise DiedError
                self.left -= 1
            return call(*args, **kwargs)

        return counted

    def deaths(self, prepare: Callable[[], Callable[[], Any]]) -> Iterator[int]:
        """Kill what `prepare` returns before its first call, its second, and so on; yield each time."""
        for calls in range(200):
            act = prepare()
            self.left = calls
            try:
                act()
            except DiedError:
                self.left = None
                yield calls
            else:
                self.left = None
                assert calls > 0, "it made no system call that counts"
                return
            finally:
                self.left = None
        pytest.fail("it never came to an end")


@pytest.fixture
def killer(monkeypatch: pytest.MonkeyPatch) -> Killer:
    """A kill at the n-th system call that changes a disk, for every n."""
    killer = Killer()
    for name in CALLS:
        monkeypatch.setattr(os, name, killer.wrapped(getattr(os, name)))
    monkeypatch.setattr(exclusive, "_renameat2", killer.wrapped(exclusive._renameat2))
    return killer


@pytest.fixture
def rules() -> Rules:
    """The rules of an agent of this user."""
    return Rules(
        max_task_bytes=4 << 20, quiet_s=2.0, unparsable_after_s=60.0, allowed_uids=frozenset({os.getuid()})
    )
