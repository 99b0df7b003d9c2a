"""Opens damaged pictures in a process of its own, so that a decoder that crashes ends only that.

`python -W always -m tests.engine.hostile.decoding FOLDER COUNT SEED` writes COUNT damaged pictures,
opens each, looks at all of them as a data set, and prints what came of it as JSON.
"""

import faulthandler
import json
import logging
import resource
import sys
import time
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

import torch
from hypothesis import HealthCheck, given, seed, settings

from engine.data.check import Verdict, check_pictures
from engine.data.decode import decode_file
from engine.data.loader import read_square
from engine.data.manifest import Manifest, build_manifest
from engine.data.report import inspect_folder
from engine.data.transforms import EvalTransform
from engine.errors import DataError
from engine.models.catalogue import backbone_record
from engine.spec import DataSpec, ImageSpec
from tests.engine.hostile.mutations import Picture, pictures
from tests.engine.hostile.seeds import seeds

CLASSES = ("cats", "dogs")
FITS = ("crop", "squash", "pad")
LAST = "last.txt"


class Batch:
    """What came of some damaged pictures, and what should not have."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.outcomes: Counter[str] = Counter()
        self.faults: list[str] = []
        self.slowest_seconds = 0.0
        self.most_mib = 0.0
        self.files: dict[Path, str] = {}

    def open(self, picture: Picture) -> None:
        """Writes one and opens it as a data set's file is opened."""
        number = len(self.files)
        file = self.folder / "photos" / CLASSES[number % 2] / f"{number:05d}{picture.suffix}"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(picture.content)
        # What a crash was about.
        (self.folder / LAST).write_text(f"{file.name}: {picture.made}")
        started, memory = time.process_time(), _most_mib()
        reason = self._reason(file, picture)
        self.slowest_seconds = max(self.slowest_seconds, time.process_time() - started)
        self.most_mib = max(self.most_mib, _most_mib() - memory)
        self.outcomes["good" if not reason else reason.partition(" (")[0]] += 1
        self.files[file] = reason

    def _reason(self, file: Path, picture: Picture) -> str:
        try:
            found, _ = decode_file(file)
        except DataError as error:
            reason = str(error)
            if not reason or not reason.isprintable():
                self.faults.append(f"{picture.made}: {reason!r} is not one line")
            return reason
        except Exception as error:
            self.faults.append(f"{picture.made}: {error!r} was raised")
            return "raised"
        if found.mode != "RGB":
            self.faults.append(f"{picture.made}: it became {found.mode}")
        return ""

    def judge(self) -> None:
        """Looks at all of them as the report and a run do."""
        photos = self.folder / "photos"
        for name in CLASSES:
            for number, kind in enumerate(("photo.jpg", "plain.png")):
                file = photos / name / f"whole {number}{Path(kind).suffix}"
                file.write_bytes(seeds()[kind])
        verdicts = check_pictures(photos, list(self.files))
        for file, reason in self.files.items():
            if verdicts[file].reason != reason:
                self.faults.append(f"{file.name}: {verdicts[file].reason!r} and not {reason!r}")
        report = inspect_folder(photos)
        manifest = build_manifest(DataSpec(folder=str(photos)))
        self._agree(verdicts, report.num_pictures, manifest)
        for fit in FITS:
            spec = ImageSpec.parse({"size": 64, "fit": fit})
            self._train_on(manifest, EvalTransform(spec, backbone_record("efficientnet_lite0")))

    def _agree(self, verdicts: dict[Path, Verdict], count: int, manifest: Manifest) -> None:
        good = sum(not verdict.reason for verdict in verdicts.values()) + 4
        items = len(manifest.train) + len(manifest.val)
        if not good == count == items:
            self.faults.append(f"{good} are good, {count} in the report, {items} in the run")

    def _train_on(self, manifest: Manifest, transform: EvalTransform) -> None:
        for item in (*manifest.train, *manifest.val):
            try:
                image_CHW = transform(read_square(item, transform), (0,))
            except Exception as error:
                self.faults.append(f"{item.path} cannot be trained on: {error!r}")
                continue
            if image_CHW.shape != (3, 64, 64) or not torch.isfinite(image_CHW).all():
                self.faults.append(f"{item.path} became {image_CHW.shape}")


def main(folder: Path, count: int, number: int) -> dict[str, Any]:
    """Opens so many, and returns what came of it."""
    batch = Batch(folder)
    told: list[str] = []
    warnings.showwarning = lambda message, *_: told.append(f"warned: {message}")  # type: ignore[assignment]
    logging.lastResort = _Told(told)  # type: ignore[assignment]

    @seed(number)
    @settings(
        max_examples=count, database=None, deadline=None, suppress_health_check=list(HealthCheck)
    )
    @given(pictures())
    def open_each(picture: Picture) -> None:
        batch.open(picture)

    open_each()
    batch.judge()
    return {
        "count": len(batch.files),
        "outcomes": dict(batch.outcomes.most_common()),
        "faults": [*batch.faults, *told],
        "slowest_seconds": batch.slowest_seconds,
        "most_mib": batch.most_mib,
    }


def _most_mib() -> float:
    """Returns the most that this process has had of the memory so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


class _Told(logging.Handler):
    """Takes what would go to stderr because nobody handles it."""

    def __init__(self, told: list[str]):
        super().__init__(logging.WARNING)
        self._told = told

    def emit(self, record: logging.LogRecord) -> None:
        self._told.append(f"logged: {record.getMessage()}")


if __name__ == "__main__":
    faulthandler.enable()
    print(json.dumps(main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))))
