"""Which provider and model serves which role best: proposals with their evidence, and nothing by itself.

A proposal needs labelled outcomes of both sides. It changes configs/roles.toml only when somebody says so
(`aispool collab tune --apply`) or has said so beforehand (`auto_tune = true` under [learning] of roles.toml),
and `aispool collab tune --undo` brings the file back as it was.
"""

from agent.collab.learning.applying import Applied, TuneError, apply, undo
from agent.collab.learning.evidence import Arm
from agent.collab.learning.proposing import Proposal, Settings, proposals, settings_of

__all__ = [
    "Applied",
    "Arm",
    "Proposal",
    "Settings",
    "TuneError",
    "apply",
    "proposals",
    "settings_of",
    "undo",
]
