"""Dropping files anywhere on the page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nicegui import ui
from nicegui.element import Element

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from nicegui.events import MultiUploadEventArguments

MAX_FILES = 100


class DropZone(Element, component="drop_zone.js"):
    """The whole page takes files.

    Args:
        on_files: called with all names and contents of one drop.
        most_bytes: of one file.
    """

    def __init__(
        self, on_files: Callable[[list[tuple[str, bytes]]], Awaitable[Any]], most_bytes: int
    ) -> None:
        super().__init__()

        async def dropped(event: MultiUploadEventArguments) -> None:
            files = [(file.name, await file.read()) for file in event.files]
            await on_files(files)

        def refused() -> None:
            ui.notify(f"Too much: at most {MAX_FILES} files of {most_bytes:,} bytes each", type="negative")

        uploader = ui.upload(
            multiple=True,
            auto_upload=True,
            max_files=MAX_FILES,
            max_file_size=most_bytes,
            on_multi_upload=dropped,
            on_rejected=refused,
        )
        uploader.style("display: none")
        self._props["uploader"] = uploader.id
