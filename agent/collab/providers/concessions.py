"""What a model refuses is left out of the next request, and remembered.

Some models answer 400 to a temperature, to the older name of the limit of tokens, or to a way of demanding a
shape; some spend all their tokens on thoughts and say nothing. None of it is known before it is tried.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from agent.collab.providers.schemas import WEAKER
from agent.collab.providers.wire import Ask, SaidNothingError

if TYPE_CHECKING:
    from agent.collab.providers.base import ProviderError, Request
    from agent.collab.providers.definition import ProviderDefinition, SchemaMode

MOST_CONCESSIONS: Final = 5
ROOM_TO_THINK: Final = 4
"""So many times the tokens, for a model that has used all of them before it said anything."""
_ABOUT_SHAPES: Final = ("response_format", "schema", "json", "tool", "function", "structured", "mimetype")


@dataclass(slots=True)
class Concessions:
    """What one model has refused so far. Threads share it: what a request did, stands in its `Ask`."""

    without_temperature: bool = False
    newer_limit: bool = False
    room: int = 1
    mode: SchemaMode | None = None

    def concede(self, ask: Ask, error: ProviderError) -> bool:
        """Give in to what a request failed with; False when that is nothing of ours."""
        said = error.message.lower()
        if isinstance(error, SaidNothingError) and ask.max_tokens is not None and ask.room == 1:
            self.room = ROOM_TO_THINK
        elif error.kind != "bad_request":
            return False
        elif "max_completion_tokens" in said and ask.max_tokens is not None and not ask.newer_limit:
            self.newer_limit = True
        elif "temperature" in said and ask.temperature is not None:
            self.without_temperature = True
        elif ask.schema and ask.mode in WEAKER and any(word in said for word in _ABOUT_SHAPES):
            self.mode = WEAKER[ask.mode]
        else:
            return False
        return True


def ask_of(request: Request, model: str, definition: ProviderDefinition, conceded: Concessions) -> Ask:
    """Return a request with everything decided that the wire format needs."""
    tempered = definition.takes_temperature and not conceded.without_temperature
    max_tokens = request.max_tokens or definition.max_tokens
    return Ask(
        messages=request.messages,
        model=model,
        temperature=request.temperature if tempered else None,
        max_tokens=max_tokens and max_tokens * conceded.room,
        schema=request.schema,
        mode=conceded.mode or definition.schema_mode,
        room=conceded.room,
        newer_limit=conceded.newer_limit,
    )
