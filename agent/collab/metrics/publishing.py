"""The figures as one JSON document: for `--json`, and in collab/metrics.json for whoever reads files."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from agent.collab import labels
from agent.collab.metrics.figures import figures
from agent.collab.metrics.reading import read_runs
from spool.files import make_folder, put
from spool.records import SCHEMA_VERSION, iso, utc_now

if TYPE_CHECKING:
    from datetime import datetime

    from agent.collab.metrics.figures import Figures
    from spool.workspace import Workspace

FILE: Final = "metrics.json"


def document(found: Figures) -> dict[str, Any]:
    """Return the figures as JSON has them; what is not known is null."""
    return {
        "total": found.total.document(),
        "days": [day.document() for day in found.days],
        "players": [player.document() for player in found.players],
        "calibration": found.calibration.document(),
        "damaged": list(found.damaged),
    }


def publish(workspace: Workspace, now: datetime | None = None) -> None:
    """Write collab/metrics.json anew, as runs and labels are now.

    Raises:
        OSError: it cannot be written.
    """
    found = figures(read_runs(workspace), labels.read_all(workspace))
    content = {"schema_version": SCHEMA_VERSION, "made_at": iso(now or utc_now()), **document(found)}
    place = workspace.root / "collab"
    make_folder(place)
    put(place / FILE, (json.dumps(content, indent=2, ensure_ascii=True) + "\n").encode(), durable=False)
