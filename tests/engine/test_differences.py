"""Whether two results differ: against scipy's and statsmodels' numbers, and where nothing does."""

import itertools
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from engine.insight.differences import (
    Difference,
    difference_of_runs,
    difference_of_strategies,
    holm,
    mcnemar,
)
from engine.insight.intervals import (
    Estimate,
    accuracy_estimate,
    auc_estimate,
    estimate_over_seeds,
    mean_accuracy_estimate,
    mean_estimate,
)

Right = NDArray[np.bool_]


def made(drawn: np.random.Generator, num: int, shifts: list[float], accuracy: float = 0.8) -> Right:
    """Runs on the same images, of which some are hard; each run is better by its own shift."""
    hardness_N = drawn.beta(2.0, 2.0 * (1 - accuracy) / accuracy, num)
    chances_SN = np.clip(hardness_N + np.array(shifts)[:, None], 0.0, 1.0)
    return drawn.random((len(shifts), num)) < chances_SN


# ---- against other programs


@pytest.mark.parametrize(("only_first", "only_second"), [(0, 0), (5, 0), (9, 3), (40, 61), (7, 7)])
def test_mcnemar_as_statsmodels_has_it(only_first: int, only_second: int) -> None:
    contingency = pytest.importorskip(
        "statsmodels.stats.contingency_tables", reason="statsmodels is not installed"
    )
    theirs = contingency.mcnemar([[10, only_first], [only_second, 3]], exact=True).pvalue
    assert mcnemar(only_first, only_second) == pytest.approx(theirs)


def test_holm_as_statsmodels_has_it() -> None:
    multitest = pytest.importorskip(
        "statsmodels.stats.multitest", reason="statsmodels is not installed"
    )
    drawn = np.random.default_rng(0)
    for num in (1, 2, 5, 20):
        p_values = (drawn.random(num) ** 3).tolist()
        theirs = multitest.multipletests(p_values, method="holm")[1]
        assert holm(p_values) == pytest.approx(theirs.tolist())
    assert holm([]) == []


@pytest.mark.parametrize(("right", "num"), [(0, 20), (20, 20), (73, 97), (1, 2)])
def test_the_interval_of_one_run_is_wilsons(right: int, num: int) -> None:
    proportion = pytest.importorskip(
        "statsmodels.stats.proportion", reason="statsmodels is not installed"
    )
    ours = accuracy_estimate(np.arange(num) < right)
    low, high = proportion.proportion_confint(right, num, method="wilson")
    assert (ours.low, ours.high) == pytest.approx((low, high))


@pytest.mark.parametrize("shift", [0.0, 1.0, 2.5])
def test_an_auc_s_interval_holds_the_true_one(shift: float) -> None:
    random = np.random.default_rng(0)
    true = stats.norm.cdf(shift / np.sqrt(2))
    found = [
        auc_estimate(random.normal(size=20), random.normal(shift, size=35)) for _ in range(400)
    ]
    assert np.mean([one.value for one in found]) == pytest.approx(true, abs=0.01)
    assert np.mean([one.low <= true <= one.high for one in found]) == pytest.approx(0.95, abs=0.03)


def test_an_auc_of_one_is_not_known_for_sure() -> None:
    low, high = np.arange(20.0), np.arange(20.0) + 20
    told = auc_estimate(low, high)
    assert (told.value, told.high) == (1.0, 1.0)
    assert 0.85 < told.low < 0.95
    assert auc_estimate(np.repeat(low, 10), np.repeat(high, 10)).low > 0.98
    other_way = auc_estimate(high, low)
    assert (other_way.low, other_way.value) == (0.0, 0.0)
    assert other_way.high == pytest.approx(1 - told.low)
    assert auc_estimate(np.ones(20), np.ones(20)).value == 0.5


def test_the_bootstrap_as_scipy_has_it() -> None:
    first, second = made(np.random.default_rng(1), 97, [0.0, 0.05])
    lead = first.astype(float) - second
    theirs = stats.bootstrap(
        (lead,), np.mean, n_resamples=20_000, method="percentile", rng=np.random.default_rng(2)
    ).confidence_interval
    ours = difference_of_runs(first, second).estimate
    assert ours.value == pytest.approx(lead.mean())
    # Means of 97 images come in steps of one; the drawing differs.
    assert ours.low == pytest.approx(theirs.low, abs=1.01 / 97)
    assert ours.high == pytest.approx(theirs.high, abs=1.01 / 97)


def test_a_resampled_statistic_has_scipys_standard_error() -> None:
    values = np.random.default_rng(3).beta(5.0, 2.0, 80)
    ours = estimate_over_seeds([lambda counts_RN: counts_RN @ values / 80], 80)
    theirs = stats.bootstrap(
        (values,), np.mean, n_resamples=20_000, rng=np.random.default_rng(4)
    ).standard_error
    half = float(stats.t.ppf(0.975, 79)) * float(theirs)
    assert ours.high - ours.value == pytest.approx(half, rel=0.12)
    assert ours.value - ours.low == pytest.approx(half, rel=0.12)


def test_the_mean_of_samples_has_students_interval() -> None:
    samples = [3.0, 4.5, 4.0, 7.0]
    ours = mean_estimate(samples)
    interval = stats.ttest_1samp(samples, 0.0).confidence_interval(0.95)
    assert ours is not None
    assert (ours.low, ours.high) == pytest.approx((interval.low, interval.high))
    assert mean_estimate([5.0]) == Estimate(5.0, 5.0, 5.0)
    assert mean_estimate([]) is None


def one_wrong_an_image(wrong: list[int]) -> Right:
    """Runs of which each image is got wrong by exactly one; each run is wrong on so many."""
    whose_N = np.repeat(np.arange(len(wrong)), wrong)
    return whose_N != np.arange(len(wrong))[:, None]


def test_where_only_seeds_vary_the_test_of_strategies_is_welchs() -> None:
    first, second = one_wrong_an_image([250, 300, 450]), one_wrong_an_image([430, 570])
    ours = difference_of_strategies(first, second)
    welch = stats.ttest_ind(first.mean(axis=1), second.mean(axis=1), equal_var=False)
    assert ours.p_value == pytest.approx(float(welch.pvalue))
    interval = welch.confidence_interval(0.95)
    assert ours.estimate.low == pytest.approx(float(interval.low))
    assert ours.estimate.high == pytest.approx(float(interval.high))


def test_where_only_images_vary_the_test_of_strategies_is_students() -> None:
    first = np.tile(np.arange(40) < 30, (3, 1))
    second = np.tile((np.arange(40) >= 6) & (np.arange(40) < 26), (2, 1))
    ours = difference_of_strategies(first, second)
    lead = first[0].astype(float) - second[0]
    assert ours.p_value == pytest.approx(float(stats.ttest_1samp(lead, 0.0).pvalue))


# ---- where nothing differs


def alarms(compare: Callable[[np.random.Generator], Difference], repeats: int) -> float:
    drawn = np.random.default_rng(7)
    return float(np.mean([compare(drawn).p_value < 0.05 for _ in range(repeats)]))


@pytest.mark.parametrize(("num", "accuracy"), [(97, 0.75), (97, 0.95), (1000, 0.8)])
def test_runs_that_differ_by_chance_alone_seldom_seem_to(num: int, accuracy: float) -> None:
    def compare(drawn: np.random.Generator) -> Difference:
        return difference_of_runs(*made(drawn, num, [0.0, 0.0], accuracy))

    assert alarms(compare, 600) <= 0.07


@pytest.mark.parametrize("seeds", [2, 3, 5])
@pytest.mark.parametrize("spread", [0.0, 0.02, 0.1])
def test_a_strategy_held_against_itself_seldom_seems_to_differ(seeds: int, spread: float) -> None:
    """Seeds differ among themselves by more or less; on 300 images as on 3,000."""
    for num in (100, 3000):

        def compare(drawn: np.random.Generator, num: int = num) -> Difference:
            shifts = drawn.normal(0.0, spread, 2 * seeds).tolist()
            runs = made(drawn, num, shifts, 0.75)
            return difference_of_strategies(runs[:seeds], runs[seeds:])

        assert alarms(compare, 400) <= 0.075


def test_two_runs_are_told_apart_where_seeds_differ_which_is_why_strategies_need_several() -> None:
    def compare(drawn: np.random.Generator) -> Difference:
        return difference_of_runs(*made(drawn, 3000, drawn.normal(0.0, 0.05, 2).tolist(), 0.75))

    assert alarms(compare, 400) > 0.3


def test_of_many_comparisons_hardly_one_is_a_false_alarm() -> None:
    drawn = np.random.default_rng(5)
    false = 0
    for _ in range(300):
        runs = made(drawn, 200, [0.0] * 5)
        p_values = [
            mcnemar(int((one & ~other).sum()), int((other & ~one).sum()))
            for one, other in itertools.combinations(runs, 2)
        ]
        false += min(holm(p_values)) < 0.05
    assert false / 300 <= 0.07


# ---- intervals hold what they say


def test_intervals_of_a_mean_over_seeds_hold_the_truth() -> None:
    drawn = np.random.default_rng(8)
    held = 0
    for _ in range(400):
        runs = made(drawn, 150, drawn.normal(0.0, 0.03, 3).tolist(), 0.7)
        truth = float(np.clip(drawn.beta(2.0, 6 / 7, 20_000), 0, 1).mean())
        interval = mean_accuracy_estimate(runs)
        held += interval.low <= truth <= interval.high
    assert held / 400 >= 0.93


def test_a_single_seed_is_judged_by_its_images_alone() -> None:
    [run] = made(np.random.default_rng(9), 80, [0.0])
    assert mean_accuracy_estimate(run[None]) == accuracy_estimate(run)
    with pytest.raises(ValueError, match="single seed"):
        difference_of_strategies(run[None], run[None])


# ---- how many images would tell


def test_as_many_images_as_are_named_tell_a_difference_four_times_in_five() -> None:
    drawn = np.random.default_rng(10)
    # What 97 images seem to say: ahead on 14, behind on 8.
    seen = difference_of_runs(np.arange(97) < 14, (np.arange(97) >= 14) & (np.arange(97) < 22))
    assert seen.p_value > 0.05
    assert seen.images_to_tell is not None
    num = seen.images_to_tell
    assert num > 97
    told = 0
    for _ in range(500):
        kinds = drawn.choice(3, num, p=[14 / 97, 8 / 97, 75 / 97])
        told += difference_of_runs(kinds == 0, kinds == 1).p_value < 0.05
    assert 0.72 <= told / 500 <= 0.86


def test_no_number_is_named_where_none_would_do() -> None:
    same = np.arange(50) < 30
    assert difference_of_runs(same, same).images_to_tell is None
    assert difference_of_runs(same, same).p_value == 1.0
    assert difference_of_runs(np.arange(50) < 50, np.arange(50) < 20).images_to_tell is None
    drawn = np.random.default_rng(11)
    runs = made(drawn, 5000, [0.0, 0.1, 0.02, 0.14], 0.7)
    unsure = difference_of_strategies(runs[:2], runs[2:])
    assert unsure.p_value > 0.05
    assert unsure.images_to_tell is None
