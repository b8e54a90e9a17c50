"""logs/agent.log: constant messages, data in fields, rotated; several agents may write to it at once."""

from __future__ import annotations

import fcntl
import json
import logging
import os
import sys
from contextlib import suppress
from datetime import UTC, datetime
from logging.handlers import WatchedFileHandler
from pathlib import Path
from typing import Any

AGENT_LOG_BYTES = 8 << 20
AGENT_LOGS_KEPT = 3

_log = logging.getLogger("aispool")


class SharedRotatingHandler(WatchedFileHandler):
    """Appends to a file that other processes append to and rotate, too: one of them rotates at a time."""

    def emit(self, record: logging.LogRecord) -> None:
        """Rotate when the file has grown too large, then append."""
        try:
            if os.stat(self.baseFilename).st_size > AGENT_LOG_BYTES:  # noqa: PTH116 - as logging does
                self._rotate()
        except FileNotFoundError:
            pass  # it is made by the next line
        except OSError:
            self.handleError(record)
        super().emit(record)

    def _rotate(self) -> None:
        path = Path(self.baseFilename)
        descriptor = os.open(
            path.with_name(f".{path.name}.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600
        )
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            if path.stat().st_size <= AGENT_LOG_BYTES:
                return  # another one was faster
            for number in range(AGENT_LOGS_KEPT - 1, 0, -1):
                with suppress(FileNotFoundError):
                    path.with_name(f"{path.name}.{number}").rename(
                        path.with_name(f"{path.name}.{number + 1}")
                    )
            path.rename(path.with_name(f"{path.name}.1"))
        finally:
            os.close(descriptor)


class FieldsFormatter(logging.Formatter):
    """Writes `time level agent: message key=value …`, values as JSON where they hold more than plain text."""

    def __init__(self, agent: str) -> None:
        super().__init__()
        self._agent = agent

    def format(self, record: logging.LogRecord) -> str:
        """Put the fields behind the message."""
        fields: dict[str, Any] = getattr(record, "fields", {})
        pairs = "".join(f" {name}={_plain(value)}" for name, value in fields.items())
        moment = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        time = moment.replace("+00:00", "Z")
        text = f"{time} {record.levelname} {self._agent}: {record.getMessage()}{pairs}"
        return f"{text}\n{self.formatException(record.exc_info)}" if record.exc_info else text


def _plain(value: object) -> str:
    text = str(value)
    return text if text and all(c.isalnum() or c in "._-/:@~+" for c in text) else json.dumps(text)


def open_log(file: Path, agent: str, *, to_terminal: bool) -> None:
    """Send the agent's log to its file, and to standard error as well when a person looks on."""
    close_log()
    logging.raiseExceptions = False  # a full disk loses lines of the log, and nothing else
    # no line of ours names them, and finding them out is a third of what a line costs
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    _log.setLevel(logging.INFO)
    _log.propagate = False
    handlers: list[logging.Handler] = [SharedRotatingHandler(file, delay=True)]
    if to_terminal:
        handlers.append(logging.StreamHandler(sys.stderr))
    for handler in handlers:
        handler.setFormatter(FieldsFormatter(agent))
        _log.addHandler(handler)


def close_log() -> None:
    """Close the log's files."""
    for handler in list(_log.handlers):
        _log.removeHandler(handler)
        handler.close()


def info(message: str, **fields: object) -> None:
    """Log a change of state."""
    _log.info(message, extra={"fields": fields})


def warning(message: str, **fields: object) -> None:
    """Log what a person may want to mend."""
    _log.warning(message, extra={"fields": fields})


def error(message: str, **fields: object) -> None:
    """Log what went wrong, with the traceback of the exception that is being handled."""
    _log.error(message, extra={"fields": fields}, exc_info=True)
