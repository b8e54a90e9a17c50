from __future__ import annotations

import os
import shutil
import sys
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings

sys.path.insert(0, str(Path(__file__).resolve().parent))

import slurm_cluster

from spool import exclusive
from spool.workspace import Workspace, create

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# a shared machine stalls now and then: that is no fault of the code
settings.register_profile("aispool", deadline=None)
settings.load_profile("aispool")

SAMPLE_TASKS = Path(__file__).parent / "data" / "tasks"


@dataclass(slots=True)
class Clock:
    """Time that moves when a test says so: both clocks of a host at once."""

    monotonic_s: float = 1000.0
    utc: datetime = datetime(2026, 11, 20, 12, 0, 0, tzinfo=UTC)

    def __call__(self) -> float:
        """Return the monotonic clock."""
        return self.monotonic_s

    def now(self) -> datetime:
        """Return the wall clock."""
        return self.utc

    def advance(self, seconds: float) -> float:
        """Let time pass on both clocks; return the monotonic one."""
        self.monotonic_s += seconds
        self.utc += timedelta(seconds=seconds)
        return self.monotonic_s

    def set_wall(self, utc: datetime) -> None:
        """Let a person or NTP change the wall clock alone."""
        self.utc = utc


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return create(tmp_path / "ai-workspace")


@pytest.fixture
def sample_tasks() -> list[Path]:
    """The five tasks that real clients drop."""
    return sorted(SAMPLE_TASKS.glob("*.json"))


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


@pytest.fixture(scope="session")
def cluster() -> Iterator[slurm_cluster.Cluster]:
    """A small Slurm cluster, which every command of Slurm's finds from here on."""
    if lacking := slurm_cluster.missing():
        pytest.fail(f"{', '.join(lacking)}: install slurm-wlm and munge")
    folder = Path(tempfile.mkdtemp(prefix="slurm-", dir="/tmp"))
    cluster = slurm_cluster.Cluster(folder)
    os.environ["SLURM_CONF"] = str(cluster.conf)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()
        del os.environ["SLURM_CONF"]
        shutil.rmtree(folder)
