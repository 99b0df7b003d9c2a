"""Ids that nobody can guess, and what lists show of them."""

import pytest

from engine.errors import RunNotFoundError
from engine.runs.ids import new_id, short_ids
from engine.runs.store import Store
from tests.engine.specs import tiny_spec


def test_ids_are_of_64_bits_and_differ() -> None:
    ids = {new_id() for _ in range(1000)}
    assert len(ids) == 1000
    assert all(len(one) == 16 and int(one, 16) >= 0 for one in ids)


def test_a_list_shows_eight_digits_and_more_where_they_are_shared() -> None:
    ids = ["0123456789abcdef", "0123456789abcd00", "0123456700000000", "ffffffffffffffff"]
    shown = short_ids(ids)
    assert shown == {
        "0123456789abcdef": "0123456789abcde",
        "0123456789abcd00": "0123456789abcd0",
        "0123456700000000": "012345670",
        "ffffffffffffffff": "ffffffff",
    }


def test_an_id_of_an_earlier_thaw_is_shown_as_it_is() -> None:
    shown = short_ids(["01234567", "0123456789abcdef"])
    assert shown == {"01234567": "01234567", "0123456789abcdef": "012345678"}
    assert short_ids([]) == {}


def test_what_lists_show_names_the_run(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store()
    spec = tiny_spec(tmp_path_factory.mktemp("images"))
    drawn = iter(["group", "01234567", "0123456789abcdef", "0123456789abcd00"])
    monkeypatch.setattr("engine.runs.store.queue.new_id", lambda: next(drawn))
    runs = store.add_runs([("a", spec), ("b", spec), ("c", spec)])
    for run_id, shown in store.short_ids().items():
        assert store.run(shown).id == store.run(run_id).id == run_id
    assert [run.id for run in runs] == ["01234567", "0123456789abcdef", "0123456789abcd00"]
    for ambiguous in ("0123", "0123456789abcd"):
        with pytest.raises(RunNotFoundError, match="Several runs"):
            store.run(ambiguous)
    store.close()
