"""A role played by one of the AI tools: a task dropped into a spool, and its result awaited by files.

The spool is this workspace, or on a collector that of any host: fleet/HOST/tasks, or fleet/any/tasks where
the collector chooses. The tool may look and change nothing (`approval: read-only`). A task's id follows from
the request, so that whoever asks again after a kill finds the task, or its result, and drops no second one.
"""

from __future__ import annotations

import hashlib
import os
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from agent.collab.children import LOOK_AGAIN_S, ChildError, drop_once, is_known, refusal_of, spool_of
from agent.collab.providers.base import ProviderError, Reply, Request
from agent.collab.providers.failures import KINDS
from agent.collab.providers.families import family_of
from agent.collab.providers.schemas import instruction
from agent.tools.report import Outcome
from spool.names import TASK_SUFFIX, child_id, given_id, is_task_id
from spool.records import DamagedError, Result, State
from spool.requests import ask_to_cancel
from spool.results import read_result
from spool.view import find
from spool.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from agent.collab.providers.definition import ProviderDefinition

ANY: Final = "any"
MOST_TRIES: Final = 20
_FAMILIES: Final = {"claude": "claude", "gemini": "gemini", "qwen": "qwen", "codex": "gpt"}
"""Of the models that a tool takes by itself."""


@dataclass(frozen=True, slots=True)
class ToolProvider:
    """An AI tool behind a spool. Threads may share it.

    Args:
        workspace: of this run; the collector's for other hosts.
        clock: monotonic seconds.
        sleep: for seconds.
    """

    definition: ProviderDefinition
    workspace: Workspace
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep

    @property
    def name(self) -> str:
        """Its name in roles.toml."""
        return self.definition.name

    @property
    def tool(self) -> str:
        """The tool's name in the registry."""
        assert self.definition.tool is not None
        return self.definition.tool

    def family(self, model: str | None = None) -> str:
        """Return the family of a model, or of the tool's own one."""
        named = model or self.definition.model
        known = family_of(named) if named else _FAMILIES.get(self.tool)
        return self.definition.family or known or self.tool

    def models(self) -> tuple[str, ...]:
        """Return none: the tools have no list."""
        return ()

    def complete(self, request: Request) -> Reply:
        """Drop a task, or find the one that was dropped before, and wait for its result.

        Raises:
            ProviderError: it did not answer.
        """
        begun_s = self.clock()
        spool = self._spool()
        model = request.model or self.definition.model
        timeout_s = request.timeout_s or self.definition.call_timeout_s
        try:
            task_id = self._task_id(request, model, timeout_s)
            self._drop(spool, task_id, request, model, timeout_s)
            result = self._await(spool, task_id, begun_s + timeout_s)
        except OSError as error:
            where = error.filename or spool.root
            raise ProviderError("unavailable", f"{self.name}: {where}: {error.strerror}") from None
        if result.state is not State.SUCCEEDED or not result.output.text.strip():
            raise self._failure(result)
        return Reply(
            text=result.output.text,
            provider=self.name,
            model=model or self.tool,
            family=self.family(model),
            usage=result.usage,
            duration_s=self.clock() - begun_s,
            cut=result.output.truncated,
        )

    def _spool(self) -> Workspace:
        """Return the workspace into whose tasks/ the task goes.

        Raises:
            ProviderError: there is no such host.
        """
        try:
            return spool_of(self.workspace, self.definition.host)
        except ChildError as error:
            raise ProviderError("unavailable", f"{self.name}: {error}") from None

    def _places(self, spool: Workspace) -> Iterator[Workspace]:
        """Yield where the task may turn up: with `any`, in the mirror of whatever host was chosen."""
        yield spool
        if self.definition.host == ANY:
            with os.scandir(spool.root.parent) as entries:
                hosts = sorted(e.path for e in entries if is_task_id(e.name) and e.name != ANY and e.is_dir())
            yield from (Workspace(spool.root.parent / host) for host in hosts)

    def _task_id(self, request: Request, model: str | None, timeout_s: float) -> str:
        """Return the id: of the request, and of the first try that has not failed yet."""
        if request.key is None:
            return given_id(f"ask-{self.tool}")
        text = "\0".join((self.name, model or "", str(timeout_s), self._prompt(request)))
        digest = hashlib.sha256(text.encode()).hexdigest()[:8]
        spool = self._spool()
        for number in range(1, MOST_TRIES + 1):
            task_id = child_id(request.key, digest if number == 1 else f"{digest}.{number}")
            result = self._result(spool, task_id)
            if result is None and self._refusal(spool, task_id) is not None:
                continue  # what was wrong may have been mended since
            if result is None or result.state is State.SUCCEEDED:
                return task_id
        raise ProviderError(
            "refused", f"{self.name}: {task_id} is the last of {MOST_TRIES} tries: see its result"
        )

    def _drop(
        self, spool: Workspace, task_id: str, request: Request, model: str | None, timeout_s: float
    ) -> None:
        # the same bytes every time: who finds them twice knows that it is one task
        parameters = {**self.definition.parameters, "prompt": self._prompt(request)}
        if model is not None:
            parameters["model"] = model
        task = {
            "task_id": task_id,
            "tool": self.tool,
            "parameters": parameters,
            "approval": "read-only",
            "timeout": timeout_s,
            "idempotent": True,
            "metadata": {"collab_provider": self.name},
        }
        if not any(is_known(place, task_id) for place in self._places(spool)):
            drop_once(spool, task)

    def _prompt(self, request: Request) -> str:
        texts = [message.text for message in request.messages]
        if request.schema is not None:
            texts.append(instruction(request.schema))
        return "\n\n".join(texts)

    def _await(self, spool: Workspace, task_id: str, end_s: float) -> Result:
        while True:
            if (result := self._result(spool, task_id)) is not None:
                return result
            if (why := self._refusal(spool, task_id)) is not None:
                raise ProviderError("unavailable", f"{self.name}: its task was refused: {why}")
            if self.clock() > end_s:
                raise self._given_up(spool, task_id)
            self.sleep(LOOK_AGAIN_S)

    def _result(self, spool: Workspace, task_id: str) -> Result | None:
        try:
            found = (read_result(place, task_id) for place in self._places(spool))
            return next((result for result in found if result is not None), None)
        except DamagedError as error:
            raise ProviderError("server", f"{self.name}: {error}") from None

    def _refusal(self, spool: Workspace, task_id: str) -> str | None:
        refusals = (refusal_of(place, task_id) for place in self._places(spool))
        return next((refusal for refusal in refusals if refusal is not None), None)

    def _given_up(self, spool: Workspace, task_id: str) -> ProviderError:
        """Take the task back, out of the line or out of its session, and say how far it came."""
        view = None
        for place in self._places(spool):
            with suppress(OSError):  # a mirror has only the folders that it needed so far
                view = view or find(place, task_id)
        stood = f"{view.state}: {view.reason}" if view else "not taken by any agent"
        for place in self._places(spool):
            with suppress(OSError):
                (place.tasks / f"{task_id}{TASK_SUFFIX}").unlink()
            ask_to_cancel(place, place.sessions / task_id)
        return ProviderError(
            "timeout", f"{self.name}: the task {task_id} took too long and is cancelled; it was {stood}"
        )

    def _failure(self, result: Result) -> ProviderError:
        where = f"`aispool show {result.task_id}`"
        if result.state is State.SUCCEEDED:
            return ProviderError("server", f"{self.name}: {result.task_id} answered nothing, see {where}")
        try:
            kind = KINDS[Outcome(result.outcome or "")]
        except (ValueError, KeyError):
            kind = "timeout" if result.state is State.TIMED_OUT else "server"
        wait_s = result.attempts[-1].retry_after_s if result.attempts else None
        return ProviderError(
            kind,
            f"{self.name}: {result.task_id} is {result.state}: {result.reason} (see {where})",
            retry_after_s=wait_s,
            usage=result.usage,
        )
