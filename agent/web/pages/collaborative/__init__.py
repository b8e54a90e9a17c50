"""The pages of the collaborative pipeline: asking, the list of runs, and one run from question to end.

listing    /collab: the form, and the runs so far
run        /collab/ID: follows one run; the parts of that page:
cards        one card a role, filled in phase by phase
scores       consensus and confidence, the matrix of answers, dissent
commands     what was proposed, its exact bytes, Approve and Refuse
outcome      the report, its export, and how it turned out
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.web.pages.collaborative import listing, run

if TYPE_CHECKING:
    from agent.web.context import Context


def register(context: Context) -> None:
    """Declare the routes."""
    listing.register(context)
    run.register(context)
