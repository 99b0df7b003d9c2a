"""The process of one learning-rate finder: `python -m engine.runs.rate_finder_worker KEY`."""

import os
import sys
import time
import traceback
from collections.abc import Mapping
from dataclasses import replace

from engine.errors import ThawError
from engine.events import Kind, Value
from engine.runs.process import process_started
from engine.runs.rate_finder import FinderState, keep_state, log_file, spec_file, stop_file
from engine.spec import Act, RunSpec

TELL_SECONDS = 0.4


class ProgressWriter:
    """A Reporter that keeps progress in the finder's file, a few times a second."""

    def __init__(self, key: str):
        self.state = FinderState(
            task="loading PyTorch", pid=os.getpid(), pid_started=process_started(os.getpid())
        )
        self._key = key
        self._told_at = 0.0
        self._stop_file = stop_file(key)
        keep_state(key, self.state)

    def emit(self, kind: Kind, epoch: int, step: int, values: Mapping[str, Value]) -> None:
        """Takes progress down; all else is of no use here."""
        if kind != "progress" or "done" not in values:
            return
        told = {name: values[name] for name in ("task", "done", "total")}
        changed = told["task"] != self.state.task
        self.state = replace(self.state, **told)  # type: ignore[arg-type]
        if changed or time.monotonic() - self._told_at >= TELL_SECONDS:
            self._told_at = time.monotonic()
            keep_state(self._key, self.state)

    def should_stop(self) -> bool:
        """Returns whether a person asked it to end."""
        return self._stop_file.exists()

    def take_acts(self) -> list[Act]:
        """Returns nothing: a finder is not steered."""
        return []


def main(key: str) -> int:
    """Tries learning rates as the key's spec says, and keeps what was found."""
    writer = ProgressWriter(key)
    try:
        spec = RunSpec.parse(spec_file(key).read_text(encoding="utf-8"))
        from engine.training.lr_finder import find_for_spec
        from engine.training.reporter import StopTrainingError

        try:
            found = find_for_spec(spec, writer)
        except StopTrainingError:
            keep_state(key, replace(writer.state, status="stopped"))
            return 0
        keep_state(key, replace(writer.state, status="finished", task="", tests=found))
    except ThawError as error:
        keep_state(key, replace(writer.state, status="failed", reason=str(error)))
    except Exception as error:
        traceback.print_exc()
        reason = (
            f"Trying learning rates failed with {type(error).__name__}; the traceback is in "
            f"{log_file(key)}."
        )
        keep_state(key, replace(writer.state, status="failed", reason=reason))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
