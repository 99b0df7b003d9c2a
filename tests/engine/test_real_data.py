"""What frozen features reach on real pictures: the numbers that the project promises."""

from pathlib import Path
from typing import Any

import pytest
import torch

from engine.spec import RunSpec
from engine.training.trainer import train
from tests.conftest import CLIPART, Recorder

HYMENOPTERA = Path(__file__).parents[3] / "shared" / "data" / "hymenoptera"


def best_accuracy(folder: Path, run_folder: Path, size: int, fit: str, epochs: int) -> float:
    values: dict[str, Any] = {
        "data": {"folder": str(folder)},
        "images": {"size": size, "fit": fit},
        "optimiser": {"lr": 3e-3},
        "training": {"epochs": epochs},
    }
    outcome = train(RunSpec.parse(values), run_folder, Recorder())
    torch.use_deterministic_algorithms(False)
    return outcome.best_val_accuracy or 0.0


def test_clipart_frozen_reaches_72_percent(tmp_path: Path) -> None:
    assert best_accuracy(CLIPART, tmp_path, 160, "squash", epochs=20) >= 0.72


@pytest.mark.slow
@pytest.mark.skipif(not HYMENOPTERA.is_dir(), reason="the photographs are not here")
def test_hymenoptera_frozen_reaches_92_percent(tmp_path: Path) -> None:
    assert best_accuracy(HYMENOPTERA, tmp_path, 224, "crop", epochs=5) >= 0.92
