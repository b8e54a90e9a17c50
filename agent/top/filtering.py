"""What a person types to see less: `state:failed host:gpu-box nightly`."""

from __future__ import annotations

from dataclasses import dataclass

from agent.top.rows import ALIVE, OVER, WORDS


@dataclass(frozen=True, slots=True)
class Filter:
    """Which tasks are wanted; an empty tuple means all.

    Args:
        text: words that must be in a task's id, tool, reason, question …
        unknown: what stood behind `state:` and is no state: nothing fits then.
    """

    states: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    tools: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    text: str = ""
    unknown: str = ""


def parse(typed: str) -> Filter:
    """Read what was typed; `state:` takes the beginning of a state's name, `asks` too."""
    named: dict[str, list[str]] = {"state": [], "host": [], "tool": [], "label": [], "group": []}
    words, unknown = [], ""
    for word in typed.split():
        field, colon, value = word.partition(":")
        if not colon or field not in named:
            words.append(word)
        elif not value:
            continue  # still being typed
        elif field == "state":
            found = _states(value)
            unknown = unknown or ("" if found else value)
            named["state"] += found
        else:
            named[field].append(value)
    return Filter(
        states=tuple(dict.fromkeys(named["state"])),
        hosts=tuple(named["host"]),
        tools=tuple(named["tool"]),
        labels=tuple(named["label"]),
        groups=tuple(named["group"]),
        text=" ".join(words),
        unknown=unknown,
    )


def _states(value: str) -> list[str]:
    named = {state: WORDS.get(state, state) for state in (*ALIVE, *OVER)}
    return [state for state, word in named.items() if state.startswith(value) or word.startswith(value)]
