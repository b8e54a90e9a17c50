"""Numbers that code computes from frozen, independent answers; no model is asked for one.

`consensus` says how far raters of different model families agree, `confidence` how far the outcome can be
trusted, and `calibration` turns that into a probability once enough outcomes are known. README.md has what
was measured.
"""

from agent.collab.scores.calibration import Calibrator
from agent.collab.scores.confidence import Confidence, Factors, confidence, passed_share, safety_factor
from agent.collab.scores.consensus import Consensus, Item, consensus
from agent.collab.scores.quotes import found_share

__all__ = [
    "Calibrator",
    "Confidence",
    "Consensus",
    "Factors",
    "Item",
    "confidence",
    "consensus",
    "found_share",
    "passed_share",
    "safety_factor",
]
