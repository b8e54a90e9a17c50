"""`aispool doctor`: every check of this machine, its workspace and its tools, run one after the other.

A check is a function that yields findings. One that cannot look (a permission, a program that does not
answer) is itself a finding, so that the others are still run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from agent.config import ConfigError
from agent.inspect import checks_machine, checks_tools, checks_workspace
from agent.inspect.documents import document
from agent.inspect.finding import Finding, Grade, problem
from spool.workspace import Workspace, WorkspaceError, open_workspace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    WorkspaceCheck = Callable[[Workspace], Iterable[Finding]]

MACHINE: Final = (checks_machine.python, checks_machine.programs, checks_machine.clock)
WORKSPACE: Final[tuple[WorkspaceCheck, ...]] = (
    checks_workspace.ownership,
    checks_workspace.file_system,
    checks_workspace.room,
    checks_workspace.clock_of_disk,
    checks_workspace.configuration,
    checks_workspace.secrets,
    checks_workspace.hooks,
    checks_workspace.agents_here,
    checks_machine.service,
    checks_tools.tools,
)


def examine(root: Path) -> list[Finding]:
    """Run every check; without a workspace only those of the machine."""
    findings = [finding for check in MACHINE for finding in _tried(check.__name__, check)]
    try:
        workspace = open_workspace(root)
    except (WorkspaceError, OSError) as error:
        what, _, remedy = str(error).partition(": ")
        return [*findings, problem("workspace", what, remedy or f"aispool --workspace {root} init")]
    for workspace_check in WORKSPACE:
        findings.extend(_tried(workspace_check.__name__, workspace_check, workspace))
    return findings


def _tried(name: str, check: Callable[..., Iterable[Finding]], *arguments: Any) -> Iterator[Finding]:
    try:
        yield from check(*arguments)
    except ConfigError as error:
        yield problem("configuration", f"{error.file.name}: {error.what}", error.remedy)
    except OSError as error:
        yield problem(name.replace("_", " "), f"could not be checked: {error}", "mend what it names first")


def doctor_document(root: Path, findings: list[Finding]) -> dict[str, Any]:
    """Return the findings as JSON has them."""
    return document(
        Workspace(root),
        ok=not has_problems(findings),
        findings=[
            {"check": f.check, "grade": str(f.grade), "what": f.what, "remedy": f.remedy} for f in findings
        ],
    )


def has_problems(findings: list[Finding]) -> bool:
    """Tell whether something must be done."""
    return any(finding.grade is Grade.PROBLEM for finding in findings)
