"""`thaw cache`: what is kept, its bound, and throwing it away."""

from typing import Any

import pytest

from engine.caching import ArrayCache, cache_limit
from tests.engine.commands import document, refusal, thaw


def fill(array: Any) -> None:
    array[:] = 1


@pytest.fixture(autouse=True)
def _kept() -> None:
    ArrayCache("features").get({"a": 1}, "what goes into head", (1000, 10), "float32", fill)
    ArrayCache("pixels").get({"b": 2}, "10 pictures at 32 px", (10, 32, 32, 3), "uint8", fill)


def test_it_lists_what_is_kept() -> None:
    shown = thaw("cache")
    assert shown.returncode == 0
    assert "what goes into head" in shown.stdout
    assert "10 pictures at 32 px" in shown.stdout
    assert "0.00 of at most" in shown.stdout


def test_its_document_has_every_key() -> None:
    found = document(thaw("cache", "--json"))
    assert [(one["kind"], one["key"]) for one in found["entries"]] == [
        ("features", {"a": 1}),
        ("pixels", {"b": 2}),
    ]
    assert sum(one["bytes"] for one in found["entries"]) == 40_000 + 30_720
    assert found["bytes"] >= 70_720


def test_it_is_bounded_and_thrown_away() -> None:
    found = document(thaw("cache", "--limit", "2.5", "--clear", "--json"))
    assert found["limit_bytes"] == cache_limit() == 2.5 * 2**30
    assert found["freed_bytes"] >= 70_720
    assert found["entries"] == []
    assert ArrayCache("features").entries() == ArrayCache("pixels").entries() == []


def test_a_bound_that_is_no_size_is_refused() -> None:
    sentence = refusal(thaw("cache", THAW_CACHE_GIB="much"))
    assert "THAW_CACHE_GIB is much; give a number of GiB" in sentence
