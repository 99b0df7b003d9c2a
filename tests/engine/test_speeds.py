"""What was measured on this machine becomes an estimate of a run's time."""

from typing import Any

import pytest

from engine.home import cache_folder
from engine.models.catalogue import backbone_record
from engine.training.speeds import (
    FORWARD,
    TRAIN_FULL,
    Estimate,
    Speed,
    estimate_time,
    known_speeds,
    record_speed,
)
from tests.engine.specs import tiny_spec

BACKBONE = "efficientnet_lite0"


def measure() -> None:
    record_speed(BACKBONE, FORWARD, Speed(100.0, 64))
    record_speed(BACKBONE, TRAIN_FULL, Speed(10.0, 64))


def estimate(strategy: str, settings: dict[str, Any] | None = None) -> Estimate | None:
    """The estimate for ten epochs on 100 and 20 pictures of 64 px."""
    changed = {"strategy.name": strategy, "training.epochs": 10} | (settings or {})
    stages = backbone_record(BACKBONE).stage_names
    return estimate_time(tiny_spec("photos", changed), stages, num_train=100, num_val=20)


def test_speed_falls_with_the_area_of_the_picture() -> None:
    assert Speed(80.0, 100).at(200) == pytest.approx(20.0)


def test_nothing_is_estimated_before_anything_was_measured() -> None:
    assert known_speeds() == {}
    assert estimate("full") is None
    record_speed(BACKBONE, FORWARD, Speed(100.0, 64))
    assert estimate("full") is None
    assert estimate("lp_ft") is None
    assert estimate("frozen") is not None


def test_a_later_measurement_takes_the_place_of_an_earlier_one() -> None:
    record_speed(BACKBONE, FORWARD, Speed(100.0, 64))
    record_speed(BACKBONE, TRAIN_FULL, Speed(10.0, 64))
    record_speed(BACKBONE, FORWARD, Speed(50.0, 64))
    assert known_speeds() == {
        f"{BACKBONE}/{FORWARD}": Speed(50.0, 64),
        f"{BACKBONE}/{TRAIN_FULL}": Speed(10.0, 64),
    }


# Seconds for a pass over all pictures, and for an epoch of training with its validation.
PASS, EPOCH = 1.0 + 0.2, 10.0 + 0.2


@pytest.mark.parametrize(
    ("strategy", "settings", "seconds"),
    [
        ("frozen", {}, PASS),
        ("frozen", {"images.augmentation": "flip"}, 10 * PASS),
        ("frozen", {"training.mixup": 0.2}, 10 * PASS),
        ("frozen", {"training.batch_norm": "update"}, 10 * PASS),
        ("frozen", {"training.ema_decay": 0.9}, PASS),
        ("full", {}, 10 * EPOCH),
        ("full", {"images.augmentation": "flip"}, 10 * EPOCH),
        ("lp_ft", {"strategy.probe_share": 0.3}, PASS + 7 * EPOCH),
        ("lp_ft", {"strategy.probe_share": 0.3, "training.cutmix": 1.0}, 3 * PASS + 7 * EPOCH),
        ("fine_tune", {}, PASS + 9 * EPOCH),
        ("fine_tune", {"training.epochs": 1}, PASS),
        ("partial", {"strategy.last_stages": 0}, PASS),
        ("lora", {}, 10 * EPOCH),
    ],
)
def test_an_estimate_is_the_sum_over_phases(
    strategy: str, settings: dict[str, Any], seconds: float
) -> None:
    measure()
    assert estimate(strategy, settings) == Estimate(pytest.approx(seconds), at_most=False)


@pytest.mark.parametrize(
    ("strategy", "settings", "seconds"),
    [
        ("partial", {}, 10 * EPOCH),
        ("surgical", {}, 10 * EPOCH),
        ("norm_only", {}, 10 * EPOCH),
        ("bias_only", {}, 10 * EPOCH),
        ("gradual", {}, PASS + 9 * EPOCH),
        ("full", {"training.early_stopping": 2}, 10 * EPOCH),
        ("full", {"training.max_minutes": 2.0}, 10 * EPOCH),
    ],
)
def test_what_costs_less_than_full_training_is_a_bound(
    strategy: str, settings: dict[str, Any], seconds: float
) -> None:
    measure()
    assert estimate(strategy, settings) == Estimate(pytest.approx(seconds), at_most=True)


def test_all_stages_in_part_are_no_bound() -> None:
    measure()
    bound = estimate("partial", {"strategy.last_stages": 9})
    assert bound is not None
    assert not bound.at_most


@pytest.mark.parametrize("content", ["", "not json", "[]", '{"a": 3}'])
def test_damaged_measurements_are_forgotten(content: str) -> None:
    (cache_folder("speeds") / "speeds.json").write_text(content, encoding="utf-8")
    assert known_speeds() == {}
