"""What a person asked for and cannot have: one exception, whose kind tells a caller which answer to give."""

from __future__ import annotations

from typing import Any, Literal

Kind = Literal["not_found", "conflict", "invalid", "too_large", "unavailable"]


class ServiceError(Exception):
    """It cannot be done; the message says what, where, and what to do.

    Args:
        kind: not_found (no such task, host, file), conflict (as things stand; a repetition may work later),
            invalid (what was given cannot be used), too_large, unavailable (a host, a provider, the disk).
        message: for the person.
        fields: more of it for programs: of a refused task what, remedy, line, column, byte, field.
    """

    def __init__(self, kind: Kind, message: str, **fields: Any) -> None:
        super().__init__(message)
        self.kind: Kind = kind
        self.message = message
        self.fields: dict[str, Any] = fields
