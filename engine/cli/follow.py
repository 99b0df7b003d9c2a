"""Follows runs in the terminal, from the store's events alone."""

import time
from collections.abc import Callable, Sequence
from functools import partial

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)

from engine.cli.app import percent, seconds
from engine.cli.interrupt import Interrupt, first_interrupt
from engine.errors import StoreError
from engine.events import MetricEvent, note_of
from engine.home import thaw_home
from engine.insight.compare import report
from engine.runs.patience import patiently
from engine.runs.queue import tend
from engine.runs.store import Run, Store

POLL_SECONDS = 0.1
ALL_POLL_SECONDS = 0.5
TEND_SECONDS = 3.0
START_SECONDS = 60.0


def follow(store: Store, start: Callable[[], Run], quiet: bool = False) -> Run:
    """Starts a run, shows its progress on stderr until it ends, and returns it as it ended.

    The first Ctrl-C asks the run to stop, also one while it is being put in the queue; a second
    one leaves it to itself.

    Args:
        store: holds the run.
        start: puts the run in the queue and returns it.
        quiet: show nothing.
    """
    console = Console(stderr=True, quiet=quiet, markup=False)
    columns = _columns("{task.fields[unit]}")
    with first_interrupt() as interrupt:
        run = start()
        with Progress(*columns, console=console, transient=True, disable=quiet) as progress:
            run = _watch(store, run, _View(progress, run), interrupt)
    _say_end(console, store, run)
    return run


def follow_all(store: Store, start: Callable[[], Sequence[Run]], quiet: bool = False) -> list[Run]:
    """Starts runs, shows on stderr how many have ended until all have, and returns them so.

    The first Ctrl-C asks all that are left to stop, also one while they are being put in the
    queue; a second one leaves them to themselves.
    """
    console = Console(stderr=True, quiet=quiet, markup=False)
    with first_interrupt() as interrupt:
        runs = start()
        with Progress(
            *_columns("runs"), console=console, transient=True, disable=quiet
        ) as progress:
            return _watch_all(store, runs, progress, interrupt)


def _watch_all(
    store: Store, runs: Sequence[Run], progress: Progress, interrupt: Interrupt
) -> list[Run]:
    asked, tended = False, 0.0
    bar = progress.add_task("waiting", total=len(runs))
    while True:
        if interrupt.pressed and not asked:
            asked = True
            progress.console.print("Stopping; press Ctrl-C again to leave the runs going on.")
            # From the end, so that none that waits takes the place of one that was stopped.
            for run in reversed(runs):
                patiently(partial(store.request_stop, run.id))
        if time.monotonic() - tended > TEND_SECONDS:
            tended = time.monotonic()
            patiently(partial(tend, store))
        now = [patiently(partial(store.run, run.id)) for run in runs]
        left = [run for run in now if run.is_active]
        going_on = next((run.name for run in left if run.status != "queued"), "waiting")
        progress.update(bar, completed=len(now) - len(left), description=going_on)
        if not left:
            return now
        time.sleep(ALL_POLL_SECONDS)


def _columns(unit: str) -> tuple[ProgressColumn, ...]:
    return (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn(f"{{task.completed:.0f}}/{{task.total:.0f}} {unit}"),
        TimeElapsedColumn(),
    )


def _watch(store: Store, run: Run, view: "_View", interrupt: Interrupt) -> Run:
    seen, tended, asked = 0, time.monotonic(), False
    first_in_line_since: float | None = None
    while True:
        if interrupt.pressed and not asked:
            asked = True
            view.say("Stopping after the present step; press Ctrl-C again to leave it running.")
            patiently(partial(store.request_stop, run.id))
        run = patiently(partial(store.run, run.id))
        for event in patiently(partial(store.events, run.id, after=seen)):
            seen = event.seq
            view.show(event)
        if not run.is_active:
            return run
        if run.status == "queued":
            num_before = patiently(partial(store.num_waiting_before, run))
            view.waiting(num_before)
            first_in_line_since = (
                (first_in_line_since or time.monotonic()) if not num_before else None
            )
            _require_start(run, first_in_line_since)
        if time.monotonic() - tended > TEND_SECONDS:
            tended = time.monotonic()
            patiently(partial(tend, store))
        time.sleep(POLL_SECONDS)


def _require_start(run: Run, first_in_line_since: float | None) -> None:
    """Gives up waiting for a run that nothing stands before and that nobody starts."""
    if first_in_line_since is None or time.monotonic() - first_in_line_since < START_SECONDS:
        return
    raise StoreError(
        f"Run {run.id} is first in the queue and was not started in {START_SECONDS:.0f} seconds; "
        f"what kept the queue from working is in {thaw_home() / 'supervisor.log'}. The run stays "
        "queued."
    )


class _View:
    """Turns events into a progress bar and a line an epoch."""

    def __init__(self, progress: Progress, run: Run):
        self._progress = progress
        self._num_epochs = run.spec.training.epochs
        self._task: TaskID = progress.add_task("starting", total=1, unit="")

    def say(self, text: str) -> None:
        self._progress.console.print(text, highlight=False)

    def waiting(self, num_before: int) -> None:
        self._bar(f"waiting for {num_before} other run{'s' if num_before != 1 else ''}", 0, 1, "")

    def _bar(self, text: str, done: float, total: float, unit: str) -> None:
        self._progress.update(self._task, description=text, completed=done, total=total, unit=unit)

    def show(self, event: MetricEvent) -> None:
        values = event.values
        if event.kind == "progress" and "total" in values:
            done, total = float(values["done"] or 0), float(values["total"] or 1)
            self._bar(str(values["task"]), done, total, "images")
        elif event.kind == "progress" and values.get("task") == "features":
            self.say(_features(event))
        elif event.kind == "progress" and (note := note_of(event)):
            self.say(note)
        elif event.kind == "progress" and values.get("task") == "ready":
            self.say(_facts(event))
        elif event.kind == "progress":
            self._bar(str(values["task"]), 0, 1, "")
        elif event.kind == "epoch":
            self._bar("training", event.epoch, self._num_epochs, "epochs")
            self.say(_epoch_line(event))


def _facts(event: MetricEvent) -> str:
    values = event.values
    left_out = f", {values['left_out']} files left out" if values["left_out"] else ""
    return (
        f"{values['train_images']} images to train on, {values['val_images']} to validate on, "
        f"{values['classes']} classes{left_out}; {values['trainable_parameters']:,} of "
        f"{values['total_parameters']:,} parameters learn, on {values['device']}"
    )


def _features(event: MetricEvent) -> str:
    values = event.values
    took = seconds(float(values["features_seconds"] or 0.0))
    what = f"what goes into {values['features_before']}"
    if values["features_found"]:
        return f"{what} was found in the cache, which saves {took}"
    return f"{what} was computed once, in {took}"


def _epoch_line(event: MetricEvent) -> str:
    values = event.values
    return (
        f"epoch {event.epoch:>3}  train loss {values['train/loss']:.3f}  "
        f"accuracy {percent(float(values['train/accuracy'] or 0))}  |  "
        f"val loss {values['val/loss']:.3f}  "
        f"accuracy {percent(float(values['val/accuracy'] or 0))}  "
        f"F1 {values['val/f1']:.3f}  ({values['seconds']:.1f} s)"
    )


def _say_end(console: Console, store: Store, run: Run) -> None:
    result = report(store, run)
    reason = f": {run.reason}" if run.reason else ""
    console.print(f"Run {run.id} {run.status}{reason}", highlight=False, soft_wrap=True)
    for note in result.memory_notes:
        console.print(note, highlight=False, soft_wrap=True)
    if result.best is not None:
        console.print(
            f"Best validation accuracy {percent(result.best_val_accuracy)} in epoch "
            f"{result.best_epoch}, after {seconds(result.seconds_to_best)}",
            highlight=False,
        )
    if run.summary.get("checkpoint"):
        console.print(f"Checkpoint {run.summary['checkpoint']}", highlight=False, soft_wrap=True)
