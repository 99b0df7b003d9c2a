"""The held-back images: the same share of every class, drawn by the seed."""

from pathlib import Path

import pytest

from engine.data.splits import stratified_split


def files_of(*counts: int) -> list[list[Path]]:
    return [[Path(f"{label}/{index}.jpg") for index in range(n)] for label, n in enumerate(counts)]


@pytest.mark.parametrize(
    ("count", "fraction", "expected"),
    [(100, 0.2, 20), (10, 0.25, 2), (10, 0.05, 1), (2, 0.2, 1), (2, 0.5, 1), (3, 0.5, 2)],
)
def test_share_of_a_class(count: int, fraction: float, expected: int) -> None:
    train, val = stratified_split(files_of(count), fraction, seed=0)
    assert len(val[0]) == expected
    assert len(train[0]) == count - expected


@pytest.mark.parametrize("seed", range(5))
def test_every_class_keeps_images_on_both_sides(seed: int) -> None:
    files = files_of(2, 3, 7, 50)
    train, val = stratified_split(files, 0.05, seed)
    for whole, left, right in zip(files, train, val, strict=True):
        assert left
        assert right
        assert sorted([*left, *right]) == sorted(whole)
        assert not set(left) & set(right)


def test_same_seed_same_split() -> None:
    assert stratified_split(files_of(20, 30), 0.2, 4) == stratified_split(files_of(20, 30), 0.2, 4)


def test_another_seed_another_split() -> None:
    drawn = [stratified_split(files_of(20, 30), 0.2, seed)[1] for seed in range(4)]
    assert all(a != b for i, a in enumerate(drawn) for b in drawn[:i])


def test_classes_are_drawn_independently() -> None:
    _, val = stratified_split(files_of(20, 20), 0.2, seed=0)
    assert [file.name for file in val[0]] != [file.name for file in val[1]]


def test_a_class_keeps_its_split_when_another_grows() -> None:
    _, before = stratified_split(files_of(20, 20), 0.2, seed=0)
    _, after = stratified_split(files_of(20, 25), 0.2, seed=0)
    assert before[0] == after[0]
