from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import settings

from spool.workspace import Workspace, create

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
