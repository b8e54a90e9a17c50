"""Every provider of a workspace: who is ready, who may answer for a role, and why the others cannot.

A server on this machine is looked for only when nobody whom a role names is ready.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

from agent.collab.credentials import env_file
from agent.collab.providers.base import ProviderError
from agent.collab.providers.caller import Caller, Choice
from agent.collab.providers.local import find_local, ports
from agent.collab.providers.remote import RemoteProvider
from agent.collab.providers.standing import Standing

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from agent.collab.credentials import Secret
    from agent.collab.providers.base import Provider
    from agent.collab.providers.definition import ProviderDefinition
    from spool.workspace import Workspace

STANDINGS = "providers"
"""The folder below collab/ where all processes keep what they know of the providers."""


@dataclass(frozen=True, slots=True)
class Ready:
    """A provider that can be asked.

    Args:
        where: its address, or its tool and host.
        credential: where its key comes from; empty where it needs none.
    """

    definition: ProviderDefinition
    provider: Provider
    where: str
    credential: str = ""


@dataclass(slots=True)
class Providers:
    """Every provider by name: those that are ready, and why the others are not. Closes with its block.

    Args:
        environment: with what configs/env/collab.env adds.
        missing: why a provider is not ready.
        keyless: those that only lack a key.
        local_keys: of servers on this machine, for those that want one.
    """

    workspace: Workspace
    definitions: Mapping[str, ProviderDefinition]
    environment: Mapping[str, str] = field(repr=False)
    ready: dict[str, Ready] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    keyless: set[str] = field(default_factory=set)
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    local_keys: dict[str, tuple[Secret, ...]] = field(default_factory=dict)
    _askable: dict[str, Provider] = field(default_factory=dict)
    _looked: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _caller: Caller | None = None

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connections."""
        for one in self.ready.values():
            if isinstance(one.provider, RemoteProvider):
                one.provider.http.close()

    @property
    def caller(self) -> Caller:
        """Return the one that asks; its limits are shared by all processes of the workspace."""
        with self._lock:
            if self._caller is None:
                folder = self.workspace.root / "collab" / STANDINGS
                standings = {name: Standing(one, folder) for name, one in self.definitions.items()}
                self._caller = Caller(self._askable, standings, clock=self.clock, sleep=self.sleep)
            return self._caller

    def add(self, ready: Ready) -> None:
        """Make a provider ready."""
        name = ready.provider.name
        self.ready[name] = ready
        self._askable[name] = ready.provider
        self.missing.pop(name, None)

    def choices(
        self, names: Sequence[str], fallback: Sequence[str] = (), model: str | None = None
    ) -> tuple[Choice, ...]:
        """Return who may answer for a role: of those that it names, the ready ones; else a local server.

        Args:
            names: `NAME`, or `NAME/MODEL`.
            fallback: the same, for when those cannot.
            model: of the first name, when that names none itself.

        Raises:
            ProviderError: nobody is ready; it names the ways to change that.
        """
        wanted = [self._choice(name, fallback=False) for name in names]
        wanted += [self._choice(name, fallback=True) for name in fallback]
        if wanted and wanted[0].model is None and model:
            wanted[0] = Choice(wanted[0].provider, model, wanted[0].fallback)
        if any(self.definitions[choice.provider].local for choice in wanted):
            self.look_for_local()
        found = tuple(choice for choice in dict.fromkeys(wanted) if choice.provider in self.ready)
        if found:
            return found
        return tuple(Choice(name) for name in self.look_for_local()) or self._raise_nobody(wanted)

    def look_for_local(self) -> list[str]:
        """Return the servers on this machine that answer, in the order of their definitions."""
        with self._lock:
            if not self._looked:
                self._looked = True
                candidates = [
                    (one, self.local_keys.get(name, ()))
                    for name, one in self.definitions.items()
                    if one.local and name not in self.ready
                ]
                self.missing |= {one.name: "no server answers there" for one, _ in candidates}
                for provider in find_local(candidates, self.environment):
                    self.add(Ready(provider.definition, provider, provider.definition.url(self.environment)))
            return [name for name, one in self.definitions.items() if one.local and name in self.ready]

    def family(self, name: str, model: str | None = None) -> str:
        """Return the family of a ready provider's model."""
        return self.ready[name].provider.family(model)

    def explain(self, name: str) -> str:
        """Say in one line how a provider stands; it asks nobody."""
        name = name.partition("/")[0]
        if name in self.ready:
            one = self.ready[name]
            return f"{name}: ready, {one.where}" + (f", with {one.credential}" if one.credential else "")
        return f"{name}: {self.missing.get(name, 'nobody defined it: add [providers.' + name + ']')}"

    def _choice(self, text: str, *, fallback: bool) -> Choice:
        name, _, model = text.partition("/")
        if name not in self.definitions:
            known = ", ".join(self.definitions)
            raise ProviderError(
                "unavailable",
                f"there is no provider {name!r}: the providers are {known}; add others as [providers.{name}] "
                "in configs/roles.toml",
            )
        return Choice(name, model or None, fallback)

    def _raise_nobody(self, wanted: Sequence[Choice]) -> tuple[Choice, ...]:
        named = list(dict.fromkeys(choice.provider for choice in wanted)) or list(self.definitions)
        keyless = [name for name in named if name in self.keyless]
        why = [f"{', '.join(keyless)}: no key"] if keyless else []
        why += [
            f"{name}: {self.missing[name]}"
            for name in named
            if name not in self.keyless and not self.definitions[name].local
        ]
        keys = [key for name in named for key in self.definitions[name].key_env[:1]]
        login = next((name for name in named if self.definitions[name].login), "qwen")
        unused = f" Ready, but named by no role here: {', '.join(self.ready)}." if self.ready else ""
        key = (keys or ["GEMINI_API_KEY"])[0]
        raise ProviderError(
            "unavailable",
            f"nobody can answer ({'; '.join(why) or 'no server here'}). Three ways to change that: a key, "
            f"as a line like {key}=… in {env_file(self.workspace)} (chmod 600) or in the environment; "
            f"a login, with `aispool collab login {login}`; or a model server on this machine, such as "
            f"`ollama serve`, on its usual port: {ports(self.definitions.values())}.{unused}",
        )
