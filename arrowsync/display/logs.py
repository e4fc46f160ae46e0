"""Log lines on stderr, as text or JSON. The library itself only ever writes to the logger "arrowsync"."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime

from arrowsync.display.document import on_one_line, visible
from arrowsync.errors import ConfigError

FORMATS = ("text", "json")


class JsonLines(logging.Formatter):
    """One JSON object a line: time, level, message, and the traceback where there is one."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line)


class TextLines(logging.Formatter):
    """Time, level and message on one line, control characters spelled out; a traceback's lines follow."""

    def format(self, record: logging.LogRecord) -> str:
        return visible(super().format(record))

    def formatMessage(self, record: logging.LogRecord) -> str:
        return on_one_line(super().formatMessage(record))


def log_to_stderr(level: str, line_format: str = "text") -> None:
    """Show what arrowsync logs from `level` on. Raises ConfigError for words that mean nothing."""
    if level.upper() not in logging.getLevelNamesMapping():
        raise ConfigError(f"--log-level must be debug, info, warning, error or critical, not {level!r}")
    if line_format not in FORMATS:
        raise ConfigError(f"ARROWSYNC_LOG_FORMAT must be {' or '.join(FORMATS)}, not {line_format!r}")
    handler = logging.StreamHandler(sys.stderr)
    text = TextLines("%(asctime)s %(levelname)s %(message)s")
    handler.setFormatter(JsonLines() if line_format == "json" else text)
    logger = logging.getLogger("arrowsync")
    logger.addHandler(handler)
    logger.setLevel(level.upper())
