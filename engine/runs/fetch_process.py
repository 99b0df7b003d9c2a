"""Fetches a data set in a process of its own, for who must not import torch.

The process is told to end when nobody looks any more, and tidies up then.
"""

import contextlib
import json
import subprocess
import sys
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

from engine.data.fetching import Fetched
from engine.errors import DataError
from engine.home import thaw_home

MODULE = "engine.runs.fetch_worker"
TIDY_SECONDS = 10.0


@dataclass(frozen=True)
class FetchStep:
    """How far a data set is fetched.

    Attributes:
        task: what is done now: `downloading` (counted in bytes), `unpacking`, `writing` (counted
            in pictures), or another.
        done: how much of the task.
        total: of so much; 0 where that is not known.
    """

    task: str
    done: int
    total: int


def fetch_in_process(
    name: str, image_column: str = "", label_column: str = ""
) -> Generator[FetchStep | Fetched, None, None]:
    """Yields how far a data set is, and at last the data set; see `engine.data.fetching.fetch`.

    Something is yielded at least once a second, be it the same again.

    Who looks no further ends the process: by closing the iterator, or by ending itself.

    Raises:
        DataError: it cannot be had.
    """
    log = thaw_home() / "fetch.log"
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", MODULE, name, image_column, label_column],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=output,
            text=True,
            encoding="utf-8",
            start_new_session=True,
        )
    try:
        assert process.stdout is not None
        for line in process.stdout:
            step = _read(line)
            yield step
            if isinstance(step, Fetched):
                return
        raise DataError(
            f"The process that fetches {name} ended without a word; fetch it again. What it wrote "
            f"is in {log}."
        )
    finally:
        _end(process)


def _read(line: str) -> FetchStep | Fetched:
    values = json.loads(line)
    if "reason" in values:
        raise DataError(values["reason"])
    if "folder" in values:
        folder, notes = Path(values.pop("folder")), tuple(values.pop("notes"))
        return Fetched(folder=folder, notes=notes, **values)
    return FetchStep(**values)


def _end(process: "subprocess.Popen[str]") -> None:
    """Lets the process tidy up and end; kills it if that takes too long."""
    assert process.stdin is not None
    assert process.stdout is not None
    with contextlib.suppress(OSError):
        process.stdin.close()
    try:
        process.wait(TIDY_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    process.stdout.close()
