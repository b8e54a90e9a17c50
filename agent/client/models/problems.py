"""Errors as RFC 9457 has them."""

from __future__ import annotations

from typing import Any

from pydantic import ConfigDict, Field

from agent.client.models.base import Answer


class FieldProblem(Answer):
    """One field of a request that cannot be used.

    Args:
        where: body, query, path or header, and the field's path in it, with dots.
    """

    where: str
    message: str


class Problem(Answer):
    """application/problem+json.

    Args:
        type: about:blank, or what kind of problem it is, as a path below /problems/.
        title: the kind, the same for all of it.
        status: as in the answer's first line.
        detail: what, where, and what to do.
        instance: the path that was asked for.
        errors: the fields that cannot be used.
        fields: more of it for programs: of a refused task what, remedy, line, column, byte, field.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="allow",
        json_schema_extra={
            "examples": [
                {
                    "type": "about:blank",
                    "title": "Not Found",
                    "status": 404,
                    "detail": "no task nightly in /home/ada/ai-workspace: `aispool ls --all` lists all ids",
                    "instance": "/api/v1/tasks/nightly",
                    "errors": [],
                    "fields": {},
                }
            ]
        },
    )

    type: str = "about:blank"
    title: str
    status: int = Field(ge=400, le=599)
    detail: str
    instance: str
    errors: tuple[FieldProblem, ...] = ()
    fields: dict[str, Any] = Field(default_factory=dict)
