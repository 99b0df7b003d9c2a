"""The Pareto front of accuracy and cost, checked against a search of all pairs."""

from typing import Any

import numpy as np
import pytest

from engine.insight.cost import COSTS, cost_front, cost_fronts
from engine.insight.experiment import Way, pairs_of, ways_of
from engine.runs.store import Store
from tests.engine.made_ways import made_run

SECONDS, PARAMETERS, MEMORY = COSTS


@pytest.fixture
def store() -> Store:
    return Store()


def ways(store: Store, *made: dict[str, Any]) -> list[Way]:
    return ways_of([made_run(store, **one) for one in made])


def test_a_way_that_costs_more_for_less_is_beaten(store: Store) -> None:
    found = ways(
        store,
        {"strategy": "frozen", "accuracy": 0.6, "seconds": 2.0},
        {"strategy": "full", "accuracy": 0.95, "seconds": 40.0},
        {"strategy": "partial", "accuracy": 0.5, "seconds": 20.0},
    )
    front = cost_front(found, pairs_of(found), SECONDS)
    assert [point.way.label for point in front.points] == ["Frozen", "Partial", "Full"]
    assert [point.way.label for point in front.on_front] == ["Frozen", "Full"]
    [beaten] = [point for point in front.points if not point.is_on_front]
    assert [way.label for way in beaten.beaten_by] == ["Frozen"]
    said = front.sentence()
    assert said.startswith("On the front are Frozen and Full: none of them is beaten in both.")
    assert "From Frozen to Full, 20 times as much buys" in said
    assert "points, more than chance." in said
    assert said.endswith(
        "Partial is beaten by Frozen, which is at least as accurate and costs no more."
    )


def test_a_step_that_may_be_chance_is_said_to_be(store: Store) -> None:
    found = ways(
        store,
        {"strategy": "frozen", "accuracy": 0.80, "seconds": 2.0},
        {"strategy": "full", "accuracy": 0.82, "seconds": 40.0},
    )
    assert found[1].accuracy is not None
    assert found[0].accuracy is not None
    assert found[1].accuracy.value > found[0].accuracy.value
    assert "which may be chance" in cost_front(found, pairs_of(found), SECONDS).sentence()


def test_one_that_is_best_in_both_is_alone_on_the_front(store: Store) -> None:
    found = ways(
        store,
        {"strategy": "frozen", "accuracy": 0.9, "memory_mib": 300.0},
        {"strategy": "full", "accuracy": 0.6, "memory_mib": 900.0},
    )
    said = cost_front(found, pairs_of(found), MEMORY).sentence()
    assert said.startswith("Frozen is both the most accurate and the leanest.")


def test_equals_stand_side_by_side(store: Store) -> None:
    found = ways(
        store,
        {"strategy": "frozen", "accuracy": 1.0, "parameters": 7},
        {"strategy": "full", "accuracy": 1.0, "parameters": 7},
    )
    assert len(cost_front(found, pairs_of(found), PARAMETERS).on_front) == 2


@pytest.mark.parametrize("seed", range(5))
def test_the_front_is_what_a_search_of_all_pairs_finds(store: Store, seed: int) -> None:
    drawn = np.random.default_rng(seed)
    names = ("frozen", "full", "partial", "gradual", "lora", "bias_only", "norm_only", "l2_sp")
    found = ways(
        store,
        *(
            {
                "strategy": name,
                "accuracy": float(drawn.uniform(0.4, 0.95)),
                "seconds": float(drawn.integers(1, 6)),
            }
            for name in names
        ),
    )
    front = cost_front(found, [], SECONDS)
    for point in front.points:
        better = [
            other
            for other in front.points
            if other.accuracy.value >= point.accuracy.value
            and other.cost.value <= point.cost.value
            and (other.accuracy.value, -other.cost.value)
            != (point.accuracy.value, -point.cost.value)
        ]
        assert point.is_on_front == (not better)
        assert all(
            any(one.way is way and one.is_on_front for one in better) for way in point.beaten_by
        )


def test_seconds_and_memory_have_intervals_over_seeds(store: Store) -> None:
    found = ways(
        store,
        *(
            {"strategy": "full", "accuracy": 0.8, "seed": n, "seconds": 10.0 + n, "memory_mib": n}
            for n in range(3)
        ),
    )
    seconds, parameters, memory = (front.points[0].cost for front in cost_fronts(found, []))
    assert seconds.value == pytest.approx(11.0)
    assert seconds.low < 10.0
    assert seconds.high > 12.0
    assert memory.low < memory.value < memory.high
    assert parameters.low == parameters.high == 100


def test_what_was_found_in_the_cache_is_paid_for_too(store: Store) -> None:
    """Else the first run on some images would look as if it were slow by itself."""
    computed = {"features_found": False, "features_seconds": 8.0}
    saved = {"features_found": True, "features_seconds": 8.0}
    [way] = ways(
        store,
        {"strategy": "frozen", "accuracy": 0.8, "seed": 0, "seconds": 10.0, "facts": computed},
        {"strategy": "frozen", "accuracy": 0.8, "seed": 1, "seconds": 2.0, "facts": saved},
    )
    assert way.seconds is not None
    assert way.seconds.value == 6.0
    assert way.seconds_uncached is not None
    assert way.seconds_uncached.value == 10.0


def test_a_way_of_which_nothing_is_known_is_named(store: Store) -> None:
    [report] = [made_run(store, "full", 0.8)]
    bare = ways_of([type(report)(report.run, (), None)])
    front = cost_front(bare, [], MEMORY)
    assert [way.label for way in front.unknown] == ["Full"]
    assert front.sentence() == "No way of training has both an accuracy and its peak memory yet."
    assert front.to_dict()["unknown"] == ["Full"]


def test_it_is_plain_data(store: Store) -> None:
    found = ways(
        store,
        {"strategy": "frozen", "accuracy": 0.6, "seconds": 2.0},
        {"strategy": "full", "accuracy": 0.95, "seconds": 40.0},
    )
    told = cost_front(found, pairs_of(found), SECONDS).to_dict()
    assert told["cost"] == "seconds"
    assert [point["on_front"] for point in told["points"]] == [True, True]
    assert told["points"][0]["cost"] == {"value": 2.0, "low": 2.0, "high": 2.0}
