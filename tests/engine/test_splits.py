"""The held-back images: the same share of every class, drawn by the seed."""

from pathlib import Path

import pytest

from engine.data.splits import fold_split, stratified_split


def files_of(*counts: int) -> list[list[Path]]:
    return [[Path(f"{label}/{index}.jpg") for index in range(n)] for label, n in enumerate(counts)]


@pytest.mark.parametrize(
    ("count", "fraction", "expected"),
    [(100, 0.2, 20), (10, 0.25, 2), (10, 0.05, 1), (2, 0.2, 1), (2, 0.5, 1), (3, 0.5, 2)],
)
def test_share_of_a_class(count: int, fraction: float, expected: int) -> None:
    split = stratified_split(files_of(count), fraction, seed=0)
    assert len(split.val[0]) == expected
    assert len(split.train[0]) == count - expected


@pytest.mark.parametrize("seed", range(5))
def test_every_class_keeps_images_on_both_sides(seed: int) -> None:
    files = files_of(2, 3, 7, 50)
    split = stratified_split(files, 0.05, seed)
    for whole, left, right in zip(files, split.train, split.val, strict=True):
        assert left
        assert right
        assert sorted([*left, *right]) == sorted(whole)
        assert not set(left) & set(right)


def test_same_seed_same_split() -> None:
    assert stratified_split(files_of(20, 30), 0.2, 4) == stratified_split(files_of(20, 30), 0.2, 4)


def test_another_seed_another_split() -> None:
    drawn = [stratified_split(files_of(20, 30), 0.2, seed).val for seed in range(4)]
    assert all(a != b for i, a in enumerate(drawn) for b in drawn[:i])


def test_classes_are_drawn_independently() -> None:
    val = stratified_split(files_of(20, 20), 0.2, seed=0).val
    assert [file.name for file in val[0]] != [file.name for file in val[1]]


def test_a_class_keeps_its_split_when_another_grows() -> None:
    before = stratified_split(files_of(20, 20), 0.2, seed=0).val
    after = stratified_split(files_of(20, 25), 0.2, seed=0).val
    assert before[0] == after[0]


@pytest.mark.parametrize("seed", range(8))
def test_groups_stay_on_one_side(seed: int) -> None:
    files = files_of(30, 20)
    groups = [files[0][:4], [*files[0][10:12], files[1][3]], files[1][8:10]]
    split = stratified_split(files, 0.2, seed, groups)
    held_back = {file for part in split.val for file in part}
    for group in groups:
        assert len({file in held_back for file in group}) == 1
    assert split.parted == ()
    assert [len(part) for part in split.val] == [6, 4] or len(held_back) in (9, 10, 11)
    for whole, left, right in zip(files, split.train, split.val, strict=True):
        assert sorted([*left, *right]) == sorted(whole)
        assert left
        assert right


def test_without_groups_the_split_is_what_it_was() -> None:
    files = files_of(20, 30)
    assert stratified_split(files, 0.2, 4, []) == stratified_split(files, 0.2, 4)
    assert [file.stem for file in stratified_split(files, 0.2, 4).val[0]] == ["0", "8", "10", "13"]


def test_a_class_that_is_all_alike_is_parted_and_told() -> None:
    files = files_of(10, 10)
    split = stratified_split(files, 0.2, 0, [files[1]])
    assert split.parted == (1,)
    assert len(split.val[1]) == 2


def test_a_large_group_does_not_swallow_the_validation_share() -> None:
    files = files_of(20)
    split = stratified_split(files, 0.2, 0, [files[0][:12]])
    assert len(split.val[0]) == 4
    assert not set(split.val[0]) & set(files[0][:12])


@pytest.mark.parametrize("num_folds", [2, 3, 5])
def test_every_image_is_held_back_in_one_fold(num_folds: int) -> None:
    files = files_of(11, 23, 3)
    groups = [files[0][:3], files[1][4:6]]
    splits = [fold_split(files, num_folds, fold + 1, 7, groups) for fold in range(num_folds)]
    held_back = [file for split in splits for part in split.val for file in part]
    assert sorted(held_back) == sorted(file for part in files for file in part)
    for split in splits:
        val = {file for part in split.val for file in part}
        assert all(len({file in val for file in group}) == 1 for group in groups)
        assert not val & {file for part in split.train for file in part}
        assert abs(len(val) - 37 / num_folds) <= 3
    assert splits == [fold_split(files, num_folds, f + 1, 7, groups) for f in range(num_folds)]
