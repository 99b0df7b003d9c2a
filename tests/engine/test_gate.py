"""The gate: an update passes where a rule holds beyond noise, and else it is said why not."""

import numpy as np
import pytest

from engine.errors import SpecError
from engine.insight.differences import difference_of_runs
from engine.insight.paired import paired_difference
from engine.insight.updates import Update, update_of
from engine.runs.store import Store
from engine.update.gate import Rule, judge
from tests.made_updates import add_model, shares

# ---- the interval


def test_the_interval_is_the_published_one() -> None:
    # Airway responsiveness of 21 children before and after: Fagerland, Lydersen & Laake 2014.
    found = paired_difference(1, 7, 21, 0.975)
    assert found.value == pytest.approx(-6 / 21)
    assert (found.low, found.high) == pytest.approx((-0.517, -0.026), abs=5e-4)


def test_nothing_that_changed_is_no_proof_that_nothing_would() -> None:
    # By hand: z^2 / (n + z^2).
    z2 = 1.6448536**2
    for num in (1, 78, 5000):
        found = paired_difference(0, 0, num, 0.95)
        assert (found.value, found.high) == pytest.approx((0.0, z2 / (num + z2)))
        assert found.low == pytest.approx(-found.high)


@pytest.mark.parametrize(
    ("first", "second", "num"), [(3, 3, 100), (5, 0, 5), (0, 5, 5), (1, 0, 2), (40, 50, 1000)]
)
def test_the_interval_holds_what_was_found_and_turns_with_its_sign(
    first: int, second: int, num: int
) -> None:
    found, turned = (
        paired_difference(first, second, num, 0.95),
        paired_difference(second, first, num, 0.95),
    )
    assert -1.0 <= found.low <= found.value <= found.high <= 1.0
    assert found.low < found.high
    assert (turned.low, turned.high) == pytest.approx((-found.high, -found.low))
    wider = paired_difference(first, second, num, 0.99)
    assert wider.low <= found.low
    assert wider.high >= found.high


def test_with_many_images_it_is_that_of_the_bootstrap() -> None:
    first, second = np.zeros(2000, dtype=bool), np.zeros(2000, dtype=bool)
    first[:100], second[100:180] = True, True
    drawn = difference_of_runs(first, second).estimate
    found = paired_difference(100, 80, 2000, 0.975)
    assert (found.low, found.high) == pytest.approx((drawn.low, drawn.high), abs=1e-3)


@pytest.mark.parametrize(("num", "p", "q"), [(40, 0.1, 0.05), (80, 0.02, 0.02), (20, 0.3, 0.1)])
def test_each_end_is_right_as_often_as_it_says(num: int, p: float, q: float) -> None:
    drawn = np.random.default_rng(0).multinomial(num, [p, q, 1 - p - q], 2000)
    kinds, counts = np.unique(drawn[:, :2], axis=0, return_counts=True)
    ends = [paired_difference(int(a), int(b), num, 0.95) for a, b in kinds]
    right = np.array([[one.low <= p - q, one.high >= p - q] for one in ends])
    assert ((right * counts[:, None]).sum(axis=0) / 2000 >= 0.92).all()


# ---- the rule


def made(old: tuple[str, str], new: tuple[str, str]) -> Update:
    """An update by what each model tells right of old and of new images: (before, after)."""
    store = Store()
    base = add_model(store, {"base": old[0]})
    run = add_model(
        store,
        {"base": old[1], "new": new[1]},
        base.id,
        before={"base": old[0], "new": new[0]},
    )
    update = update_of(run)
    assert update is not None
    return update


def test_an_update_that_keeps_the_old_and_learns_the_new_passes() -> None:
    update = made((shares(450, 500), shares(449, 500)), (shares(20, 100), shares(80, 100)))
    found = judge(update, Rule())
    assert found.holds
    assert found.refusals == ()
    assert (found.old.num_broken, found.old.num_mended, found.old.num_images) == (1, 0, 500)
    assert found.old.change is not None
    assert found.old.change.value == pytest.approx(-0.002)
    assert found.new.change is not None
    assert found.new.change.value == pytest.approx(0.6)
    assert found.new.num_mended == 60
    assert found.old.images_needed is None
    assert found.to_dict()["old"]["holds"] is True


def test_an_update_that_forgot_is_refused_whatever_it_learnt() -> None:
    update = made((shares(450, 500), shares(400, 500)), (shares(20, 100), shares(80, 100)))
    found = judge(update, Rule())
    assert not found.holds
    assert found.new.holds
    [refusal] = found.refusals
    assert "fell by 10 points (50 broken, 0 mended)" in refusal
    assert "it misses that by 8 points" in refusal
    assert found.old.images_needed is None
    assert judge(update, Rule(most_forgotten=0.15)).holds


def test_an_update_that_learnt_nothing_is_refused() -> None:
    update = made((shares(450, 500), shares(450, 500)), (shares(20, 100), shares(22, 100)))
    found = judge(update, Rule())
    assert found.old.holds
    [refusal] = found.refusals
    assert "100 new validation images" in refusal
    assert "it misses that by 3 points" in refusal


def test_what_may_be_noise_is_refused_and_it_is_said_how_many_images_would_tell() -> None:
    # Not one of 40 old images broke, from which nothing follows at 2 points.
    update = made((shares(36, 40), shares(36, 40)), (shares(0, 40), shares(30, 40)))
    found = judge(update, Rule())
    assert found.old.change is not None
    assert found.old.change.value == 0.0
    [refusal] = found.refusals
    assert "may be noise" in refusal
    needed = found.old.images_needed
    assert needed is not None
    # By hand: z^2 (1 - x) / x.
    assert needed == pytest.approx(1.6448536**2 * 0.98 / 0.02, rel=0.03)
    assert f"about {needed:,} such images" in refusal
    for num, holds in ((needed, True), (int(0.9 * needed), False)):
        same = made((shares(num, num), shares(num, num)), (shares(0, 40), shares(30, 40)))
        assert judge(same, Rule()).holds is holds
    # Less is asked for, or less sure.
    assert judge(update, Rule(most_forgotten=0.07)).holds
    assert judge(update, Rule(most_forgotten=0.03, confidence=0.8)).holds


def test_a_rise_that_may_be_noise_is_refused() -> None:
    update = made((shares(450, 500), shares(450, 500)), ("0000000000", "1100000000"))
    found = judge(update, Rule())
    [refusal] = found.refusals
    assert "rose by 20 points" in refusal
    assert "may be noise" in refusal
    assert found.new.images_needed is not None
    assert 10 < found.new.images_needed < 100


def test_broken_and_mended_images_do_not_cancel_out() -> None:
    still = made((shares(400, 500), shares(400, 500)), ("0" * 50, "1" * 50))
    moved = made(("1" * 400 + "0" * 100, "0" * 100 + "1" * 400), ("0" * 50, "1" * 50))
    assert judge(still, Rule()).holds
    found = judge(moved, Rule())
    assert (found.old.num_broken, found.old.num_mended) == (100, 100)
    assert found.old.change is not None
    assert found.old.change.value == 0.0
    assert not found.holds


def test_where_nothing_judges_nobody_can_say() -> None:
    found = judge(made((shares(400, 500), shares(400, 500)), ("", "")), Rule(least_gained=0.0))
    assert not found.holds
    assert found.new.change is None
    assert "There are no new validation images" in found.refusals[0]


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({"most_forgotten": -0.1}, "most_forgotten"),
        ({"most_forgotten": 2.0}, "most_forgotten"),
        ({"least_gained": 5.0}, "least_gained"),
        ({"confidence": 0.5}, "confidence"),
        ({"confidence": 95.0}, "confidence"),
        ({"confidence": float("nan")}, "confidence"),
        ({"least_gained": float("nan")}, "least_gained"),
    ],
)
def test_rules_out_of_range_are_refused(settings: dict[str, float], name: str) -> None:
    with pytest.raises(SpecError, match=name):
        Rule(**settings)


def test_a_rule_says_itself() -> None:
    assert Rule().sentence == (
        "accuracy on old images falls by no more than 2 points and on new ones rises by at least 5 "
        "points, each with a confidence of 95 %"
    )
