"""logs/agent.log: constant messages, data in fields, rotated."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from logging.handlers import RotatingFileHandler
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

AGENT_LOG_BYTES = 8 << 20
AGENT_LOGS_KEPT = 3

_log = logging.getLogger("aispool")


class FieldsFormatter(logging.Formatter):
    """Writes `time level message key=value …`, values as JSON where they hold more than plain text."""

    def format(self, record: logging.LogRecord) -> str:
        """Put the fields behind the message."""
        fields: dict[str, Any] = getattr(record, "fields", {})
        pairs = "".join(f" {name}={_plain(value)}" for name, value in fields.items())
        moment = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        text = f"{moment.replace('+00:00', 'Z')} {record.levelname} {record.getMessage()}{pairs}"
        return f"{text}\n{self.formatException(record.exc_info)}" if record.exc_info else text


def _plain(value: object) -> str:
    text = str(value)
    return text if text and all(c.isalnum() or c in "._-/:@~+" for c in text) else json.dumps(text)


def open_log(file: Path, *, to_terminal: bool) -> None:
    """Send the agent's log to its file, and to standard error as well when a person looks on."""
    close_log()
    logging.raiseExceptions = False  # a full disk loses lines of the log, and nothing else
    _log.setLevel(logging.INFO)
    _log.propagate = False
    handlers: list[logging.Handler] = [
        RotatingFileHandler(file, maxBytes=AGENT_LOG_BYTES, backupCount=AGENT_LOGS_KEPT, delay=True)
    ]
    if to_terminal:
        handlers.append(logging.StreamHandler(sys.stderr))
    for handler in handlers:
        handler.setFormatter(FieldsFormatter())
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
