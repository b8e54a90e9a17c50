"""Which family a model belongs to: models of one family err alike, so their agreement counts for less."""

from __future__ import annotations

import re
from typing import Final

_FAMILIES: Final = (
    ("qwen", r"(?:code)?qwen|qwq|qvq|tongyi"),
    ("gemini", r"gemini|learnlm"),
    ("gemma", r"(?:code)?gemma"),
    ("claude", r"claude"),
    ("gpt", r"(?:chat)?gpt|codex|davinci|o[1-9](?![a-z0-9])"),
    ("llama", r"(?:code|tiny)?llama|nemotron|hermes|vicuna"),
    ("mistral", r"(?:mi|mix|codes|minis|magis|devs|pix)tral"),
    ("deepseek", r"deepseek|janus"),
    ("phi", r"phi"),
    ("glm", r"(?:chat)?glm|zai"),
    ("kimi", r"kimi|moonshot"),
    ("grok", r"grok"),
    ("command", r"command|aya"),
    ("nova", r"nova|titan"),
    ("granite", r"granite"),
    ("smollm", r"smollm"),
)
_PATTERNS: Final = tuple(
    (family, re.compile(rf"(?<![a-z])(?:{words})", re.IGNORECASE)) for family, words in _FAMILIES
)
_WORD: Final = re.compile(r"[a-z]+", re.IGNORECASE)


def family_of(model: str) -> str | None:
    """Return a model's family by its name; None when the name tells none.

    Of several families that a name holds, the last one counts: `deepseek-r1-distill-qwen-7b` is a Qwen model
    that was trained on DeepSeek's answers.

    Args:
        model: as the provider calls it, such as `meta-llama/llama-3.3-70b` or `qwen3:8b`.
    """
    last = model.rstrip("/").rpartition("/")[2]
    ends = {
        family: max((found.start() for found in pattern.finditer(last)), default=-1)
        for family, pattern in _PATTERNS
    }
    family, position = max(ends.items(), key=lambda item: item[1])
    if position >= 0:
        return family
    word = _WORD.search(last)
    return word.group().lower() if word else None
