"""In which language a question is asked, and our own words in that language (words.toml).

Detection is simple on purpose: the words of a question that are typical of a language are counted, and
letters that only Spanish has count as well; a tie, or nothing known, is English. The models are told the
language by its name, so that one without words of ours is answered in all the same when the task says
`language`; only the headings are English then.
"""

from __future__ import annotations

import re
import tomllib
from functools import lru_cache
from importlib import resources
from typing import Any, Final

DEFAULT: Final = "en"
NAMES: Final = {
    "en": "English",
    "es": "Spanish",
    "fr": "French",
    "de": "German",
    "pt": "Portuguese",
    "it": "Italian",
    "ca": "Catalan",
}

_WORD: Final = re.compile(r"[^\W\d_]+")
_SPANISH_SIGNS: Final = re.compile("[¿¡ñ]", re.IGNORECASE)
_SPANISH_VOWELS: Final = frozenset("áéíóú")


def detect(text: str) -> str:
    """Return `es` or `en`: the language of a question."""
    found = [word.casefold() for word in _WORD.findall(text)]
    counts = {name: sum(word in table["typical"] for word in found) for name, table in _tables().items()}
    counts["es"] += 2 * len(_SPANISH_SIGNS.findall(text))
    counts["es"] += sum(not _SPANISH_VOWELS.isdisjoint(word) for word in found)
    return "es" if counts["es"] > counts["en"] else DEFAULT


def name_of(language: str) -> str:
    """Return a language's English name, for the models; an unknown one is named by its letters."""
    return NAMES.get(language, f"the language with the ISO 639-1 code {language!r}")


def words(language: str) -> dict[str, str]:
    """Return our own words, in English where we have none in this language."""
    tables = _tables()
    found: dict[str, str] = tables.get(language, tables[DEFAULT])["words"]
    return found


@lru_cache(maxsize=1)
def _tables() -> dict[str, Any]:
    return tomllib.loads(resources.files("agent.collab").joinpath("words.toml").read_text("utf-8"))
