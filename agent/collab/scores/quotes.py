"""Evidence that is found: a model's quote counts only when it stands verbatim in what was collected."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

SHORTEST_CHARS: Final = 8
"""A shorter quote stands in every file by chance; it counts only as a whole line."""


def is_found(quote: str, text: str) -> bool:
    """Tell whether a quote stands verbatim in a text; white space around it does not count."""
    words = quote.strip()
    if not words:
        return False
    if len(words) < SHORTEST_CHARS:
        return any(line.strip() == words for line in text.splitlines())
    return words in text


def found_share(quotes: Iterable[tuple[str, str]], texts: Mapping[str, str]) -> float | None:
    """Return e: the share of quotes found in the file that each names; None when nothing was quoted.

    Args:
        quotes: name of the evidence, and the quoted words.
        texts: name of the evidence → its content.
    """
    found = [source in texts and is_found(quote, texts[source]) for source, quote in quotes]
    return sum(found) / len(found) if found else None
