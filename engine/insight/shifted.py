"""Judges the checkpoints of runs under shift: an image is decoded once, and shown in each version.

What was judged is kept as it goes, so that work that is stopped goes on where it was.

Shapes: N images, V versions of each, C channels, H rows, W columns, K classes.
"""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np
import torch
from filelock import FileLock, Timeout
from torch import Tensor

from engine.data.loader import UNREADABLE, read_square
from engine.data.manifest import Item
from engine.data.transforms import EvalTransform
from engine.errors import DataError, ThawError, TrainingError
from engine.events import Value
from engine.home import CHECKPOINT_FILE, run_folder
from engine.insight.shift_answers import Answers, answers_file
from engine.insight.shift_tests import ShiftTest, Version, name_of, portion, shown_as
from engine.insight.validation import ValidationImages
from engine.runs.store import Run
from engine.training.checkpoint import load_checkpoint
from engine.training.device import memory_errors
from engine.training.reporter import Reporter, StopTrainingError

# Images that go through a model together, all versions counted.
AT_ONCE = 64
# What may be lost when the process is killed.
KEEP_SECONDS = 15.0
WAIT_SECONDS = 0.2


def judge_runs(
    runs: Sequence[Run],
    test_of: Callable[[Run], ShiftTest],
    wanted: int,
    reporter: Reporter,
    ask_seconds: float | None = None,
) -> float:
    """Judges runs as far as they are not judged yet; what they say is kept.

    Args:
        runs: to be judged.
        test_of: gives what a run is judged on.
        wanted: images of each; 0 for all.
        reporter: is told how far it is, and says when to stop.
        ask_seconds: where a first batch of each says that all would take longer than this, the
            rest is left undone; None does all.

    Returns:
        Seconds that what was left undone would take; 0 where nothing was.

    Raises:
        ThawError: some runs cannot be judged, for one or more reasons; the others were.
        StopTrainingError: it was asked to stop.
    """
    errors: list[ThawError] = []
    judges: list[_Judge] = []
    for run in runs:
        with _errors_to(errors):
            judges.append(_Judge(run, test_of(run), wanted, reporter))
    left = 0.0
    if ask_seconds is not None:
        for judge in judges:
            with _errors_to(errors):
                judge.judge(judge.batch_size)
        left = sum(judge.seconds_left for judge in judges)
    if ask_seconds is None or left <= ask_seconds:
        left = 0.0
        for judge in judges:
            with _errors_to(errors):
                judge.judge(judge.num_wanted)
    if errors:
        raise type(errors[0])(" ".join(dict.fromkeys(map(str, errors))))
    return left


@contextmanager
def _errors_to(errors: list[ThawError]) -> Iterator[None]:
    """Takes down what goes wrong with one run, so that the others are judged."""
    try:
        yield
    except ThawError as error:
        errors.append(error)


class _Judge:
    """Judges one run, in as many goes as one likes.

    Attributes:
        run: that is judged.
        num_wanted: images, in the end.
        batch_size: images that are judged at once.
        seconds_left: what those that are left will take, as far as is known.
    """

    def __init__(self, run: Run, test: ShiftTest, wanted: int, reporter: Reporter):
        self.run = run
        self.num_wanted = portion(len(test.items), wanted)
        self.batch_size = max(1, AT_ONCE // len(test.versions))
        self.seconds_left = 0.0
        self._test = test
        self._reporter = reporter

    @memory_errors()
    def judge(self, num_images: int) -> None:
        """Judges so many of the images, the first in order, those judged before counted in.

        Raises:
            WeightsError: the run has no checkpoint that can be read.
            DataError: none of the images can be read.
            TrainingError: the model says what is no number, or memory is short for one image.
            StopTrainingError: it was asked to stop.
        """
        file = answers_file(self.run, self._test)
        with self._alone(str(file.with_suffix(".lock"))):
            before = Answers.load(file) or Answers.none_yet(len(self._test.versions))
            answers = before
            kept_at = time.monotonic()
            try:
                for answers in self._judged(before, min(num_images, self.num_wanted)):
                    self._tell(answers)
                    if time.monotonic() - kept_at > KEEP_SECONDS:
                        kept_at = time.monotonic()
                        answers.save(file)
            finally:
                answers.save(file)
            if not answers.names:
                [path, reason] = answers.gone[0]
                raise DataError(
                    f"None of the {len(answers.gone):,} images that {self.run.name} "
                    f"({self.run.id}) is to be judged on can be read, such as {path}: {reason}; "
                    "put them back."
                )

    @contextmanager
    def _alone(self, lock: str) -> Iterator[None]:
        """Waits for another process that judges the same: what it finds need not be found again."""
        held = FileLock(lock)
        while True:
            try:
                held.acquire(timeout=WAIT_SECONDS)
            except Timeout:
                task = f"waiting for another who judges {self.run.name}"
                self._reporter.emit("progress", 0, 0, {"task": task, "done": 0, "total": 0})
                self._stop_if_asked()
                continue
            break
        try:
            yield
        finally:
            held.release()

    def _judged(self, answers: Answers, num_images: int) -> Iterator[Answers]:
        """Yields the answers so far after each batch, up to so many images."""
        items = self._test.items[answers.num_done : num_images]
        if not items:
            return
        model, header = load_checkpoint(run_folder(self.run.id) / CHECKPOINT_FILE)
        images = ValidationImages(self.run, header, self._test.items)
        images.make_ready(model)
        # The first pass takes longer than all others, and is not to count as what an image takes.
        side = images.transform.side
        images.probabilities(model, torch.zeros(len(self._test.versions), 3, side, side))
        began = time.perf_counter() - answers.seconds
        for batch in self._batches(items, images.transform):
            self._stop_if_asked()
            shown = [one for one in batch if isinstance(one, _Shown)]
            probabilities: list[Tensor] = []
            if shown:
                together = torch.cat([one.images_VCHW for one in shown])
                probabilities_BK = images.probabilities(model, together)
                if not bool(torch.isfinite(probabilities_BK).all()):
                    raise TrainingError(
                        f"The best weights of {self.run.name} ({self.run.id}) give what is no "
                        "number, so there is nothing to judge; train it with a lower rate."
                    )
                probabilities = list(torch.split(probabilities_BK, len(self._test.versions)))
            gone = [one for one in batch if isinstance(one, _Gone)]
            answers = self._added(answers, shown, probabilities, gone, time.perf_counter() - began)
            yield answers

    def _batches(
        self, items: Sequence[Item], transform: EvalTransform
    ) -> Iterator[list["_Shown | _Gone"]]:
        """Yields images in batches; while one is judged, the next is made."""
        parts = [items[at : at + self.batch_size] for at in range(0, len(items), self.batch_size)]
        with ThreadPoolExecutor(os.cpu_count()) as pool:

            def begun(part: Sequence[Item]) -> Iterator["_Shown | _Gone"]:
                return pool.map(lambda item: _show(item, transform, self._test.versions), part)

            coming = begun(parts[0])
            for following in [*parts[1:], []]:
                ready, coming = coming, begun(following)
                yield list(ready)

    def _added(
        self,
        answers: Answers,
        shown: Sequence["_Shown"],
        probabilities: Sequence[Tensor],
        gone: Sequence["_Gone"],
        seconds: float,
    ) -> Answers:
        best = [found_VK.max(dim=1) for found_VK in probabilities]
        predicted_VN = [one.indices.numpy().astype(np.int32)[:, None] for one in best]
        probability_VN = [one.values.numpy().astype(np.float32)[:, None] for one in best]
        classes = self._test.classes
        return Answers(
            names=(*answers.names, *(name_of(one.item) for one in shown)),
            labels=(*answers.labels, *(classes[one.item.label] for one in shown)),
            predicted_VN=np.concatenate([answers.predicted_VN, *predicted_VN], axis=1),
            probability_VN=np.concatenate([answers.probability_VN, *probability_VN], axis=1),
            gone=(*answers.gone, *((one.item.path, one.reason) for one in gone)),
            seconds=seconds,
        )

    def _tell(self, answers: Answers) -> None:
        each = answers.seconds_per_image or 0.0
        self.seconds_left = each * (self.num_wanted - answers.num_done)
        values: dict[str, Value] = {
            "task": f"judging {self.run.name}",
            "done": answers.num_done,
            "total": self.num_wanted,
        }
        self._reporter.emit("progress", 0, 0, values)

    def _stop_if_asked(self) -> None:
        if self._reporter.should_stop():
            raise StopTrainingError


class _Shown:
    """An image in all its versions."""

    def __init__(self, item: Item, images_VCHW: Tensor):
        self.item = item
        self.images_VCHW = images_VCHW


class _Gone:
    """An image that cannot be read, and why."""

    def __init__(self, item: Item, reason: str):
        self.item = item
        self.reason = reason


def _show(item: Item, transform: EvalTransform, versions: Sequence[Version]) -> "_Shown | _Gone":
    try:
        square = read_square(item, transform)
    except DataError as error:
        said = str(error).removeprefix(f"{UNREADABLE} {item.path}: ")
        return _Gone(item, said.partition(";")[0])
    name = name_of(item)
    worse = [transform.finish(shown_as(square, name, version), ()) for version in versions]
    return _Shown(item, torch.stack(worse))
