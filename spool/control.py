"""What a collector asks of a host: one small file each, put whole into the host's inbox/control/ULID.json.

A file says one thing to do. It is parsed strictly; its fields are those of what it does, and no others.
Delivered twice, it is done once: its ULID is remembered, and what it does a second time changes nothing.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StrictInt,
    StrictStr,
    ValidationError,
    model_validator,
)

from spool.records import Utc  # noqa: TC001 - pydantic reads the annotations
from spool.refusal import Refusal
from spool.strictjson import StrictJSONError, parse_object
from spool.task import Name, TaskId, Ulid, refusal_of, unencodable

MOST_COLLECTED: Final = 10_000
"""Results that one file may acknowledge."""

Do = Literal[
    "cancel",
    "withdraw",
    "hold",
    "release",
    "retry",
    "resume-conversation",
    "answer",
    "approve",
    "pause",
    "unpause",
    "ack",
    "enrol",
]

_ALWAYS: Final = frozenset({"schema_version", "id", "do", "issued_at"})
_FIELDS: Final[dict[str, tuple[frozenset[str], frozenset[str]]]] = {
    **dict.fromkeys(("cancel", "withdraw", "hold", "release"), (frozenset({"task_id"}), frozenset())),
    **dict.fromkeys(("retry", "resume-conversation"), (frozenset({"task_id"}), frozenset({"sha256"}))),
    "answer": (frozenset({"task_id", "text"}), frozenset()),
    "approve": (frozenset({"task_id", "number", "sha256"}), frozenset()),
    **dict.fromkeys(("pause", "unpause"), (frozenset(), frozenset({"tool", "group"}))),
    "ack": (frozenset({"collected"}), frozenset()),
    "enrol": (frozenset({"collector", "workspace_id"}), frozenset()),
}
"""What each thing to do needs, and what it may have beside."""


Digest = Annotated[StrictStr, Field(pattern=r"^[0-9a-f]{64}$")]


class Control(BaseModel):
    """One thing to do.

    Args:
        id: also the stem of the file's name.
        sha256: approve: of the proposed command; retry: of the result.json that is meant.
        number: of the proposed command.
        tool: whose claiming is paused; with neither this nor `group`, all claiming.
        collected: ack: the SHA-256 of the result.json that the collector holds a verified copy of, by id.
        collector: enrol: who collects from here on.
        workspace_id: enrol: by which the collector knows this workspace again.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_version: Literal[1] = 1
    id: Ulid
    do: Do
    task_id: TaskId | None = None
    text: StrictStr | None = None
    number: Annotated[StrictInt, Field(ge=1, le=1_000_000)] | None = None
    sha256: Digest | None = None
    tool: Name | None = None
    group: Name | None = None
    collected: Annotated[dict[TaskId, Digest], Field(max_length=MOST_COLLECTED)] | None = None
    collector: Name | None = None
    workspace_id: Ulid | None = None
    issued_at: Utc

    @model_validator(mode="after")
    def _has_what_it_needs(self) -> Self:
        needed, more = _FIELDS[self.do]
        given = {name for name in type(self).model_fields if getattr(self, name) is not None} - _ALWAYS
        if missing := sorted(needed - given):
            raise ValueError(f"{self.do} needs {', '.join(missing)}")
        if unwanted := sorted(given - needed - more):
            raise ValueError(f"{self.do} has no {', '.join(unwanted)}")
        if self.tool is not None and self.group is not None:
            raise ValueError("name a tool or a group, not both")
        return self

    def encoded(self) -> bytes:
        """Return the file's content."""
        return self.model_dump_json(indent=2, exclude_none=True).encode() + b"\n"


def parse_control(content: bytes, stem: str) -> Control | Refusal:
    """Read a control file.

    Args:
        content: its bytes.
        stem: of its name, which must be its id.
    """
    try:
        raw = parse_object(content)
    except StrictJSONError as error:
        return Refusal(error.what, error.remedy, place=error.place, final=False)
    if (problem := unencodable(raw, "")) is not None:
        return problem
    try:
        control = Control.model_validate(raw)
    except ValidationError as error:
        return refusal_of(error, content, Control, "control file")
    if control.id != stem:
        return Refusal(f"its id is {control.id}, its name {stem}.json", "name it by its id", field="id")
    return control
