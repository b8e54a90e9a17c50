"""Pauses: files in configs/ that stop claiming; what runs goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.inspect.queue import pauses
from agent.service.errors import ServiceError
from agent.service.said import Said
from agent.tools.registry import Registry
from spool.files import remove
from spool.requests import RequestError, pause_marker
from spool.submit import request

if TYPE_CHECKING:
    from pathlib import Path

    from agent.service.places import Place


def pause(place: Place, *, tool: str | None = None, group: str | None = None) -> Said:
    """Stop claiming: in all, of one tool, or of one group.

    Raises:
        ServiceError: there is no such tool, or it is no name.
        ConfigError: tools.toml cannot be used.
    """
    marker, what = _marker(place, tool, group)
    if place.is_mirror:
        return Said(what, place.host, place.ask("pause", tool=tool, group=group), place.warning)
    existed = marker.exists()
    if tool and not existed:
        known = Registry.load(place.workspace).names()
        if tool not in known:
            raise ServiceError("invalid", f"there is no tool {tool!r}: the tools are {', '.join(known)}")
    request(marker)
    return Said(what, None, "paused", changed=not existed)


def unpause(place: Place, *, tool: str | None = None, group: str | None = None) -> Said:
    """Claim again after a pause; each pause ends by itself.

    Raises:
        ServiceError: it is no name.
    """
    marker, what = _marker(place, tool, group)
    if place.is_mirror:
        return Said(what, place.host, place.ask("unpause", tool=tool, group=group), place.warning)
    existed = marker.exists()
    remove(marker)
    left = ", ".join(pauses(place.workspace))
    said = "resumed" if existed else "was not paused"
    return Said(what, None, said, f"still paused: {left}" if left else None, changed=existed)


def _marker(place: Place, tool: str | None, group: str | None) -> tuple[Path, str]:
    if tool and group:
        raise ServiceError("invalid", "give a tool or a group, not both")
    try:
        marker = pause_marker(place.workspace, tool, group)
    except RequestError as error:
        raise ServiceError("invalid", str(error)) from None
    return marker, f"tool {tool}" if tool else f"group {group}" if group else "everything"
