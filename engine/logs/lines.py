"""One event as one line of JSON, and back."""

import json
import logging
import math
import traceback
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from engine.redact import known_secrets, redacted, redacted_value

ProcessKind = Literal["dashboard", "supervisor", "worker", "helper", "command"]
LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
# How a plain text between the lines is shown: what the interpreter writes when it crashes.
TEXT_EVENT = "text"
FIELDS, RUN = "thaw_fields", "thaw_run"
MOST_TEXT = 16_000
MOST_FIELDS = 60


@dataclass(frozen=True)
class LogEntry:
    """One line of a log.

    Attributes:
        time: in seconds since the Unix epoch; None where the line does not say.
        level: one of LEVELS.
        event: what happened, in a few words.
        logger: who says so.
        kind: of process; empty where that is not known.
        pid: of the process.
        run: that it is about; empty where about none.
        fields: all else that is told, as plain data.
    """

    time: float | None
    level: str
    event: str
    logger: str = ""
    kind: str = ""
    pid: int | None = None
    run: str = ""
    fields: dict[str, Any] = field(default_factory=dict)

    @property
    def severity(self) -> int:
        """Its level as a number, as in the logging module."""
        return severity(self.level)

    def to_dict(self) -> dict[str, Any]:
        """Returns it as it stands in the file."""
        at = None if self.time is None else iso_time(self.time)
        return {
            "time": at,
            "level": self.level,
            "logger": self.logger,
            "process": self.kind,
            "pid": self.pid,
            "run": self.run,
            "event": self.event,
            "fields": self.fields,
        }


def severity(level: str) -> int:
    """Returns a level's number; that of an unknown one is INFO's."""
    return logging.getLevelNamesMapping().get(level.upper(), logging.INFO)


def iso_time(at: float) -> str:
    """Returns a time in UTC with milliseconds."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")[:-6] + "Z"


class JsonFormatter(logging.Formatter):
    """Makes a line of JSON of a record, without its secrets."""

    def __init__(self, kind: ProcessKind, run: str = ""):
        """Takes what is the same for every line of this process.

        Args:
            kind: of process.
            run: that the process works for; empty where it works for none.
        """
        super().__init__()
        self._kind = kind
        self._run = run
        # Looked up once: there may be a line every few milliseconds.
        self._secrets = known_secrets()

    def format(self, record: logging.LogRecord) -> str:
        """Returns the line, without the line break at its end."""
        fields = dict(getattr(record, FIELDS, None) or {})
        event = record.getMessage()
        if not hasattr(record, FIELDS):
            # A library's: what it says is no name of an event.
            fields, event = {"message": event}, "message"
        if record.exc_info and record.exc_info[0] is not None:
            fields["error"] = record.exc_info[0].__name__
            fields["traceback"] = "".join(traceback.format_exception(*record.exc_info)).rstrip()
        entry = LogEntry(
            time=record.created,
            level=record.levelname,
            event=redacted(event, self._secrets),
            logger=record.name,
            kind=self._kind,
            pid=record.process,
            run=getattr(record, RUN, "") or self._run,
            fields=_bounded(redacted_value(fields, self._secrets)),
        )
        return json.dumps(entry.to_dict(), ensure_ascii=True, allow_nan=False)


def read_line(line: bytes) -> LogEntry | None:
    """Returns what a line says; a plain text as an event of its own, None for a torn line."""
    text = line.decode("utf-8", "replace").rstrip("\r\n")
    if not text.strip():
        return None
    if not text.startswith("{"):
        return LogEntry(None, "ERROR", TEXT_EVENT, fields={"text": text})
    try:
        values = json.loads(text)
        return LogEntry(
            time=datetime.fromisoformat(values["time"]).timestamp() if values["time"] else None,
            level=str(values["level"]),
            event=str(values["event"]),
            logger=str(values["logger"]),
            kind=str(values["process"]),
            pid=values["pid"],
            run=str(values["run"]),
            fields=dict(values["fields"]),
        )
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
        return None


def one_line(entry: LogEntry) -> str:
    """Returns what an entry says beside its time and level, as one line for people."""
    if entry.event == TEXT_EVENT:
        return str(entry.fields.get("text", ""))
    fields = {name: one for name, one in entry.fields.items() if name != "traceback"}
    values = fields.pop("values", None)
    told = [
        f"{name}={_shown(one)}"
        for name, one in (fields | (values if isinstance(values, dict) else {})).items()
    ]
    if entry.event == "message":
        return f"{entry.logger}: {entry.fields.get('message', '')}"
    return "  ".join((entry.event, *told))


def local_time(at: float | None, zone: Any = None) -> str:
    """Returns a time as a person reads it, in a time zone or in this machine's."""
    if at is None:
        return ""
    return datetime.fromtimestamp(at, zone).strftime("%Y-%m-%d %H:%M:%S")


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    text = value if isinstance(value, str) else json.dumps(value)
    return f'"{text}"' if " " in text else text


def _bounded(value: Any) -> Any:
    """Returns plain data that JSON knows, with long texts cut in the middle."""
    if isinstance(value, dict):
        return {key: _bounded(one) for key, one in list(value.items())[:MOST_FIELDS]}
    if isinstance(value, list):
        return [_bounded(one) for one in value[:MOST_FIELDS]]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, str) and len(value) > MOST_TEXT:
        half = MOST_TEXT // 2
        return f"{value[:half]}\n[… {len(value) - MOST_TEXT:,} characters …]\n{value[-half:]}"
    return value
