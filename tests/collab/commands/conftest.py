from __future__ import annotations

import subprocess
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from agent.collab import commands
from agent.collab.children import Patience
from agent.collab.evidence import Site
from agent.collab.execution import Execution, carry_out
from agent.collab.policy.rate import rate
from agent.collab.policy.rules import Policy
from agent.collab.progress import Progress
from agent.collab.records import Proposal
from agent.collab.roles import load
from agent.collab.tally import Proposed
from spool.files import make_folder
from spool.records import Output, Result, State, utc_now
from spool.strictjson import parse_object

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from agent.collab.commands import CommandsRecord
    from spool.workspace import Workspace


@dataclass
class Bench:
    """A run whose commands were proposed, and a host that runs its tasks whenever it is looked at."""

    workspace: Workspace
    session: Path
    policy: Policy
    ran: list[str] = field(default_factory=list)
    before_each_look: Callable[[], None] = lambda: None
    asked: list[str] = field(default_factory=list)

    @property
    def collab(self) -> Path:
        return self.session / "collab"

    @property
    def marker(self) -> Path:
        return self.session / "waiting"

    def site(self, host: str | None = None) -> Site:
        return Site(
            workspace=self.workspace,
            collab=self.collab,
            task_id=self.session.name,
            own_host="here",
            host=host,
            roles=load(self.workspace),
            now=utc_now,
            wait=lambda limit_s: Patience(limit_s, sleep=lambda _s: self.work(host)),
        )

    def propose(self, *proposals: Any, role: str = "executor", veto: str | None = None) -> CommandsRecord:
        """Freeze proposals, each a command or the fields of one."""
        found = []
        for number, given in enumerate(proposals, 1):
            proposal = Proposal(**given) if isinstance(given, dict) else Proposal(command=given)
            rating = rate(proposal.command, self.policy, role=role, host="here")
            found.append(Proposed(number, role, number, proposal, veto, rating))
        return commands.freeze(self.site(), self.session, found, self.policy)

    def carry_out(self, record: CommandsRecord, *, host: str | None = None, patience_s: float = 60.0) -> Any:
        """Run what may run; whoever waits for a person looks at the test's next word."""
        clock = iter(range(100_000))
        execution = Execution(
            self.site(host),
            self.session,
            self.policy,
            Progress(self.collab),
            self.marker,
            patience_s,
            clock=lambda: float(next(clock)),
            sleep=self._look,
        )
        return carry_out(execution, record)

    def _look(self, _seconds: float) -> None:
        self.asked.append(self.marker.read_text())
        self.before_each_look()

    def approve(self, number: int, content: str) -> None:
        """Say something by hand."""
        make_folder(self.session / "approve")
        (self.session / "approve" / str(number)).write_text(content)

    def work(self, host: str | None = None) -> None:
        """Run every task that lies there, as the host's agent does."""
        root = self.workspace.root / "fleet" / host if host else self.workspace.root
        for file in sorted((root / "tasks").glob("*.json")):
            task = parse_object(file.read_bytes())
            file.unlink()
            self.ran.append(task["task_id"])
            argv = ["/bin/sh", "-c", task["command"]]
            done = subprocess.run(argv, capture_output=True, text=True, check=False)
            now, text = utc_now(), done.stdout + done.stderr
            state = State.SUCCEEDED if done.returncode == 0 else State.FAILED
            folder = root / "results" / task["task_id"]
            make_folder(folder)
            Result(
                task_id=task["task_id"], tool="shell", command=task["command"], state=state,
                reason=f"exit code {done.returncode}", exit_code=done.returncode, host="here",
                source_name=file.name, submitted_at=now, finished_at=now, output=Output(text=text),
            ).write(folder / "result.json")  # fmt: skip

    def interrupted(self, record: CommandsRecord, after: str) -> None:
        """Carry out, and be killed right after a task of this id was run."""

        class KilledError(BaseException):
            pass

        work = self.work

        def once(host: str | None = None) -> None:
            work(host)
            if after in self.ran:
                raise KilledError

        self.work = once  # type: ignore[method-assign]
        try:
            with pytest.raises(KilledError):
                self.carry_out(record)
        finally:
            self.work = work  # type: ignore[method-assign]


@pytest.fixture
def bench(workspace: Workspace) -> Bench:
    session = workspace.sessions / "q"
    make_folder(session / "collab")
    return Bench(workspace, session, Policy.load(workspace))
