"""Mean curves over runs: the band is what it is said to be."""

import numpy as np
import pytest
from scipy import stats

from engine.events import MetricEvent
from engine.insight.bands import band
from engine.insight.compare import RunReport
from engine.runs.store import Store
from tests.engine.specs import tiny_spec


@pytest.fixture
def store() -> Store:
    return Store()


def reports_of(store: Store, values: list[list[float]], metric: str) -> list[RunReport]:
    """A report a row, with an epoch for each of its values."""
    runs = store.add_runs([("made", tiny_spec("p", {"seed": n})) for n in range(len(values))])
    return [
        RunReport(
            run,
            tuple(
                MetricEvent(
                    run.id,
                    epoch,
                    0.0,
                    "epoch",
                    epoch,
                    epoch,
                    {metric: value, "elapsed_seconds": epoch * (1.0 + number)},
                )
                for epoch, value in enumerate(row, 1)
            ),
            None,
        )
        for number, (run, row) in enumerate(zip(runs, values, strict=True))
    ]


def test_of_three_runs_it_is_the_interval_of_the_mean(store: Store) -> None:
    values = [[0.5, 0.70], [0.6, 0.74], [0.55, 0.66]]
    found = band(reports_of(store, values, "val/accuracy"), "val/accuracy")
    assert found is not None
    assert found.x.tolist() == [1, 2]
    assert found.meaning == "95 % interval of the mean"
    for place in (0, 1):
        sample = [row[place] for row in values]
        known = stats.t.interval(0.95, 2, np.mean(sample), stats.sem(sample))
        assert found.mean[place] == pytest.approx(np.mean(sample))
        assert (found.low[place], found.high[place]) == pytest.approx(known)


def test_of_two_runs_it_is_what_lies_between_them(store: Store) -> None:
    found = band(reports_of(store, [[0.5], [0.7]], "val/accuracy"), "val/accuracy")
    assert found is not None
    assert found.meaning == "least to greatest of the two"
    assert (found.low[0], found.mean[0], found.high[0]) == pytest.approx((0.5, 0.6, 0.7))


def test_of_a_single_run_there_is_none(store: Store) -> None:
    found = band(reports_of(store, [[0.5, 0.6]], "val/accuracy"), "val/accuracy")
    assert found is not None
    assert found.meaning == ""
    assert found.low.tolist() == found.mean.tolist() == found.high.tolist() == [0.5, 0.6]


def test_it_ends_where_the_first_of_the_runs_does_and_says_so(store: Store) -> None:
    reports = reports_of(store, [[0.5, 0.6, 0.7], [0.5, 0.6]], "val/accuracy")
    found = band(reports, "val/accuracy", "seconds")
    assert found is not None
    assert found.x.tolist() == [1.5, 3.0]
    assert found.num_left_out == 1
    assert band(reports_of(store, [[0.5], []], "val/accuracy"), "val/accuracy") is None
    assert band([], "val/accuracy") is None


def test_shares_end_at_one_and_losses_do_not(store: Store) -> None:
    values = [[0.99], [0.7], [0.98]]
    share = band(reports_of(store, values, "val/accuracy"), "val/accuracy")
    loss = band(reports_of(store, values, "val/loss"), "val/loss")
    assert share is not None
    assert loss is not None
    assert share.high[0] == 1.0
    assert loss.high[0] > 1.0
