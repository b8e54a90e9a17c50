"""Aider (`aider`): text alone, with its tokens and money in one line of it."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from agent.tools import hooks, plaintext
from agent.tools.adapter import Need, Said, Seed, Signs
from agent.tools.jsonlines import text_of
from agent.tools.report import Outcome
from agent.tools.verdict import plain, report
from spool.records import Usage

if TYPE_CHECKING:
    from agent.tools.report import Report

SIGNS = Signs(text=r"\((?:Y|y)\)es/\((?:N|n)\)o.*(?:\[(?:Yes|No)\])?:\s*$")

_FATAL = re.compile(
    r"^\s*(?:litellm\.\w*(?:Error|Exception)|The API provider|Unable to connect|Model .* (?:not|unknown)"
    r"|Error:|.*authentication (?:error|failed)|.*has hit a token limit|Retries? exhausted)",
    re.IGNORECASE,
)
_REFUSED = re.compile(r"^Did not apply edit|dry run|Skipping edits to", re.IGNORECASE)
_OUTCOMES = (
    (re.compile(r"hit a token limit|ContextWindowExceeded", re.IGNORECASE), Outcome.CONTEXT_TOO_LONG),
    (re.compile(r"litellm\.(?:Authentication|PermissionDenied)Error", re.IGNORECASE), Outcome.AUTH),
    (re.compile(r"litellm\.RateLimitError.*quota", re.IGNORECASE), Outcome.QUOTA),
    (re.compile(r"litellm\.RateLimitError", re.IGNORECASE), Outcome.RATE_LIMIT),
    (re.compile(r"litellm\.(?:InternalServer|ServiceUnavailable)Error", re.IGNORECASE), Outcome.SERVER_ERROR),
    (re.compile(r"litellm\.(?:APIConnectionError|Timeout)", re.IGNORECASE), Outcome.UNREACHABLE),
    (
        re.compile(r"litellm\.(?:BadRequest|NotFound|UnprocessableEntity)Error", re.IGNORECASE),
        Outcome.BAD_REQUEST,
    ),
)
_TOKENS = re.compile(
    r"^Tokens: (?P<sent>[\d.,]+[kM]?) sent.*?(?P<received>[\d.,]+[kM]?) received", re.MULTILINE
)
_COST = re.compile(r"Cost: \$(?P<message>[\d.]+) message(?:, \$(?P<session>[\d.]+) session)?")
_BANNER = re.compile(
    r"^(?:Aider v|Main model:|Model:|Weak model:|Editor model:|Git repo:|Repo-map:|Added .* to the chat"
    r"|Use /help|Tokens:|Cost:|Warning:|Applied edit to|Commit [0-9a-f]{7}|https?://aider\.chat)"
)
_SCALE = {"k": 1_000, "M": 1_000_000}


def seed(need: Need) -> Seed:
    """Keep its histories and caches out of the project."""
    env = {
        "AIDER_CHAT_HISTORY_FILE": str(need.config_dir / "chat.md"),
        "AIDER_INPUT_HISTORY_FILE": str(need.config_dir / "input.history"),
        "AIDER_CHECK_UPDATE": "false",
        "AIDER_ANALYTICS": "false",
        "AIDER_GITIGNORE": "false",
        "AIDER_SHOW_RELEASE_NOTES": "false",
        "AIDER_DETECT_URLS": "false",
    }
    return Seed(env=env)


def read(said: Said) -> Report:
    """Say what an attempt came to."""
    text = plain(text_of(said.stdout))
    found = plaintext.read(said, fatal=_FATAL, refused=_REFUSED, outcomes=_OUTCOMES)
    answer = "\n".join(line for line in found.text.splitlines() if not _BANNER.match(line))
    return report(said, replace(found, text=answer.strip(), usage=_usage(text)))


def question(raw: str) -> str:
    """Say that it waits: it has no hooks."""
    return hooks.question(raw)


def _usage(text: str) -> Usage:
    counts = list(_TOKENS.finditer(text))
    costs = list(_COST.finditer(text))
    if not counts:
        return Usage()
    cost = (costs[-1]["session"] or costs[-1]["message"]) if costs else None
    return Usage(
        input_tokens=sum(_count(match["sent"]) for match in counts),
        output_tokens=sum(_count(match["received"]) for match in counts),
        cost_usd=float(cost) if cost else None,
    )


def _count(text: str) -> int:
    digits = text.rstrip("kM").replace(",", "")
    return round(float(digits) * _SCALE.get(text[-1], 1))
