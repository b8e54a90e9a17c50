"""Both clients have the same methods with the same parameters, and wait in the same places."""

from __future__ import annotations

import inspect

from agent.client import AsyncClient, Client


def methods(kind: type) -> dict[str, inspect.Signature]:
    members = inspect.getmembers(kind, inspect.isfunction)
    return {name: inspect.signature(each) for name, each in members if not name.startswith("_")}


def test_both_clients_have_the_same_methods() -> None:
    plain, waiting = methods(Client), methods(AsyncClient)
    assert plain.keys() == waiting.keys()
    assert len(plain) > 40
    for name, signature in plain.items():
        assert signature.parameters == waiting[name].parameters, name


def test_what_one_returns_the_other_awaits_or_yields() -> None:
    for name in methods(Client):
        one, other = getattr(Client, name), getattr(AsyncClient, name)
        if inspect.isgeneratorfunction(one):
            assert inspect.isasyncgenfunction(other), name
        else:
            assert inspect.iscoroutinefunction(other), name
