"""Work in a process of its own that outlives the page: start, follow, stop, keep. No torch.

How it stands, and at last what it found, is a file in THAW_HOME's cache, under a kind of work and a
key that stands for all that its result depends on. So the same is never worked out twice.
"""

import json
import logging
import os
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from engine.errors import ThawError
from engine.events import Kind, Value
from engine.files import write_text
from engine.home import cache_folder
from engine.logs import note
from engine.redact import redacted
from engine.runs.process import is_alive, process_started, start_detached
from engine.training.reporter import Reporter, StopTrainingError, Unsteered

WorkStatus = Literal["working", "finished", "stopped", "failed"]

# A process that has not said a word after this long never will.
SILENT_SECONDS = 60.0
TELL_SECONDS = 0.4


@dataclass(frozen=True)
class WorkState:
    """Work as it stands.

    Attributes:
        status: whether it goes on, and if not, how it ended.
        task: what is done now.
        done: how much of the task.
        total: of so much; 0 where that is not known.
        result: what was found, as plain data; None before.
        reason: why it failed, in one sentence; else empty.
        at: when this was written, in seconds since the Unix epoch.
        pid: of its process; None before that has begun.
        pid_started: when the process started; see process.process_started.
    """

    status: WorkStatus = "working"
    task: str = "starting"
    done: int = 0
    total: int = 0
    result: dict[str, Any] | None = None
    reason: str = ""
    at: float = 0.0
    pid: int | None = None
    pid_started: float | None = None

    @property
    def is_working(self) -> bool:
        """Whether it goes on."""
        return self.status == "working"

    @property
    def is_gone(self) -> bool:
        """Whether the process that should be at work is not there."""
        if self.pid is None or self.pid_started is None:
            # Either way: a clock may have been set back.
            return abs(time.time() - self.at) > SILENT_SECONDS
        return not is_alive(self.pid, self.pid_started)


class Work:
    """One piece of work, at work or not.

    Attributes:
        state_file: where its state is kept.
        order_file: what it is to do.
        stop_file: whose presence asks it to end.
        log_file: where the output of its process goes.
    """

    def __init__(self, kind: str, key: str, what: str):
        """Takes the kind of work, a folder of the cache, and what stands for this piece of it.

        Args:
            kind: of work.
            key: stands for all that the result depends on.
            what: it does, as a sentence on its failure begins.
        """
        folder = cache_folder(kind)
        self._key = key
        self._what = what
        self.state_file = folder / f"{key}.json"
        self.order_file = folder / f"{key}.order.json"
        self.stop_file = folder / f"{key}.stop"
        self.log_file = folder / f"{key}.log"

    def state(self) -> WorkState | None:
        """Returns how it stands, None where it was never started.

        Work whose process is gone has failed.
        """
        state = self._read()
        if state is None or not state.is_working or not state.is_gone:
            return state
        # It may have ended well between the two looks.
        state = self._read() or state
        if not state.is_working:
            return state
        reason = (
            f"{self._what} ended without a word; try again. What the process wrote is in "
            f"{self.log_file}."
        )
        return replace(state, status="failed", reason=reason)

    def start(self, module: str, order: str) -> None:
        """Starts `python -m module KEY`, unless it is at work; what was found before is lost.

        Args:
            module: calls `do`.
            order: what is to be done, for the module to read.
        """
        state = self.state()
        if state is not None and state.is_working:
            return
        note("work", "work asked", work=module, key=self._key)
        write_text(self.order_file, order)
        self.stop_file.unlink(missing_ok=True)
        self.keep(WorkState())
        start_detached([module, self._key], self.log_file)

    def stop(self) -> None:
        """Asks it to end, which it soon does; nothing is found then."""
        self.stop_file.touch()
        note("work", "stop asked", key=self._key)

    def keep(self, state: WorkState) -> None:
        """Writes how it stands, whole or not at all."""
        write_text(self.state_file, json.dumps(asdict(replace(state, at=time.time()))))

    def do(self, find: Callable[[str, Reporter], dict[str, Any]]) -> None:
        """Does the work in this process, and keeps how it ended.

        Args:
            find: returns what it finds, given the order and whom to tell how far it is.
        """
        reporter = WorkReporter(self)
        note("work", "work begins", key=self._key)
        try:
            result = find(self.order_file.read_text(encoding="utf-8"), reporter)
        except StopTrainingError:
            self.keep(replace(reporter.state, status="stopped"))
            note("work", "work stopped", key=self._key)
        except ThawError as error:
            self.keep(replace(reporter.state, status="failed", reason=str(error)))
            note("work", "work failed", logging.WARNING, key=self._key, reason=str(error))
        except Exception as error:
            print(redacted(traceback.format_exc()), file=sys.stderr)
            note("work", "work failed", logging.ERROR, error=error, key=self._key)
            reason = (
                f"{self._what} failed with {type(error).__name__}; the traceback is in "
                f"{self.log_file}."
            )
            self.keep(replace(reporter.state, status="failed", reason=reason))
        else:
            self.keep(replace(reporter.state, status="finished", task="", result=result))
            note("work", "work finished", key=self._key)

    def _read(self) -> WorkState | None:
        try:
            return WorkState(**json.loads(self.state_file.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None


class WorkReporter(Unsteered):
    """A Reporter that keeps progress in the work's file, a few times a second.

    Attributes:
        state: as it was told last.
    """

    def __init__(self, work: Work):
        """Tells at once that the process has begun."""
        pid = os.getpid()
        self.state = WorkState(task="loading PyTorch", pid=pid, pid_started=process_started(pid))
        self._work = work
        self._told_at = 0.0
        work.keep(self.state)

    def emit(self, kind: Kind, epoch: int, step: int, values: Mapping[str, Value]) -> None:
        """Takes progress down; all else is of no use here."""
        if kind != "progress" or "done" not in values:
            return
        told: dict[str, Any] = {name: values[name] for name in ("task", "done", "total")}
        changed = told["task"] != self.state.task
        self.state = replace(self.state, **told)
        if changed or time.monotonic() - self._told_at >= TELL_SECONDS:
            self._told_at = time.monotonic()
            self._work.keep(self.state)

    def should_stop(self) -> bool:
        """Returns whether a person asked it to end."""
        return self._work.stop_file.exists()
