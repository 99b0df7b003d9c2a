"""The process that trains one run: `python -m engine.runs.worker RUN_ID`."""

import os
import signal
import sys
import traceback
from pathlib import Path
from typing import Any

from engine.errors import ThawError
from engine.events import Value
from engine.files import write_text
from engine.home import run_folder
from engine.redact import redacted
from engine.runs.process import host_name, process_started
from engine.runs.replay import recorded_acts, unapplied_acts
from engine.runs.store import Run, Store
from engine.runs.writer import EventWriter

TRACEBACK_FILE = "traceback.txt"
SPEC_FILE = "spec.json"
# Tasks whose values say something of the run as a whole.
TELLING = ("ready", "features", "pictures")
RESUMED = "resumed"


class SummaryWriter(EventWriter):
    """An event writer that also keeps the run's summary up to date."""

    def __init__(self, store: Store, run: Run):
        recorded = recorded_acts(store.events_of_kind(run.id, "act"))
        asked = store.acts(run.id)
        again = unapplied_acts(run.spec, (act for _, act in asked), recorded)
        super().__init__(store, run.id, again, max((number for number, _ in asked), default=0))
        self.recorded = recorded
        self.facts: dict[str, Any] = {}

    def emit(self, kind: Any, epoch: int, step: int, values: Any) -> None:
        """Takes an event down, and what it says of the run as a whole."""
        if values.get("task") == RESUMED:
            # What was told of later steps is about to be told again.
            self._store.forget_after(self._run_id, step)
        if values.get("task") in TELLING:
            self.facts |= {name: value for name, value in values.items() if name != "task"}
            self._store.add_to_summary(self._run_id, self.facts)
        super().emit(kind, epoch, step, values)


def main(run_id: str) -> int:
    """Trains a run and gives it its final status; returns the exit code."""
    store = Store()
    run = store.run(run_id)
    started = process_started(os.getpid())
    store.set_process(run.id, host_name(), os.getpid(), started or 0.0)
    folder = run_folder(run.id)
    folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / SPEC_FILE, run.spec.model_dump_json(indent=1))
    writer = SummaryWriter(store, run)
    signal.signal(signal.SIGTERM, lambda *_: writer.request_stop())
    try:
        _train(store, run, folder, writer)
    except ThawError as error:
        _fail(store, run, folder, writer, str(error))
    except Exception as error:
        text = str(error).strip()
        first_line = text.splitlines()[0] if text else "no message"
        reason = (
            f"Training failed with {type(error).__name__}: {first_line}; the traceback is in "
            f"{folder / TRACEBACK_FILE}."
        )
        _fail(store, run, folder, writer, reason)
    return 0


def _train(store: Store, run: Run, folder: Path, writer: SummaryWriter) -> None:
    told: dict[str, Value] = {"task": "loading PyTorch"}
    writer.emit("progress", 0, 0, told)
    from engine.training.state import state_files
    from engine.training.trainer import CHECKPOINT_FILE, train

    if not state_files(folder):
        # It begins anew, if it had begun.
        store.forget_after(run.id, 0)
    outcome = train(run.spec, folder, writer, writer.recorded)
    writer.close()
    checkpoint = folder / CHECKPOINT_FILE
    store.set_status(
        run.id,
        outcome.status,
        outcome.note,
        summary={
            "blend": outcome.blend,
            "best_val_accuracy": outcome.best_val_accuracy,
            "best_epoch": outcome.best_epoch,
            "seconds": outcome.seconds,
            "cpu_seconds": outcome.cpu_seconds,
            "acts_too_late": list(outcome.acts_too_late),
            "checkpoint": str(checkpoint) if checkpoint.is_file() else None,
        },
    )


def _fail(store: Store, run: Run, folder: Path, writer: EventWriter, reason: str) -> None:
    write_text(folder / TRACEBACK_FILE, redacted(traceback.format_exc()))
    try:
        writer.close()
    finally:
        store.set_status(run.id, "failed", redacted(reason))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
