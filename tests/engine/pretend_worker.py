"""A worker that trains nothing: it claims runs from the queue and tells of epochs as it is told."""

import os
import threading
import time
from collections.abc import Callable, Sequence
from types import TracebackType

from engine.runs.process import machine_name, process_started
from engine.runs.store import NewEvent, Store
from engine.spec import RunSpec

# The validation accuracies of a run, one an epoch; None stands for a run that fails.
Accuracies = Callable[[RunSpec], Sequence[float] | None]


def epoch_event(epoch: int, accuracy: float) -> NewEvent:
    values = {"val/accuracy": accuracy, "elapsed_seconds": 1.5 * epoch}
    return (time.time(), "epoch", epoch, epoch * 5, values)


class PretendWorker:
    """Runs what is queued in the background, until the `with` block ends."""

    def __init__(self, accuracies: Accuracies, slots: int = 1, epoch_seconds: float = 0.0):
        self._accuracies = accuracies
        self._slots = slots
        self._epoch_seconds = epoch_seconds
        self._done = threading.Event()
        self._threads = [threading.Thread(target=self._work) for _ in range(slots)]

    def __enter__(self) -> "PretendWorker":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._done.set()
        for thread in self._threads:
            thread.join()

    def _work(self) -> None:
        store = Store()
        while not self._done.is_set():
            claimed = store.claim_next(self._slots, machine_name())
            if claimed is None:
                time.sleep(0.02)
            else:
                self._train(store, claimed[0])
        store.close()

    def _train(self, store: Store, run_id: str) -> None:
        store.set_process(run_id, machine_name(), os.getpid(), process_started(os.getpid()) or 0.0)
        accuracies = self._accuracies(store.run(run_id).spec)
        if accuracies is None:
            store.set_status(run_id, "failed", "The training loss became NaN.")
            return
        for epoch, accuracy in enumerate(accuracies, start=1):
            wish = store.append(run_id, [epoch_event(epoch, accuracy)])
            if wish == "pause":
                store.set_status(run_id, "paused", f"paused after epoch {epoch}")
                return
            if wish or self._done.wait(self._epoch_seconds):
                store.set_status(run_id, "stopped", "stopped by hand")
                return
        summary = {"best_val_accuracy": max(accuracies), "seconds": 1.5 * len(accuracies)}
        store.set_status(run_id, "finished", summary=summary)
