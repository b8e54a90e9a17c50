"""The one place where errors become words and exit codes.

0 done · 1 your input, or a task that failed · 2 usage · 3 our bug · 130 interrupted. A reader that went
away (`| head`) is no error worth a word: as for every filter, the code is then 141.
"""

from __future__ import annotations

import errno
import gc
import os
import sys
from typing import TYPE_CHECKING, Final

import click

from agent.cli.root import cli

if TYPE_CHECKING:
    from collections.abc import Sequence

INPUT, BUG, INTERRUPTED, READER_GONE = 1, 3, 130, 141

TOLD: Final = {
    "agent.audit.line": "AuditError",
    "agent.collab.credentials": "CredentialError",
    "agent.collab.feedback": "LabelError",
    "agent.collab.learning.applying": "TuneError",
    "agent.collab.memory": "RememberError",
    "agent.collab.providers.base": "ProviderError",
    "agent.config": "ConfigError",
    "agent.fleet.calls": "CallError",
    "agent.fleet.rsync": "TransferError",
    "agent.launchers.base": "LaunchError",
    "agent.service.errors": "ServiceError",
    "spool.locks": "NameTakenError",
    "spool.records": "DamagedError",
    "spool.requests": "RequestError",
    "spool.workspace": "WorkspaceError",
}
"""Exceptions whose message is meant for the person; a module that was never loaded raised none."""

REMEDIES: Final = {
    errno.ENOSPC: "free some space, then try again",
    errno.EDQUOT: "free some of your quota, then try again",
    errno.EROFS: "the file system is mounted read-only: remount it, or choose another workspace",
    errno.EACCES: "check its owner and permissions, or run this as the owner of the workspace",
    errno.EPERM: "check its owner and permissions, or run this as the owner of the workspace",
    errno.ENOENT: "check the spelling; `aispool doctor` finds what is missing of a workspace",
    errno.EMFILE: "raise the limit of open files (ulimit -n)",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit code."""
    try:
        code = _run(arguments)
        sys.stdout.flush()
    except BrokenPipeError:
        code = READER_GONE
    if code == READER_GONE:
        # the interpreter flushes once more at its end, and would complain there
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    gc.freeze()  # else the interpreter looks through all that was imported once more at its end, for 25 ms
    return code


def _run(arguments: Sequence[str] | None) -> int:
    try:
        answer = cli.main(arguments, prog_name="aispool", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("aispool: interrupted", err=True)
        return INTERRUPTED
    except BrokenPipeError:
        return READER_GONE
    except Exception as error:  # noqa: BLE001 - the boundary: everything ends here, in words
        return _explain(error)
    return answer if isinstance(answer, int) else 0


def _explain(error: Exception) -> int:
    from agent.sanitize import plain  # noqa: PLC0415 - only an error pays for it

    sentence = told(error)
    if sentence is not None:
        click.echo(f"aispool: {plain(sentence)}", err=True)
        return INPUT
    import traceback  # noqa: PLC0415 - as above

    click.echo(plain("".join(traceback.format_exception(error))), err=True, nl=False)
    click.echo(
        "aispool: this is a bug in aispool, not in your input. Please report it with the lines above, "
        "the command, and what `aispool --version` prints; take out what is secret.",
        err=True,
    )
    return BUG


def told(error: Exception) -> str | None:
    """Return the sentence for an error that a person can do something about; None for a bug."""
    kinds = tuple(
        getattr(sys.modules[module], name) for module, name in TOLD.items() if module in sys.modules
    )
    if isinstance(error, kinds):
        return str(error)
    if not isinstance(error, OSError):
        return None
    if error.errno is None:
        return str(error)
    where = " and ".join(str(name) for name in (error.filename, error.filename2) if name is not None)
    remedy = REMEDIES.get(error.errno, "`aispool doctor` checks this machine")
    return f"{where or 'input or output'}: {error.strerror}: {remedy}"
