"""Ways of training over several seeds: who is a sample of what, and what is said of them."""

import json
from typing import Any

import numpy as np
import pytest

from engine.data.manifest import MANIFEST_FILE, Item, Manifest
from engine.home import run_folder
from engine.insight.calibration import reliability
from engine.insight.compare import RunReport
from engine.insight.experiment import pairs_of, ways_of
from engine.insight.verdicts import cautions, verdict
from engine.runs.store import Store
from engine.training.predictions import Predictions
from tests.engine.specs import tiny_spec

NUM_IMAGES = 120
LABELS = np.arange(NUM_IMAGES) % 3


@pytest.fixture
def store() -> Any:
    opened = Store()
    yield opened
    opened.close()


def probabilities(right: np.ndarray, confidence: float = 0.8) -> np.ndarray:
    """What a model that gets these images right, and takes the next class for the others, says."""
    predicted = np.where(right, LABELS, (LABELS + 1) % 3)
    made = np.full((NUM_IMAGES, 3), (1 - confidence) / 2, np.float32)
    made[np.arange(NUM_IMAGES), predicted] = confidence
    return made


def ended(
    store: Store,
    right: np.ndarray,
    settings: dict[str, Any] | None = None,
    order: np.ndarray | None = None,
    fingerprint: str = "same",
) -> RunReport:
    """A finished run that gets some of the images right; its images may come in any order."""
    [run] = store.add_runs([("made", tiny_spec("photos", settings))])
    order = np.arange(NUM_IMAGES) if order is None else order
    folder = run_folder(run.id)
    folder.mkdir(parents=True)
    Predictions(LABELS[order], probabilities(right)[order], 1).save(folder)
    items = tuple(
        Item(f"{place}.png", int(LABELS[one]), f"{one:04}") for place, one in enumerate(order)
    )
    manifest = Manifest(("a", "b", "c"), (), items, (), fingerprint)
    (folder / MANIFEST_FILE).write_text(json.dumps(manifest.to_dict()))
    summary = {"fingerprint": fingerprint, "seconds": 10.0, "trainable_parameters": 7}
    store.set_status(run.id, "finished", summary=summary)
    return RunReport(store.run(run.id), (), None)


def drawn(share: float, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).random(NUM_IMAGES) < share


def both(store: Store, shares: tuple[float, float], seeds: int = 3) -> list[RunReport]:
    return [
        ended(store, drawn(share, 10 * way + seed), {"strategy.name": name, "seed": seed})
        for way, (share, name) in enumerate(zip(shares, ("full", "frozen"), strict=True))
        for seed in range(seeds)
    ]


def test_runs_that_differ_in_their_seed_alone_are_one_way(store: Store) -> None:
    reports = both(store, (0.9, 0.6))
    full, frozen = ways_of(reports)
    assert (full.label, frozen.label) == ("Full", "Frozen")
    assert full.seeds == frozen.seeds == (0, 1, 2)
    assert full.accuracy is not None
    assert full.accuracy.value == pytest.approx(
        np.mean([drawn(0.9, seed).mean() for seed in range(3)])
    )
    assert full.accuracy.low < full.accuracy.value < full.accuracy.high
    assert full.trained_parameters == 7
    assert full.seconds is not None
    assert (full.seconds.low, full.seconds.high) == (10.0, 10.0)


def test_ways_with_the_same_strategy_are_told_apart_by_what_differs(store: Store) -> None:
    reports = [
        ended(store, drawn(0.7, n), {"training.epochs": epochs, "seed": n})
        for n, epochs in enumerate((3, 3, 9))
    ]
    labels = [way.label for way in ways_of(reports)]
    assert labels == ["Frozen · epochs 3", "Frozen · epochs 9"]


def test_a_difference_that_is_there_is_told_with_its_interval(store: Store) -> None:
    [pair] = pairs_of(ways_of(both(store, (0.92, 0.6))))
    assert pair.is_real
    assert pair.first.label == "Full"
    assert pair.difference.estimate.low > 0.1
    told = verdict(pair)
    assert told.startswith("Full is better than Frozen on 120 images: by ")
    assert "over 3 seeds each" in told


def test_the_better_one_comes_first_whatever_the_order(store: Store) -> None:
    [pair] = pairs_of(ways_of(both(store, (0.5, 0.9))))
    assert (pair.first.label, pair.second.label) == ("Frozen", "Full")
    assert pair.difference.estimate.value > 0.2
    assert pair.difference.only_first > pair.difference.only_second


def test_a_difference_that_may_be_chance_is_said_to_be(store: Store) -> None:
    [pair] = pairs_of(ways_of(both(store, (0.74, 0.7), seeds=1)))
    assert not pair.is_real
    told = verdict(pair)
    assert "cannot be told apart on 120 images" in told
    assert "may be chance" in told
    assert "more validation images would tell" in told
    [caution] = cautions(ways_of(both(store, (0.74, 0.7), seeds=1)))
    assert caution.startswith("Full, Frozen: one seed each")


def test_images_are_matched_by_content_not_by_place(store: Store) -> None:
    right = drawn(0.7, 1)
    shuffled = np.random.default_rng(2).permutation(NUM_IMAGES)
    reports = [
        ended(store, right, {"strategy.name": "full"}),
        ended(store, right, {"strategy.name": "frozen"}, order=shuffled),
    ]
    [pair] = pairs_of(ways_of(reports))
    assert (pair.difference.only_first, pair.difference.only_second) == (0, 0)
    assert "they get equally many right" in verdict(pair)


def test_ways_that_saw_different_images_are_not_held_against_each_other(store: Store) -> None:
    reports = [
        ended(store, drawn(0.7, 1), {"strategy.name": "full"}),
        ended(store, drawn(0.7, 2), {"strategy.name": "frozen"}, fingerprint="other"),
    ]
    assert pairs_of(ways_of(reports)) == []


def test_several_pairs_are_allowed_for(store: Store) -> None:
    reports = [
        ended(store, drawn(share, n), {"strategy.name": name})
        for n, (share, name) in enumerate([(0.8, "full"), (0.68, "frozen"), (0.7, "partial")])
    ]
    pairs = pairs_of(ways_of(reports))
    assert len(pairs) == 3
    assert all(pair.adjusted_p >= pair.difference.p_value for pair in pairs)
    least = min(pairs, key=lambda pair: pair.difference.p_value)
    assert least.adjusted_p == pytest.approx(min(1.0, 3 * least.difference.p_value))


def test_folds_of_one_seed_are_one_sample(store: Store) -> None:
    reports = [
        ended(
            store,
            drawn(0.8, fold),
            {"data.folds": 3, "data.fold": fold + 1, "strategy.name": name},
            fingerprint=f"fold {fold}",
        )
        for name in ("full", "frozen")
        for fold in range(3)
    ]
    [pair] = pairs_of(ways_of(reports))
    assert pair.difference.num_images == 3 * NUM_IMAGES
    [way, _] = ways_of(reports[:-1])
    assert way.right_SN.shape == (1, 3 * NUM_IMAGES)
    # A seed that lacks a fold says nothing of all the images.
    assert pairs_of(ways_of(reports[:-1])) == []


def test_errors_are_those_of_each_seed(store: Store) -> None:
    full, _ = ways_of(both(store, (0.9, 0.6)))
    errors = [reliability(probabilities(drawn(0.9, n)), LABELS).error for n in range(3)]
    assert full.calibration_error is not None
    assert full.calibration_error.value == pytest.approx(float(np.mean(errors)))
    assert full.f1 is not None
    assert full.f1.low < full.f1.value < full.f1.high


def test_a_run_without_predictions_is_no_sample(store: Store) -> None:
    [run] = store.add_runs([("waits", tiny_spec("photos", {"seed": 4}))])
    reports = [ended(store, drawn(0.7, 1)), RunReport(store.run(run.id), (), None)]
    [way] = ways_of(reports)
    assert way.seeds == (0,)
    assert len(way.reports) == 2
    assert "1 of the runs did not finish" in cautions([way])[0]
    [bare] = ways_of(reports[1:])
    assert bare.accuracy is None
    assert bare.f1 is None
