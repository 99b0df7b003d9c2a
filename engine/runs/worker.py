"""The process that trains one run: `python -m engine.runs.worker RUN_ID`."""

import contextlib
import logging
import os
import platform
import signal
import sys
import traceback
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from engine.errors import ThawError
from engine.events import NOTES, Kind, Value
from engine.files import write_text
from engine.home import CHECKPOINT_FILE, run_folder
from engine.logs import note, start_logs
from engine.redact import redacted
from engine.runs.patience import patiently
from engine.runs.process import machine_name, process_started
from engine.runs.replay import recorded_acts, unapplied_acts
from engine.runs.store import Run, Store
from engine.runs.writer import EventWriter

TRACEBACK_FILE = "traceback.txt"
SPEC_FILE = "spec.json"
# Tasks whose values say something of the run as a whole.
TELLING = ("ready", "features", "pictures", "update")
RESUMED = "resumed"
# What the log says of events that are few, and what would fill it.
LOGGED: dict[Kind, str] = {"epoch": "epoch done", "phase": "phase begins", "act": "changed by hand"}
UNTOLD = frozenset({"planned_rates", "lr/head", "lr/backbone"})


class SummaryWriter(EventWriter):
    """An event writer that also keeps the run's summary up to date."""

    def __init__(self, store: Store, run: Run):
        recorded = recorded_acts(store.events_of_kind(run.id, "act"))
        asked = store.acts(run.id)
        again = unapplied_acts(run.spec, (act for _, act in asked), recorded)
        super().__init__(store, run.id, again, max((number for number, _ in asked), default=0))
        self.recorded = recorded
        self.facts: dict[str, Any] = {}
        self._memory_notes: list[str] = list(run.summary.get("memory_notes", ()))

    def emit(self, kind: Any, epoch: int, step: int, values: Any) -> None:
        """Takes an event down, and what it says of the run as a whole."""
        if values.get("task") == RESUMED:
            # What was told of later steps is about to be told again.
            if step:
                patiently(lambda: self._store.forget_after(self._run_id, step, epoch))
            else:
                self.begin_anew()
        if values.get("task") in TELLING:
            self.facts |= {name: value for name, value in values.items() if name != "task"}
            self._summarise(self.facts)
        memory_note = values.get("memory_note")
        if memory_note and memory_note not in self._memory_notes:
            self._memory_notes.append(memory_note)
            self._summarise({"memory_notes": self._memory_notes})
        note_event(kind, epoch, step, values)
        super().emit(kind, epoch, step, values)

    def begin_anew(self) -> None:
        """Forgets what was told of steps that are about to be done again, which are all."""
        patiently(lambda: self._store.forget_after(self._run_id, 0, 0))
        if self._memory_notes:
            self._memory_notes = []
            self._summarise({"memory_notes": []})

    def _summarise(self, facts: dict[str, Any]) -> None:
        patiently(lambda: self._store.add_to_summary(self._run_id, facts))


def note_event(kind: Kind, epoch: int, step: int, values: Mapping[str, Value]) -> None:
    """Writes to the log what training tells: one line an epoch, a phase, a task; none a step."""
    told = {name: one for name, one in values.items() if name not in UNTOLD}
    if kind in LOGGED:
        note("training", LOGGED[kind], epoch=epoch, step=step, values=told)
    elif kind == "progress" and "done" not in values:
        level = logging.WARNING if any(name in values for name in NOTES) else logging.INFO
        note("training", f"task {told.pop('task', '')}", level, epoch=epoch, values=told)


def main(run_id: str) -> int:
    """Trains a run and gives it its final status; returns the exit code."""
    store = patiently(Store)
    run = patiently(partial(store.run, run_id))
    started = process_started(os.getpid())
    patiently(
        partial(store.set_process, run.id, machine_name(), os.getpid(), started or 0.0),
    )
    folder = run_folder(run.id)
    writer = patiently(partial(SummaryWriter, store, run))
    signal.signal(signal.SIGTERM, lambda *_: writer.request_stop())
    note("runs", "worker begins", name=run.name, python=platform.python_version())
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_text(folder / SPEC_FILE, run.spec.model_dump_json(indent=1))
        _train(store, run, folder, writer)
    except ThawError as error:
        _fail(store, run, folder, writer, str(error), error)
    except OSError as error:
        which = f" {error.filename}" if error.filename else ""
        reason = (
            f"A file{which} of the run cannot be read or written ({error.strerror or error}); free "
            "some room or mend its permissions, and resume the run."
        )
        _fail(store, run, folder, writer, reason, error)
    except Exception as error:
        text = str(error).strip()
        first_line = text.splitlines()[0] if text else "no message"
        reason = (
            f"Training failed with {type(error).__name__}: {first_line}; the traceback is in "
            f"{folder / TRACEBACK_FILE}."
        )
        _fail(store, run, folder, writer, reason, error)
    return 0


def _train(store: Store, run: Run, folder: Path, writer: SummaryWriter) -> None:
    told: dict[str, Value] = {"task": "loading PyTorch"}
    writer.emit("progress", 0, 0, told)
    from engine.training.state import state_files
    from engine.training.trainer import train

    if not state_files(folder):
        # If it had begun.
        writer.begin_anew()
    outcome = train(run.spec, folder, writer, writer.recorded, writer)
    writer.close()
    checkpoint = folder / CHECKPOINT_FILE
    status, why = outcome.status, outcome.note
    if status == "paused" and patiently(partial(store.run, run.id)).stop_requested:
        # A person thought better of it while it was being written.
        status, why = "stopped", "stopped by hand"
    summary = {
        "blend": outcome.blend,
        "best_val_accuracy": outcome.best_val_accuracy,
        "best_epoch": outcome.best_epoch,
        "seconds": outcome.seconds,
        "cpu_seconds": outcome.cpu_seconds,
        "acts_too_late": list(outcome.acts_too_late),
        "checkpoint": str(checkpoint) if checkpoint.is_file() else None,
    }
    if not outcome.best_epoch and state_files(folder):
        # It ended while it was prepared, and what it had come to before still holds.
        summary = {}
    patiently(partial(store.set_status, run.id, status, why, summary=summary))


def _fail(
    store: Store, run: Run, folder: Path, writer: EventWriter, reason: str, error: Exception
) -> None:
    note("runs", "training failed", logging.ERROR, error=error, reason=reason)
    told = redacted(traceback.format_exc())
    # Also to the output: there may be no room for a file.
    print(told, file=sys.stderr)
    with contextlib.suppress(OSError):
        write_text(folder / TRACEBACK_FILE, told)
    try:
        writer.close()
    finally:
        patiently(partial(store.set_status, run.id, "failed", redacted(reason)))


if __name__ == "__main__":
    start_logs("worker", run=sys.argv[1])
    sys.exit(main(sys.argv[1]))
