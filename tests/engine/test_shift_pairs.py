"""Whether two ways change places under shift: against scipy, where they do, and where not."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from engine.data.corruptions import CORRUPTIONS
from engine.insight.differences import difference_of_scores
from engine.insight.intervals import mean_accuracy_estimate, score_estimate
from engine.insight.shift_pairs import ShiftPair, Sides, pairs_under_shift
from engine.insight.shift_tests import CLEAN, CORRUPTED
from engine.insight.shift_verdicts import shift_verdict


def drawn_right(
    drawn: np.random.Generator, chances_N: NDArray[np.float64], *shape: int
) -> NDArray[np.bool_]:
    right: NDArray[np.bool_] = drawn.random((*shape, len(chances_N))) < chances_N
    return right


def sides(
    drawn: np.random.Generator,
    clean: float,
    shifted: float,
    num: int = 400,
    num_seeds: int = 1,
    same_images: bool = True,
) -> Sides:
    """A way with so much accuracy on both sides; some images are harder than others."""
    hardness_N = np.linspace(-0.2, 0.2, num)
    versions = CORRUPTED if same_images else (CLEAN,)
    return Sides(
        drawn_right(drawn, clean + hardness_N, num_seeds),
        drawn_right(drawn, shifted + hardness_N, num_seeds, len(versions)),
        versions,
        tuple(range(num_seeds)),
        same_images,
    )


def pair_of(
    first: tuple[float, float], second: tuple[float, float], seed: int = 0, **settings: int | bool
) -> ShiftPair:
    drawn = np.random.default_rng(seed)
    ways = [
        (name, sides(drawn, *chances, **settings))  # type: ignore[arg-type]
        for name, chances in (("Frozen", first), ("Full", second))
    ]
    [pair] = pairs_under_shift(ways)
    return pair


def test_scores_are_compared_as_scipy_has_it() -> None:
    drawn = np.random.default_rng(1)
    first_N, second_N = drawn.random(60), drawn.random(60) * 0.8
    found, asked = difference_of_scores(first_N, second_N), stats.ttest_rel(first_N, second_N)
    assert found.p_value == pytest.approx(asked.pvalue)
    interval = asked.confidence_interval(0.95)
    assert (found.estimate.low, found.estimate.high) == pytest.approx((interval.low, interval.high))
    one = score_estimate(first_N)
    low, high = stats.t.interval(0.95, 59, first_N.mean(), stats.sem(first_N))
    assert (one.low, one.high) == pytest.approx((low, high))
    assert mean_accuracy_estimate(first_N[None]) == one


def test_scores_that_do_not_vary_are_told_apart_or_are_the_same() -> None:
    ones, zeros = np.ones(5), np.zeros(5)
    assert difference_of_scores(ones, ones).p_value == 1.0
    assert difference_of_scores(ones, zeros).p_value == 0.0
    assert difference_of_scores(ones[:1], zeros[:1]).p_value == 1.0


@pytest.mark.parametrize("settings", [{}, {"num_seeds": 3}, {"same_images": False}])
def test_ways_that_change_places_are_found(settings: dict[str, int | bool]) -> None:
    pair = pair_of((0.55, 0.7), (0.75, 0.5), **settings)
    assert (pair.first, pair.second) == ("Full", "Frozen")
    assert pair.clean.estimate.value > 0 > pair.shifted.estimate.value
    assert pair.changes_places
    assert pair.is_change_real
    assert pair.change.value == pytest.approx(-0.4, abs=0.08)
    assert pair.change_p < 1e-4
    text = shift_verdict(pair, not settings.get("same_images", True))
    assert text.startswith("Full and Frozen change places, beyond chance")
    where = "on the other folder" if "same_images" in settings else "on corrupted images"
    assert f"Full is better on images as they are, Frozen {where}." in text
    assert "points towards Frozen, beyond chance." in text


def test_an_order_that_stays_is_said_to_stay() -> None:
    pair = pair_of((0.5, 0.4), (0.75, 0.65))
    assert not pair.changes_places
    text = shift_verdict(pair, False)
    assert text.startswith("The order stays, beyond chance: Full is better than Frozen on both.")
    assert "which may be chance." in text.rpartition("The shift moves")[2]


def test_what_may_be_chance_is_said_so() -> None:
    pair = next(
        pair
        for seed in range(50)
        if (pair := pair_of((0.6, 0.6), (0.6, 0.6), seed, num=60)).changes_places
        and min(pair.clean_p, pair.shifted_p) >= 0.05
    )
    assert not pair.is_change_real
    assert "seem to change places, which may be chance" in shift_verdict(pair, False)


def test_what_is_told_apart_on_one_side_alone_is_said_so() -> None:
    text = shift_verdict(pair_of((0.6, 0.7), (0.6, 0.5)), False)
    assert (
        "cannot be told apart on images as they are; on corrupted images Frozen is better" in text
    )
    text = shift_verdict(pair_of((0.5, 0.6), (0.75, 0.6), same_images=False), True)
    assert text.startswith("Full is better than Frozen on images as they are, beyond chance; on")


def test_where_nothing_differs_places_are_hardly_ever_said_to_change() -> None:
    """Both leads must be told from none, so this is rarer by far than once in twenty."""
    alarms = [pair_of((0.6, 0.5), (0.6, 0.5), seed, num=100) for seed in range(200)]
    assert sum(pair.is_change_real for pair in alarms) <= 4
    assert np.mean([pair.shifted_p < 0.05 for pair in alarms]) < 0.09
    assert np.mean([pair.change_p < 0.05 for pair in alarms]) < 0.09


def test_several_versions_of_an_image_are_no_more_images() -> None:
    """25 times the same answer is as sure as once."""
    drawn = np.random.default_rng(5)
    right_N = [drawn_right(drawn, np.full(80, chance)) for chance in (0.6, 0.7)]
    pair = pairs_under_shift(
        [
            (str(way), Sides(r[None], np.repeat(r[None, None], 25, axis=1), CORRUPTED, (0,), True))
            for way, r in enumerate(right_N)
        ]
    )[0]
    lead = abs(right_N[0].mean() - right_N[1].mean())
    assert pair.shifted.estimate.value == pytest.approx(lead)
    spread = stats.sem(right_N[0].astype(float) - right_N[1])
    half = (pair.shifted.estimate.high - pair.shifted.estimate.low) / 2
    assert half == pytest.approx(stats.t.ppf(0.975, 79) * spread)
    assert pair.change.value == 0.0
    assert "The shift changes nothing in the lead." in shift_verdict(pair, False)


def test_leads_are_told_corruption_by_corruption() -> None:
    drawn = np.random.default_rng(2)
    one, other = sides(drawn, 0.7, 0.6), sides(drawn, 0.6, 0.6)
    worse = one.shifted_SVM.copy()
    foggy = [row for row, version in enumerate(CORRUPTED) if version.kind == "fog"]
    worse[:, foggy] = False
    one = Sides(one.clean_SN, worse, one.versions, one.seeds, same_images=True)
    [pair] = pairs_under_shift([("one", one), ("other", other)])
    assert [lead.kind for lead in pair.kinds] == list(CORRUPTIONS)
    found = {lead.kind: lead for lead in pair.kinds}
    assert found["fog"].difference.estimate.value == pytest.approx(-0.6, abs=0.05)
    assert found["fog"].adjusted_p < 1e-6
    assert found["blur"].difference.estimate.value == pytest.approx(0.0, abs=0.05)
    told = pair.to_dict()
    assert [entry["corruption"] for entry in told["by_corruption"]] == list(CORRUPTIONS)
    assert told["shifted"]["method"] == "paired t"


def test_all_pairs_are_allowed_for() -> None:
    drawn = np.random.default_rng(3)
    ways = [(name, sides(drawn, 0.6, 0.5, num=80)) for name in ("a", "b", "c")]
    pairs = pairs_under_shift(ways)
    assert len(pairs) == 3
    assert all(pair.clean_p >= pair.clean.p_value for pair in pairs)
    assert sum(pair.shifted_p > pair.shifted.p_value for pair in pairs) >= 1
