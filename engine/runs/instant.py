"""A warm process that trains heads on features while a person moves a slider. No torch here.

It is asked and answers in lines of JSON, over its standard input and output, and ends when nobody
holds the other end. Who asks again before the answer has come takes the question back.
"""

import contextlib
import json
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from typing import Any, Literal

from engine.home import thaw_home
from engine.spec import RunSpec

MODULE = "engine.runs.instant_worker"
# Whose answers are remembered; whoever asks again comes to the end of the line.
MOST_ASKERS = 100
State = Literal["asked", "working", "done", "failed"]


@dataclass(frozen=True)
class Answer:
    """How far a question is.

    Attributes:
        number: of the question.
        state: whether it is answered.
        task: what is done now, while it is not.
        done: how much of the task.
        total: of so much; 0 where that is not known.
        reason: why it failed, in one sentence; else empty.
        epochs: metrics of each epoch, once it is answered.
        head: what came of the head, as `TrainedHead` has it; empty before.
        features: what was said of the features, if anything was.
    """

    number: int
    state: State = "asked"
    task: str = "waiting"
    done: int = 0
    total: int = 0
    reason: str = ""
    epochs: tuple[dict[str, Any], ...] = ()
    head: dict[str, Any] = field(default_factory=dict)
    features: dict[str, Any] = field(default_factory=dict)

    @property
    def is_open(self) -> bool:
        """Whether it may still be answered."""
        return self.state in ("asked", "working")


class InstantHelper:
    """The other end of the process; it is started when it is first asked."""

    def __init__(self) -> None:
        self._lock = threading.Condition()
        self._process: subprocess.Popen[str] | None = None
        self._answers: dict[str, Answer] = {}
        self._asked: dict[str, str] = {}
        self._number = 0

    def ask(self, who: str, spec: RunSpec) -> Answer:
        """Asks for the head of a frozen run; takes back what the same one asked before.

        A question that was asked already is not asked again.

        Args:
            who: asks, such as a session of the page; each has one question at a time.
            spec: of the run.
        """
        text = spec.model_dump_json()
        with self._lock:
            known = self._answers.get(who)
            if known is not None and self._asked[who] == text and self._is_alive():
                return known
            if not self._is_alive():
                self._start()
            self._number += 1
            answer = Answer(self._number)
            for oldest in list(self._answers)[: -MOST_ASKERS or None]:
                # A page that was closed takes nothing back.
                del self._answers[oldest], self._asked[oldest]
            self._answers.pop(who, None)
            self._answers[who], self._asked[who] = answer, text
            self._send({"number": self._number, "who": who, "spec": text})
            return answer

    def wait(self, who: str, seconds: float) -> Answer | None:
        """Returns the answer to somebody's question, which may be open still after `seconds`."""
        until = time.monotonic() + seconds
        with self._lock:
            while (answer := self._answers.get(who)) is not None and answer.is_open:
                left = until - time.monotonic()
                if left <= 0:
                    break
                self._lock.wait(left)
            return answer

    def forget(self, who: str) -> None:
        """Takes back somebody's question."""
        with self._lock:
            self._asked.pop(who, None)
            if self._answers.pop(who, None) is not None and self._is_alive():
                self._send({"number": 0, "who": who, "spec": ""})

    def close(self) -> None:
        """Ends the process."""
        with self._lock:
            process, self._process = self._process, None
        if process is not None:
            assert process.stdin is not None
            with contextlib.suppress(OSError):
                process.stdin.close()
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _is_alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def _start(self) -> None:
        log = thaw_home() / "instant.log"
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", MODULE],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=output,
                text=True,
                encoding="utf-8",
                start_new_session=True,
            )
        threading.Thread(target=self._read, args=(self._process,), daemon=True).start()

    def _send(self, question: dict[str, Any]) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(question) + "\n")
            self._process.stdin.flush()
        except (OSError, ValueError):
            # It ended just now; whoever waits is told by the reader.
            return

    def _read(self, process: "subprocess.Popen[str]") -> None:
        assert process.stdout is not None
        with process.stdout:
            for line in process.stdout:
                values = json.loads(line)
                who = values.pop("who")
                self._take(who, Answer(**values | {"epochs": tuple(values.get("epochs", ()))}))
        process.wait()
        if process.stdin is not None:
            with contextlib.suppress(OSError):
                process.stdin.close()
        with self._lock:
            if self._process not in (process, None):
                return
            for who, answer in self._answers.items():
                if answer.is_open:
                    reason = (
                        "The process that trains heads ended without a word; move a slider to try "
                        f"again. What it wrote is in {thaw_home() / 'instant.log'}."
                    )
                    self._answers[who] = Answer(answer.number, "failed", reason=reason)
            self._lock.notify_all()

    def _take(self, who: str, answer: Answer) -> None:
        with self._lock:
            known = self._answers.get(who)
            if known is not None and known.number == answer.number:
                self._answers[who] = answer
                self._lock.notify_all()
