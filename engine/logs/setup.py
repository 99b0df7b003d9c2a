"""Starts the logs of a process: who writes where, and what is written without being asked for."""

import faulthandler
import logging
import os
import sys
import threading
import warnings
from pathlib import Path
from types import TracebackType
from typing import TextIO

from engine.home import home_path
from engine.logs.files import LineHandler
from engine.logs.lines import LEVELS, RUN, JsonFormatter, ProcessKind, severity
from engine.logs.notes import ROOT, note
from engine.logs.output import watch_output
from engine.logs.places import run_log, service_log

VARIABLE = "THAW_LOG_LEVEL"
DEFAULT_LEVEL = "INFO"
# What a worker tells to the service's log, too: how its run begins and ends.
LIFE = f"{ROOT}.runs"


def log_level() -> str:
    """Returns the least level that is written: THAW_LOG_LEVEL, or INFO where that is no level."""
    level = os.environ.get(VARIABLE, "").strip().upper()
    return level if level in LEVELS else DEFAULT_LEVEL


def start_logs(kind: ProcessKind, run: str = "") -> None:
    """Has this process write its log, uncaught exceptions and warnings of libraries included.

    Where THAW_HOME is not there or cannot be written, nothing is written, and nothing fails.

    Args:
        kind: of process.
        run: id of the run that it works for; empty where it works for none.
    """
    home = home_path()
    formatter = JsonFormatter(kind, run)
    service = _ServiceHandler(home, is_worker=kind == "worker")
    about_runs = _RunHandler(home, run)
    ours, others = logging.getLogger(ROOT), logging.getLogger()
    for handler in (service, about_runs):
        handler.setFormatter(formatter)
        others.addHandler(handler)
    ours.setLevel(log_level())
    # Libraries say much that only they understand; what they warn of is kept.
    others.setLevel(max(logging.WARNING, severity(log_level())))
    others.addHandler(_printer())
    _hook()
    if kind != "command":
        # A command's crash is for who sits before it.
        _keep_crashes(run_log(run).path if run else service_log().path)
    if kind in ("worker", "supervisor", "helper"):
        watch_output(home)
    if kind == "helper":
        note("process", "process started", arguments=list(sys.orig_argv[2:]))


class _ServiceHandler(LineHandler):
    """Writes to the service's log: of a worker, only what tells of its life and what is wrong."""

    def __init__(self, home: Path, is_worker: bool):
        super().__init__(service_log(home))
        self._home = home
        self._is_worker = is_worker

    def emit(self, record: logging.LogRecord) -> None:
        """Appends the line, where there is a THAW_HOME to keep it in."""
        minor = record.levelno < logging.WARNING and record.name != LIFE
        if not (self._is_worker and minor) and self._home.is_dir():
            super().emit(record)


class _RunHandler(logging.Handler):
    """Writes to the log of the run that a record is about, or that the process works for."""

    def __init__(self, home: Path, run: str):
        super().__init__()
        self._home = home
        self._run = run

    def emit(self, record: logging.LogRecord) -> None:
        """Appends the line."""
        run = getattr(record, RUN, "") or self._run
        if not run or not self._home.is_dir():
            return
        try:
            file = run_log(run, self._home)
            file.path.parent.mkdir(parents=True, exist_ok=True)
            file.append(self.format(record))
        except (OSError, ValueError, RecursionError):
            return


def _printer() -> logging.Handler:
    """Returns what prints warnings of libraries, as Python does where no log is written."""
    printer = logging.StreamHandler()
    printer.setLevel(logging.WARNING)
    printer.addFilter(lambda record: not record.name.startswith(f"{ROOT}."))
    return printer


def _hook() -> None:
    """Has uncaught exceptions and warnings written down before they go where they always go."""
    uncaught, in_thread, show_warning = sys.excepthook, threading.excepthook, warnings.showwarning

    def on_uncaught(
        kind: type[BaseException], error: BaseException, trace: TracebackType | None
    ) -> None:
        if not issubclass(kind, KeyboardInterrupt):
            note("process", "uncaught exception", logging.CRITICAL, error=error)
        uncaught(kind, error, trace)

    def on_thread(told: threading.ExceptHookArgs) -> None:
        if told.exc_value is not None and not issubclass(told.exc_type, SystemExit):
            name = told.thread.name if told.thread is not None else ""
            note(
                "process",
                "uncaught exception in a thread",
                logging.CRITICAL,
                error=told.exc_value,
                thread=name,
            )
        in_thread(told)

    def on_warning(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        where = f"{filename}:{lineno}"
        text = str(message)
        note("libraries", "warning", logging.WARNING, text=text, kind=category.__name__, at=where)
        show_warning(message, category, filename, lineno, file, line)

    sys.excepthook, threading.excepthook = on_uncaught, on_thread
    warnings.showwarning = on_warning


def _keep_crashes(path: Path) -> None:
    """Has the interpreter write what it did when it crashed to the log, as plain text."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    except OSError:
        return
    # It stays open for as long as the process lives.
    faulthandler.enable(file=descriptor, all_threads=True)
