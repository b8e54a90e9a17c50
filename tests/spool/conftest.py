from __future__ import annotations

import os

import pytest

from spool.admit import Rules


@pytest.fixture
def rules() -> Rules:
    """The rules of an agent of this user."""
    return Rules(
        max_task_bytes=4 << 20, quiet_s=2.0, unparsable_after_s=60.0, allowed_uids=frozenset({os.getuid()})
    )
