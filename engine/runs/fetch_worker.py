"""Fetches one data set: `python -m engine.runs.fetch_worker NAME [IMAGE_COLUMN LABEL_COLUMN]`.

Tells in lines of JSON how far it is, at least once a second, and in the last what came of it; ends
with its standard input.
"""

import contextlib
import json
import os
import signal
import sys
import threading
import time
from functools import partial
from typing import Any, TextIO

from engine.data.fetching import fetch
from engine.errors import ThawError
from engine.logs import start_logs

TIDY_SECONDS = 8.0
BEAT_SECONDS = 1.0
WAKE_SECONDS = 0.1


class Teller:
    """Writes lines of JSON; says the last of them again where nothing new is to be told."""

    def __init__(self, output: TextIO):
        self._output = output
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._last: dict[str, Any] = {"task": "starting", "done": 0, "total": 0}

    def tell(self, task: str, done: int, total: int) -> None:
        """Tells how far it is."""
        with self._lock:
            self._last = {"task": task, "done": done, "total": total}
            self._say(self._last)

    def end(self, **values: Any) -> None:
        """Tells what came of it; nothing is told after that."""
        with self._lock:
            self._ended.set()
            self._say(values)

    def beat(self) -> None:
        """Tells the same again and again, so that who reads does not hang."""
        while not self._ended.wait(BEAT_SECONDS):
            with self._lock:
                if not self._ended.is_set():
                    self._say(self._last)

    def _say(self, values: dict[str, Any]) -> None:
        print(json.dumps(values), file=self._output, flush=True)


def main(arguments: list[str]) -> int:
    """Fetches what is named; returns the exit code."""
    teller = Teller(sys.stdout)
    # Whoever was started in the background ignores it, and so would this one.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if hasattr(signal, "SIGURG"):
        # Only a signal with a handler ends a wait.
        signal.signal(signal.SIGURG, lambda number, frame: None)
    for watch in (_end_with_input, teller.beat):
        threading.Thread(target=watch, daemon=True).start()
    try:
        with contextlib.redirect_stdout(sys.stderr):
            fetched = fetch(arguments[0], teller.tell, *arguments[1:])
    except ThawError as error:
        teller.end(reason=str(error))
        return 1
    except (KeyboardInterrupt, BrokenPipeError):
        return 1
    teller.end(
        folder=str(fetched.folder),
        num_pictures=fetched.num_pictures,
        notes=fetched.notes,
        is_new=fetched.is_new,
    )
    return 0


def _end_with_input() -> None:
    """Interrupts the main thread when nobody holds the other end of the standard input."""
    # Not through sys.stdin: its lock would be held when the interpreter ends.
    while os.read(0, 1024):
        pass
    swallowed = threading.Event()
    sys.unraisablehook = partial(_notice_interrupt, swallowed)
    signal.raise_signal(signal.SIGINT)
    end = time.monotonic() + TIDY_SECONDS
    while time.monotonic() < end:
        _wake_main_thread()
        if swallowed.wait(WAKE_SECONDS):
            swallowed.clear()
            signal.raise_signal(signal.SIGINT)
    os._exit(1)


def _notice_interrupt(swallowed: threading.Event, what: "sys.UnraisableHookArgs") -> None:
    """Notices an interrupt that struck where Python only prints errors, as while it frees."""
    if what.exc_type is KeyboardInterrupt:
        swallowed.set()
    else:
        sys.__unraisablehook__(what)


def _wake_main_thread() -> None:
    """Lets the main thread see an interrupt even while it waits for a server."""
    main_thread = threading.main_thread().ident
    if hasattr(signal, "pthread_kill") and main_thread is not None:
        # Once would not do: it may come just before a wait begins, and end none.
        signal.pthread_kill(main_thread, signal.SIGURG)


if __name__ == "__main__":
    start_logs("helper")
    sys.exit(main(sys.argv[1:]))
