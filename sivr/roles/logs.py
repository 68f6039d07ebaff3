"""Structured logs: one JSON object or one line of text per event, on standard error or in a file."""

from __future__ import annotations

import json
import logging
import sys
import threading
import time
from collections import deque
from pathlib import Path
from typing import TextIO

import msgspec

GATHER_S = 0.2
"""Information is written so late at most, many lines at once; warnings and errors at once."""
MOST_GATHERED = 4096
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


def _extra(record: logging.LogRecord) -> dict[str, object]:
    return {name: value for name, value in vars(record).items() if name not in _STANDARD}


def _time(record: logging.LogRecord) -> str:
    moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
    return f"{moment}.{int(record.msecs):03d}Z"


_JSON = msgspec.json.Encoder(enc_hook=str)


class GatheringHandler(logging.Handler):
    """Hands many lines at once to the handler behind it, from a thread of its own.

    A line per request, formatted and written at once, would take a tenth of the event loop's time. What is
    worse than information is written at once, after all that came before it.
    """

    def __init__(self, target: logging.Handler) -> None:
        super().__init__()
        self._target = target
        self._gathered: deque[logging.LogRecord] = deque()
        self._writing = threading.Lock()
        self._stop = threading.Event()
        threading.Thread(target=self._write_now_and_then, name="logs", daemon=True).start()

    def emit(self, record: logging.LogRecord) -> None:
        """Keep it for later, or write all at once."""
        self._gathered.append(record)
        if record.levelno > logging.INFO or len(self._gathered) >= MOST_GATHERED:
            self.flush()

    def flush(self) -> None:
        """Write what was gathered."""
        with self._writing:
            if not self._gathered:
                return
            while self._gathered:
                self._target.handle(self._gathered.popleft())
            self._target.flush()

    def close(self) -> None:
        """Write what is left, and end the thread."""
        self._stop.set()
        self.flush()
        self._target.close()
        super().close()

    def _write_now_and_then(self) -> None:
        while not self._stop.wait(GATHER_S):
            self.flush()


class _LineHandler(logging.StreamHandler[TextIO]):
    """Lines to a stream, flushed by whoever gathers them."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self.stream.write(self.format(record) + "\n")
        except Exception:
            self.handleError(record)


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
        try:
            return _JSON.encode(body).decode()
        except UnicodeEncodeError:
            # A file's name in no known encoding: half of a surrogate pair each byte.
            return json.dumps(body, default=str)


class TextFormatter(logging.Formatter):
    """The same for a person's eyes."""

    def format(self, record: logging.LogRecord) -> str:
        extra = " ".join(f"{name}={value}" for name, value in _extra(record).items() if value != "")
        line = f"{_time(record)} {record.levelname.lower():7} {record.name}: {record.getMessage()} {extra}"
        return line.rstrip() + ("\n" + self.formatException(record.exc_info) if record.exc_info else "")


def start_logging(level: str, form: str, file: Path | None = None) -> None:
    """Send every logger's events to standard error or a file in the given form, 'json' or 'text'."""
    stream = sys.stderr if file is None else file.open("a", encoding="utf-8", errors="backslashreplace")
    lines = _LineHandler(stream)
    lines.setFormatter(JsonFormatter() if form == "json" else TextFormatter())
    logging.basicConfig(level=level.upper(), handlers=[GatheringHandler(lines)], force=True)
    # Nobody prints where in the code a line came from, nor by which thread.
    logging._srcfile = None
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    for chatty in ("alembic", "sqlalchemy", "asyncio", "numba", "pydicom"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
