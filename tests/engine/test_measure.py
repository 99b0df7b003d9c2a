"""The first measurement of a machine gives way to runs."""

import pytest
import torch

from engine.models.classifier import Classifier
from engine.runs import measure
from engine.runs.store import Store
from engine.training.speeds import FORWARD, TRAIN_FULL, known_speeds
from tests.engine.specs import tiny_spec

BACKBONE = "efficientnet_lite0"


@pytest.fixture(autouse=True)
def _on_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measure, "choose_device", lambda wanted: torch.device("cpu"))


def test_an_idle_machine_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measure, "LEAST_SHARE", 0.0)
    assert measure.main(BACKBONE) == 0
    speeds = known_speeds()
    assert set(speeds) == {f"{BACKBONE}/{FORWARD}", f"{BACKBONE}/{TRAIN_FULL}"}
    assert speeds[f"{BACKBONE}/{FORWARD}"].images_per_second > 0


def test_every_weight_learns_where_training_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    learnt: list[bool] = []
    real = Classifier.zero_grad

    def note(self: Classifier, set_to_none: bool = True) -> None:
        learnt.append(all(parameter.grad is not None for parameter in self.parameters()))
        real(self, set_to_none)

    monkeypatch.setattr(Classifier, "zero_grad", note)
    monkeypatch.setattr(measure, "LEAST_SHARE", 0.0)
    assert measure.main(BACKBONE) == 0
    assert learnt == [True] * 5


def test_a_waiting_run_goes_first() -> None:
    Store().add_runs([("First", tiny_spec("photos"))])
    assert measure.main(BACKBONE) == 1
    assert known_speeds() == {}


def test_a_shared_processor_gives_no_measurement(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measure, "LEAST_SHARE", 10.0)
    assert measure.main(BACKBONE) == 1
    assert known_speeds() == {}
