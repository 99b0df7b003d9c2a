"""The warm process that trains heads: `python -m engine.runs.instant_worker`.

It reads questions from its standard input and ends with it.
"""

import json
import os
import sys
import threading
import time
import traceback
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, TextIO

from engine.errors import ThawError
from engine.events import Kind, Value
from engine.logs import start_logs
from engine.spec import RunSpec
from engine.training.reporter import Unsteered

TELL_SECONDS = 0.2
IDLE_SECONDS = 900.0
METRICS = ("train/loss", "train/accuracy", "val/loss", "val/accuracy", "val/f1")


class Desk:
    """Questions that wait: the newest of each who asks, the one that waits longest first."""

    def __init__(self) -> None:
        self._lock = threading.Condition()
        self._waiting: dict[str, tuple[int, str]] = {}
        self._newest: dict[str, int] = {}

    def put(self, number: int, who: str, spec: str) -> None:
        """Takes a question in; one of the same asker is taken back. Without a spec, only that."""
        with self._lock:
            self._newest[who] = number
            self._waiting.pop(who, None)
            if spec:
                self._waiting[who] = (number, spec)
            self._lock.notify_all()

    def next(self, seconds: float) -> tuple[int, str, str] | None:
        """Returns number, asker and spec of the next question; None where none comes."""
        with self._lock:
            if not self._lock.wait_for(lambda: bool(self._waiting), seconds):
                return None
            who = next(iter(self._waiting))
            return (self._waiting[who][0], who, self._waiting.pop(who)[1])

    def is_taken_back(self, number: int, who: str) -> bool:
        """Returns whether a question was asked anew, or taken back, since."""
        return self._newest.get(who) != number


class Teller(Unsteered):
    """A Reporter that answers a question."""

    def __init__(self, number: int, who: str, desk: Desk, output: TextIO):
        self._about = {"number": number, "who": who}
        self._number, self._who = number, who
        self._desk = desk
        self._output = output
        self._told_at = 0.0
        self._epochs: list[dict[str, Value]] = []
        self._features: dict[str, Value] = {}

    def say(self, state: str, **values: Any) -> None:
        """Writes a line."""
        print(json.dumps(self._about | {"state": state} | values), file=self._output, flush=True)

    def emit(self, kind: Kind, epoch: int, step: int, values: Mapping[str, Value]) -> None:
        """Keeps epochs, and tells progress a few times a second."""
        if kind == "epoch":
            told = {name: values[name] for name in METRICS}
            self._epochs.append({"epoch": epoch, "lr": values["lr/head"], **told})
        elif kind == "progress" and values.get("task") == "features":
            self._features = {k: v for k, v in values.items() if k != "task"}
        elif kind == "progress" and values.get("task") != "ready":
            now = time.monotonic()
            if now - self._told_at >= TELL_SECONDS:
                self._told_at = now
                done, total = values.get("done", 0), values.get("total", 0)
                self.say("working", task=values["task"], done=done, total=total)

    def finish(self, head: Any) -> None:
        """Tells what came of the head."""
        self.say("done", epochs=self._epochs, head=asdict(head), features=self._features)

    def should_stop(self) -> bool:
        """Returns whether nobody wants the answer any more."""
        return self._desk.is_taken_back(self._number, self._who)


def main() -> int:
    """Answers questions until there is nobody left who could ask."""
    # What libraries print must not come between the answers.
    output, sys.stdout = sys.stdout, sys.stderr
    desk = Desk()
    benches: list[Any] = []
    threading.Thread(target=_read, args=(desk, benches), daemon=True).start()
    from engine.training.instant import HeadBench

    with HeadBench() as bench:
        benches.append(bench)
        while (question := desk.next(IDLE_SECONDS)) is not None:
            _answer(bench, *question, desk, output)
    return 0


def _read(desk: Desk, benches: list[Any]) -> None:
    for line in sys.stdin:
        question = json.loads(line)
        desk.put(question["number"], question["who"], question["spec"])
    # Whatever is under way, nobody waits for it.
    for bench in benches:
        bench.close()
    os._exit(0)


def _answer(bench: Any, number: int, who: str, spec: str, desk: Desk, output: TextIO) -> None:
    from engine.training.reporter import StopTrainingError

    teller = Teller(number, who, desk, output)
    try:
        teller.finish(bench.train(RunSpec.parse(spec), teller))
    except StopTrainingError:
        return
    except ThawError as error:
        teller.say("failed", reason=str(error))
    except Exception as error:
        traceback.print_exc()
        reason = f"Training the head failed with {type(error).__name__}: {error}."
        teller.say("failed", reason=reason)


if __name__ == "__main__":
    start_logs("helper")
    sys.exit(main())
