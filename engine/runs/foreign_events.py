"""The events of a run that came from a stranger, each looked at before it is believed."""

from collections.abc import Iterator
from typing import IO, Any

from engine.runs.plain import as_planned
from engine.runs.run_file import MOST_LINE_BYTES, EventLine
from engine.spec import Act

# Without these the pages that compare runs could not draw an epoch.
EPOCH_NUMBERS = (
    *("train/loss", "train/accuracy", "val/loss", "val/accuracy", "val/f1", "lr/head"),
    *("seconds", "elapsed_seconds", "images_per_second", "peak_memory_mib"),
)
# Of an update, where it has images of the kind.
UPDATE_NUMBERS = ("val/old_accuracy", "val/new_accuracy")
STEP_NUMBERS = ("train/loss", "train/accuracy", "images_per_second")


def event_lines(file: IO[bytes]) -> Iterator[EventLine]:
    """Yields the events of an open `events.jsonl`, each of which is whole.

    Raises:
        ValueError: one is not, or they are not in order.
    """
    last = 0
    while line := file.readline(MOST_LINE_BYTES + 1):
        if len(line) > MOST_LINE_BYTES or not line.endswith(b"\n"):
            raise ValueError("a line of events.jsonl is cut off, or longer than any")
        event = EventLine.model_validate_json(line)
        if event.seq <= last:
            raise ValueError("the lines of events.jsonl are not in order")
        last = event.seq
        _check_event(event)
        yield event


def _check_event(event: EventLine) -> None:
    values = event.values
    if event.kind == "epoch":
        _require_numbers(values, EPOCH_NUMBERS)
        _require_numbers(values, tuple(name for name in UPDATE_NUMBERS if name in values))
    elif event.kind == "step":
        _require_numbers(values, STEP_NUMBERS)
    elif event.kind == "phase":
        _require_numbers(values, tuple(values))
    elif event.kind == "act":
        told = {"kind": values.get("act")} | {n: values.get(n) for n in ("target", "factor")}
        Act.parse({"step": event.step, **told})
        if not isinstance(values.get("sentence"), str):
            raise ValueError("an act in events.jsonl says nothing")
    if (planned := values.get("planned_rates")) is not None:
        as_planned(str(planned))


def _require_numbers(values: dict[str, Any], names: tuple[str, ...]) -> None:
    for name in names:
        value = values.get(name)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ValueError(f"{name} of an event is no number")
