"""How roles and providers do, from the step files of all runs that are kept, and from the labels.

The files are the truth. What was read of them is kept in collab/.metrics.sqlite, so that only new and changed
runs are read again; the file can be deleted at any time.
"""

from agent.collab.metrics.figures import Figures, figures
from agent.collab.metrics.prometheus import exposition
from agent.collab.metrics.publishing import document, publish
from agent.collab.metrics.reading import read_runs
from agent.collab.metrics.sums import Calibration, Day, Player, Quality

__all__ = [
    "Calibration",
    "Day",
    "Figures",
    "Player",
    "Quality",
    "document",
    "exposition",
    "figures",
    "publish",
    "read_runs",
]
