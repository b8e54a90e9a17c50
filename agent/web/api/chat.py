"""The plain chat."""

from __future__ import annotations

from fastapi import APIRouter

from agent.client.models import ChatAsked, Chatted
from agent.service import collab
from agent.web.api.parameters import IdempotencyKey, Now, Submitter
from agent.web.api.submitting import as_things_stand

routes = APIRouter(tags=["Chat"])


@routes.post("/chat", summary="Ask one model")
def chat(
    context: Now, identity: Submitter, asked: ChatAsked, idempotency_key: IdempotencyKey = None
) -> Chatted:
    """Ask one model; what is complex is handed over to all roles, and `why` says by which rule.

    A key counts for the run that it is handed over to; a plain answer is asked for anew each time.
    """
    with as_things_stand():
        found = collab.chat(
            context.desk, asked.text, by=identity.name, plain=asked.plain, key=idempotency_key
        )
    return Chatted.model_validate(found, from_attributes=True)
