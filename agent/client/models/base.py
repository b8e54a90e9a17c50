"""What all answers have in common."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, PlainSerializer, WithJsonSchema

from spool.records import iso
from spool.task import parse_time

Moment = Annotated[
    datetime,
    BeforeValidator(parse_time),
    PlainSerializer(iso, return_type=str),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]
"""UTC; in JSON as ISO 8601 with milliseconds."""


class Answer(BaseModel):
    """Read leniently: a newer server's further fields are kept, in `model_extra`."""

    model_config = ConfigDict(frozen=True, extra="allow")


class Asked(BaseModel):
    """A request's body: strict, so that a misspelt field is told and never ignored."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)
