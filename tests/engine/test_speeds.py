"""What was measured on this machine becomes an estimate of a run's time."""

import pytest

from engine.home import cache_folder
from engine.training.speeds import (
    FORWARD,
    TRAIN_FULL,
    Speed,
    estimate_seconds,
    known_speeds,
    record_speed,
)
from tests.engine.specs import tiny_spec

BACKBONE = "efficientnet_lite0"


def test_speed_falls_with_the_area_of_the_picture() -> None:
    assert Speed(80.0, 100).at(200) == pytest.approx(20.0)


def test_nothing_is_estimated_before_anything_was_measured() -> None:
    assert known_speeds() == {}
    assert estimate_seconds(tiny_spec("photos"), 100, 20, backbone_learns=True) is None
    record_speed(BACKBONE, FORWARD, Speed(100.0, 64))
    assert estimate_seconds(tiny_spec("photos"), 100, 20, backbone_learns=True) is None


def test_a_later_measurement_takes_the_place_of_an_earlier_one() -> None:
    record_speed(BACKBONE, FORWARD, Speed(100.0, 64))
    record_speed(BACKBONE, TRAIN_FULL, Speed(10.0, 64))
    record_speed(BACKBONE, FORWARD, Speed(50.0, 64))
    assert known_speeds() == {
        f"{BACKBONE}/{FORWARD}": Speed(50.0, 64),
        f"{BACKBONE}/{TRAIN_FULL}": Speed(10.0, 64),
    }


@pytest.mark.parametrize(
    ("augmentation", "backbone_learns", "expected"),
    [
        ("none", False, 1.0 + 0.2),
        ("flip", False, 5 * (1.0 + 0.2)),
        ("none", True, 5 * (10.0 + 0.2)),
    ],
)
def test_estimate(augmentation: str, backbone_learns: bool, expected: float) -> None:
    record_speed(BACKBONE, FORWARD, Speed(100.0, 64))
    record_speed(BACKBONE, TRAIN_FULL, Speed(10.0, 64))
    spec = tiny_spec("photos", {"training.epochs": 5, "images.augmentation": augmentation})
    assert estimate_seconds(spec, 100, 20, backbone_learns) == pytest.approx(expected)


@pytest.mark.parametrize("content", ["", "not json", "[]", '{"a": 3}'])
def test_damaged_measurements_are_forgotten(content: str) -> None:
    (cache_folder("speeds") / "speeds.json").write_text(content, encoding="utf-8")
    assert known_speeds() == {}
