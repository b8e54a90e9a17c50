"""Whether what was fetched may be shown: a host is hostile until its files are validated."""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
from typing import TYPE_CHECKING, Final

from pydantic import ValidationError

from agent.fleet.rsync import PARTIAL
from spool.files import NotRegularError, TooLargeError, read_regular
from spool.records import Result
from spool.results import RESULT
from spool.strictjson import StrictJSONError, parse_object

if TYPE_CHECKING:
    from pathlib import Path

MAX_RESULT_BYTES: Final = 64 << 20


def read_fetched(folder: Path) -> tuple[Result, str] | str:
    """Return a fetched result and the digest of its bytes, or why it cannot be believed."""
    path = folder / RESULT
    try:
        content = read_regular(path, MAX_RESULT_BYTES)
        parse_object(content)
        result = Result.model_validate_json(content)
    except FileNotFoundError:
        return f"it has no {RESULT}"
    except (NotRegularError, TooLargeError) as error:
        return str(error)
    except StrictJSONError as error:
        return f"its {RESULT}: {error.what}"
    except ValidationError as error:
        return f"its {RESULT}: {error.errors(include_url=False)[0]['msg']}"
    if result.task_id != folder.name:
        return f"its {RESULT} is of another task"
    return result, hashlib.sha256(content).hexdigest()


def strange_entry(folder: Path) -> str | None:
    """Return the first entry that is neither a folder nor a plain file; remove what rsync left unfinished.

    Raises:
        OSError: our own disk.
    """
    for parent, folders, names in os.walk(folder):
        if PARTIAL in folders:
            folders.remove(PARTIAL)
            shutil.rmtree(os.path.join(parent, PARTIAL))  # noqa: PTH118 - many files
        for name in (*folders, *names):
            path = os.path.join(parent, name)  # noqa: PTH118
            status = os.lstat(path)
            if not (stat.S_ISDIR(status.st_mode) or (stat.S_ISREG(status.st_mode) and status.st_nlink == 1)):
                return os.path.relpath(path, folder)
    return None
