"""The images of an update: one list of classes, nothing learnt from that something is judged on."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from engine.data.manifest import Batch, Item, Manifest
from engine.errors import DataError
from engine.update.images import batch_name, updated, with_earlier
from engine.update.names import NEW, match_classes


def items(label: int, *digests: str) -> tuple[Item, ...]:
    return tuple(Item(f"/photos/{one}.jpg", label, one) for one in digests)


OLD = Manifest(
    classes=("birds", "cats"),
    train=(*items(0, "b1", "b2"), *items(1, "c1", "c2")),
    val=(*items(0, "b3"), *items(1, "c3")),
    left_out=(),
    fingerprint="old",
)
NEWER = Manifest(
    classes=("birds", "trucks"),
    train=(*items(0, "b4", "b5"), *items(1, "t1", "t2")),
    val=(*items(0, "b6"), *items(1, "t3", "t4")),
    left_out=(),
    fingerprint="new",
)


def update(old: Manifest, new: Manifest, name: str = "new", **answers: str) -> Manifest:
    matching = match_classes(old.classes, new.classes, answers)
    return updated(old, "base", new, name, matching)


def test_new_images_are_learnt_from_and_all_are_judged() -> None:
    found = update(OLD, NEWER)
    assert found.classes == ("birds", "cats", "trucks")
    assert found.train == (*items(0, "b4", "b5"), *items(2, "t1", "t2"))
    assert found.val == (*OLD.val, *items(0, "b6"), *items(2, "t3", "t4"))
    assert found.earlier == OLD.train
    assert found.batches == (Batch("base", 2), Batch("new", 3))
    assert found.left_out == ()


def test_old_labels_stay_whatever_the_order_of_the_new_folders() -> None:
    turned = Manifest(
        ("ants", "cats"), items(1, "c4") + items(0, "a1"), items(1, "c5") + items(0, "a2"), (), "t"
    )
    found = update(OLD, turned)
    assert found.classes == ("birds", "cats", "ants")
    assert {item.digest: item.label for item in found.train} == {"c4": 1, "a1": 2}


def test_an_update_can_be_updated() -> None:
    first = with_earlier(update(OLD, NEWER), items(0, "b1"))
    last = Manifest(("dogs",), items(0, "d1"), items(0, "d2"), (), "third")
    found = update(first, last, "third")
    assert found.classes == ("birds", "cats", "trucks", "dogs")
    assert found.train == items(3, "d1")
    assert {item.digest for item in found.earlier} == {
        *("b1", "b2", "c1", "c2"),
        *("b4", "b5", "t1", "t2"),
    }
    assert len(found.earlier) == 8
    assert [batch.num_val for batch in found.batches] == [2, 3, 1]
    assert [batch.name for batch in found.batches] == ["base", "new", "third"]
    assert sum(batch.num_val for batch in found.batches) == len(found.val)


def test_what_is_judged_on_is_not_learnt_from_and_the_other_way_round() -> None:
    mixed = Manifest(
        classes=("birds", "trucks"),
        train=(*items(0, "b3", "b4"), *items(1, "t1")),
        val=(*items(0, "b1", "b6"), *items(1, "t2")),
        left_out=(),
        fingerprint="mixed",
    )
    found = update(OLD, mixed)
    assert {item.digest for item in found.train} == {"b4", "t1"}
    assert {item.digest for item in found.val} == {"b3", "c3", "b6", "t2"}
    assert [Path(one.path).stem for one in found.left_out] == ["b3", "b1"]
    assert len(found.notes) == 2
    assert found.batches[-1].num_val == 2


def test_shares_and_copies_of_the_model_so_far_count_as_earlier_once() -> None:
    shared = Manifest(
        OLD.classes, OLD.train[:2], OLD.val, (), "old", spare=(*OLD.train[1:], OLD.train[0])
    )
    assert update(shared, NEWER).earlier == OLD.train


def test_a_class_may_be_the_same_under_another_name() -> None:
    renamed = Manifest(("bird",), items(0, "b4"), items(0, "b6"), (), "renamed")
    found = update(OLD, renamed, bird="birds")
    assert found.classes == OLD.classes
    assert found.train == items(0, "b4")
    apart = update(OLD, renamed, bird=NEW)
    assert apart.classes == ("birds", "cats", "bird")
    assert apart.train == items(2, "b4")
    assert found.fingerprint != apart.fingerprint
    with pytest.raises(DataError, match="say whether it is the same"):
        update(OLD, renamed)


def test_the_fingerprint_is_of_both_sets_whatever_is_seen_again() -> None:
    found = update(OLD, NEWER)
    assert with_earlier(found, OLD.train[:1]).fingerprint == found.fingerprint
    assert update(OLD, replace(NEWER, fingerprint="other")).fingerprint != found.fingerprint


@pytest.mark.parametrize(
    ("train", "val", "sentence"),
    [
        (items(0, "b3"), items(0, "b6"), "nothing to learn from"),
        (items(0, "b4") + items(1, "c3"), items(0, "b6") + items(1, "t3"), "to learn from"),
        (items(0, "b4") + items(1, "t1"), items(0, "b6") + items(1, "b1"), "to judge by"),
    ],
)
def test_what_is_left_without_images_is_refused(
    train: tuple[Item, ...], val: tuple[Item, ...], sentence: str
) -> None:
    classes = ("birds",) if {one.label for one in train} == {0} else ("birds", "trucks")
    with pytest.raises(DataError, match=sentence):
        update(OLD, Manifest(classes, train, val, (), "few"))


def test_it_is_kept_and_read_again(tmp_path: Path) -> None:
    file = tmp_path / "manifest.json"
    for manifest in (OLD, with_earlier(update(OLD, NEWER), OLD.train[:1])):
        file.write_text(json.dumps(manifest.to_dict()))
        assert Manifest.from_file(file) == manifest
    assert "batches" not in OLD.to_dict()


def test_a_batch_is_called_like_its_folder() -> None:
    assert batch_name("/photos/2026 March") == "2026 March"
    assert batch_name("/") == "/"
