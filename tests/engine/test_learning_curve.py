"""Learning curves: where one way overtakes another, or that it does not, within noise."""

import pytest

from engine.insight.compare import RunReport, fairness_warnings
from engine.insight.learning_curve import LearningCurves, Standing, learning_curves, overtaking
from engine.runs.store import Store
from tests.engine.made_ways import NUM_TRAIN, made_run

FRACTIONS = (0.1, 0.25, 0.5, 1.0)


@pytest.fixture
def store() -> Store:
    return Store()


def reports_of(
    store: Store, frozen: list[float], full: list[float], seeds: int = 3
) -> list[RunReport]:
    """Runs with these accuracies on 10, 25, 50 and 100 % of the images."""
    return [
        made_run(store, name, accuracy, seed, {"data.train_fraction": fraction})
        for name, row in (("frozen", frozen), ("full", full))
        for fraction, accuracy in zip(FRACTIONS, row, strict=True)
        for seed in range(seeds)
    ]


def curves_of(store: Store, frozen: list[float], full: list[float]) -> LearningCurves:
    return learning_curves(reports_of(store, frozen, full))


def test_shares_of_one_way_make_one_curve(store: Store) -> None:
    found = curves_of(store, [0.7] * 4, [0.3, 0.5, 0.8, 0.9])
    assert [curve.label for curve in found.curves] == ["Frozen", "Full"]
    for curve in found.curves:
        assert [point.fraction for point in curve.points] == list(FRACTIONS)
        assert [point.num_images for point in curve.points] == [
            round(share * NUM_TRAIN) for share in FRACTIONS
        ]
        assert all(point.way.seeds == (0, 1, 2) for point in curve.points)
    assert found.num_shares == 4
    assert len(found.pairs) == 4


def test_overtaking_is_found_between_the_shares_where_it_is_real(store: Store) -> None:
    [said] = curves_of(store, [0.7, 0.72, 0.74, 0.75], [0.3, 0.5, 0.75, 0.95]).sentences
    assert said.startswith("Full overtakes Frozen between 100 and 400 training images")
    assert said.endswith("both more than chance.")


def test_a_lead_that_stays_is_no_overtaking(store: Store) -> None:
    [said] = curves_of(store, [0.4, 0.45, 0.5, 0.5], [0.8, 0.85, 0.9, 0.95]).sentences
    assert said.startswith("Full is better than Frozen on 40, 100, 200 and 400 training images.")
    assert said.endswith("Neither is seen to overtake the other.")


def test_within_noise_nothing_is_claimed(store: Store) -> None:
    [said] = curves_of(store, [0.71, 0.71, 0.7, 0.7], [0.7, 0.7, 0.71, 0.72]).sentences
    assert said.startswith("Frozen and Full cannot be told apart on any of 4 shares of the images")


@pytest.mark.parametrize(
    ("standings", "said"),
    [
        (
            [Standing(10, -0.3, True), Standing(20, 0.0, False), Standing(40, 0.2, True)],
            "B overtakes A between 10 and 40 training images: A is better by 30.0 points on the "
            "fewer, B by 20.0 points on the more, both more than chance.",
        ),
        (
            [Standing(10, 0.3, True), Standing(20, -0.2, True)],
            "A overtakes B between 10 and 20 training images: B is better by 30.0 points on the "
            "fewer, A by 20.0 points on the more, both more than chance.",
        ),
        (
            [Standing(10, -0.01, False), Standing(20, 0.2, True)],
            "B is better than A on 20 training images; on 10 they cannot be told apart (the lines "
            "cross between 10 and 20 images, which may be chance). Neither is seen to overtake the "
            "other.",
        ),
        (
            [Standing(10, -0.01, False), Standing(20, 0.02, False)],
            "A and B cannot be told apart on any of 2 shares of the images (the lines cross "
            "between 10 and 20 images, which may be chance).",
        ),
        (
            [Standing(10, 0.01, False), Standing(20, 0.02, False)],
            "A and B cannot be told apart on any of 2 shares of the images.",
        ),
        (
            [Standing(10, 0.5, True)],
            "A and B have been held against each other on fewer than two shares.",
        ),
    ],
)
def test_what_is_said(standings: list[Standing], said: str) -> None:
    assert overtaking("A", "B", standings) == said


def test_under_a_null_overtaking_is_hardly_ever_claimed(store: Store) -> None:
    """The same accuracy for both on all shares: Holm over all pairs keeps false alarms rare."""
    claims = 0
    for repeat in range(40):
        reports = [
            made_run(
                store, name, 0.7, 1000 * repeat + 10 * way + seed, {"data.train_fraction": share}
            )
            for way, name in enumerate(("frozen", "full"))
            for share in (0.5, 1.0)
            for seed in range(2)
        ]
        claims += " overtakes " in learning_curves(reports).sentences[0]
    assert claims <= 2


def test_other_shares_are_no_unfair_comparison(store: Store) -> None:
    reports = reports_of(store, [0.7] * 4, [0.7] * 4, seeds=1)
    assert fairness_warnings(reports) == []
    facts = {"fingerprint": "of other images"}
    changed = made_run(store, "full", 0.7, 5, {"data.train_fraction": 0.5}, facts=facts)
    assert "saw different images" in fairness_warnings([*reports, changed])[0]


def test_it_is_plain_data(store: Store) -> None:
    told = curves_of(store, [0.7] * 4, [0.3, 0.5, 0.8, 0.9]).to_dict()
    assert [len(curve["points"]) for curve in told["curves"]] == [4, 4]
    point = told["curves"][0]["points"][0]
    assert point["train_images"] == 40
    assert point["seeds"] == [0, 1, 2]
    assert len(point["runs"]) == 3
    assert len(told["sentences"]) == 1
