"""Structured logs: one JSON object or one line of text per event, on standard error or in a file."""

from __future__ import annotations

import datetime
import json
import logging
import sys
from pathlib import Path

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


def _extra(record: logging.LogRecord) -> dict[str, object]:
    return {name: value for name, value in vars(record).items() if name not in _STANDARD}


def _time(record: logging.LogRecord) -> str:
    moment = datetime.datetime.fromtimestamp(record.created, datetime.UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


class JsonFormatter(logging.Formatter):
    """One JSON object per line: time, level, logger, event, and the event's own members."""

    def format(self, record: logging.LogRecord) -> str:
        body: dict[str, object] = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
            **_extra(record),
        }
        if record.exc_info:
            body["error"] = self.formatException(record.exc_info)
        return json.dumps(body, default=str, ensure_ascii=False)


class TextFormatter(logging.Formatter):
    """The same for a person's eyes."""

    def format(self, record: logging.LogRecord) -> str:
        extra = " ".join(f"{name}={value}" for name, value in _extra(record).items() if value != "")
        line = f"{_time(record)} {record.levelname.lower():7} {record.name}: {record.getMessage()} {extra}"
        return line.rstrip() + ("\n" + self.formatException(record.exc_info) if record.exc_info else "")


def start_logging(level: str, form: str, file: Path | None = None) -> None:
    """Send every logger's events to standard error or a file in the given form, 'json' or 'text'."""
    handler = logging.StreamHandler(sys.stderr) if file is None else logging.FileHandler(file)
    handler.setFormatter(JsonFormatter() if form == "json" else TextFormatter())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for chatty in ("alembic", "sqlalchemy", "asyncio", "numba", "pydicom"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
