"""A tiny model in use, and tiny new images: two that it knows, one class that it does not."""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from engine.home import CHECKPOINT_FILE
from engine.spec import RunSpec
from engine.training.trainer import train
from tests.conftest import CLIPART, TINY_CLASSES, Recorder
from tests.engine.specs import tiny_spec

NEW_CLIPART = CLIPART.parent / "new"
NEW_CLASS = "boats"


@dataclass(frozen=True)
class InUse:
    """A trained model and images that came since.

    Attributes:
        folder: of its run.
        images: that it was trained on.
        new: images that came since.
    """

    folder: Path
    images: Path
    new: Path

    @property
    def start(self) -> str:
        """What `update.start` says of it."""
        return str(self.folder / CHECKPOINT_FILE)

    def spec(self, method: str, settings: dict[str, Any] | None = None) -> RunSpec:
        """An update of one model by a method, all weights moving where it moves them."""
        still = method in ("frozen_head", "ncm")
        changed: dict[str, Any] = {
            "update.start": self.start,
            "update.method": method,
            "training.epochs": 1 if method == "ncm" else 2,
            "strategy.name": "frozen" if still else "full",
            "optimiser.lr": 3e-3 if still else 3e-4,
        }
        return tiny_spec(self.new, changed | (settings or {}))


def new_images(
    folder: Path, num_known: int = 6, num_new: int = 8, first: int = 20, first_new: int = 0
) -> Path:
    """Copies new images of one class of the tiny model, and of one that it does not have."""
    for name, source, begin, count in (
        (TINY_CLASSES[0], CLIPART / "train", first, num_known),
        (NEW_CLASS, NEW_CLIPART / "train", first_new, num_new),
    ):
        (folder / name).mkdir(parents=True)
        for file in sorted((source / name).iterdir())[begin : begin + count]:
            shutil.copy(file, folder / name)
    return folder


@pytest.fixture(scope="session")
def in_use(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> InUse:
    """A tiny model that was trained; not to be changed by a test."""
    folder = tmp_path_factory.mktemp("in_use")
    train(tiny_spec(tiny_folder, {"training.epochs": 4}), folder, Recorder())
    return InUse(folder, tiny_folder, new_images(tmp_path_factory.mktemp("came") / "june"))
