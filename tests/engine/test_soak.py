"""A run that writes, five readers and a person who marks: nothing lost, nothing locked."""

import pytest

from tests.soak.soak import soak

MOST_JOURNAL = 4 * 2**20


@pytest.mark.parametrize("seconds", [8.0, pytest.param(120.0, marks=pytest.mark.slow)])
def test_a_store_bears_many_hands(seconds: float, either_database: str) -> None:
    outcome = soak(seconds, events_a_second=200)
    assert outcome.faults == []
    assert outcome.integrity == "ok"
    assert outcome.last_journal == 0
    assert outcome.largest_journal < MOST_JOURNAL
    by_name = {one.who: one for one in outcome.seen}
    assert len(by_name) == 7
    assert all(one.num_calls > 0 for one in outcome.seen)
    assert by_name["a run that writes"].num_events > 0
