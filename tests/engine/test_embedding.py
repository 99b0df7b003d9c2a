"""Validation images of real runs on a plane: before, after, kept, in a process of its own."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from engine.caching import ArrayCache
from engine.data.manifest import MANIFEST_FILE, Item, Manifest
from engine.errors import DataError, WeightsError
from engine.events import Kind
from engine.home import CHECKPOINT_FILE, run_folder
from engine.insight import embedding, embedding_worker
from engine.insight.compare import report
from engine.insight.embed import embed_run
from engine.insight.embedding import (
    Embedding,
    embedding_key,
    embedding_work,
    known_embedding,
    shown_places,
    start_embedding,
    why_not_embed,
)
from engine.insight.images import judged_images
from engine.insight.planes import directions, neighbours_say
from engine.models.backbone import build_backbone
from engine.runs.store import Run, Store
from engine.training.checkpoint import load_checkpoint
from engine.training.features import KIND
from engine.training.reporter import StopTrainingError
from tests.conftest import TINY_CLASSES, Recorder
from tests.engine.commands import document, refusal, thaw
from tests.engine.trained_runs import trained_runs
from tests.engine.waiting import wait_for

SETTINGS: dict[str, dict[str, Any]] = {
    "frozen": {},
    "full": {"strategy.name": "full", "optimiser.lr": 1e-3},
}


@pytest.fixture(scope="module")
def trained(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A THAW_HOME with a frozen and a full run that were really trained."""
    home = tmp_path_factory.mktemp("trained")
    with trained_runs(home, tiny_folder, SETTINGS):
        pass
    return home


@pytest.fixture
def store(trained: Path, thaw_home: Path) -> Iterator[Store]:
    """The store of a copy of the trained runs, which a test may change."""
    shutil.copytree(trained, thaw_home)
    opened = Store()
    yield opened
    opened.close()
    torch.use_deterministic_algorithms(False)


@pytest.fixture
def runs(store: Store) -> dict[str, Run]:
    return {run.name: run for run in store.all_runs()}


@pytest.fixture
def frozen(runs: dict[str, Run]) -> Run:
    return runs["frozen"]


@pytest.fixture
def full(runs: dict[str, Run]) -> Run:
    return runs["full"]


# ---- what is found


def test_a_full_run_has_moved_and_its_start_is_the_same(
    frozen: Run, full: Run, recorder: Recorder
) -> None:
    one, other = (embed_run(run, "pca", recorder) for run in (frozen, full))
    assert not one.has_moved
    assert one.after == one.before == other.before
    assert one.more_neighbours.value == 0.0
    assert other.has_moved
    assert other.after != other.before
    assert len(other.images) == other.num_val == 6
    assert {image.label for image in other.images} == set(TINY_CLASSES)


def test_features_are_those_that_the_head_gets(full: Run, recorder: Recorder) -> None:
    found = embed_run(full, "pca", recorder)
    model, _ = load_checkpoint(run_folder(full.id) / CHECKPOINT_FILE)
    kept = ArrayCache(KIND).entries()
    arrays = [ArrayCache(KIND).find(one.key) for one in kept]
    after = [
        array.array
        for array in arrays
        if array is not None and array.entry.label.endswith("validation images after training")
    ]
    assert len(after) == 1
    with torch.inference_mode():
        probabilities_NK = model.head(torch.from_numpy(np.array(after[0]))).softmax(dim=1).numpy()
    assert [one.answers[0].probability for one in found.images] == pytest.approx(
        probabilities_NK.max(axis=1).tolist()
    )
    labels_N = np.array([TINY_CLASSES.index(one.label) for one in found.images])
    said_N = neighbours_say(directions(np.array(after[0])), labels_N)
    assert found.after.is_among_own == tuple((said_N == labels_N).tolist())
    assert found.after.neighbours.value == pytest.approx((said_N == labels_N).mean())


def test_its_answers_are_the_run_s_own(store: Store, full: Run, recorder: Recorder) -> None:
    found = embed_run(full, "pca", recorder)
    judged = judged_images([report(store, full)])
    for image, own in zip(found.images, judged, strict=True):
        assert (image.path, image.label) == (own.path, own.label)
        assert image.answers[0].named == own.answers[0].named
        assert image.answers[0].probability == pytest.approx(own.answers[0].probability, abs=1e-4)


def test_before_is_the_backbone_as_published(full: Run, recorder: Recorder) -> None:
    found = embed_run(full, "pca", recorder)
    assert found.started_from == full.summary["weights"]
    published = build_backbone(full.spec.model.backbone, 64)
    assert found.started_from == published.origin.sentence


def test_another_method_looks_at_no_image_again(full: Run, recorder: Recorder) -> None:
    embed_run(full, "pca", recorder)
    seen = len(recorder.of_kind("progress"))
    other = embed_run(full, "tsne", recorder)
    tasks = {str(event.values["task"]) for event in recorder.of_kind("progress")[seen:]}
    assert tasks == {"drawing maps"}
    assert len(other.before.shares) == 1
    assert other.before.neighbours == embed_run(full, "pca", recorder).before.neighbours


def test_what_was_found_is_kept(full: Run, recorder: Recorder) -> None:
    assert known_embedding(full, "pca") is None
    found = embed_run(full, "pca", recorder)
    num_told = len(recorder.events)
    assert embed_run(full, "pca", recorder) == found == known_embedding(full, "pca")
    assert len(recorder.events) == num_told
    assert known_embedding(full, "tsne") is None
    assert Embedding.from_dict(json.loads(json.dumps(found.to_dict()))) == found


def test_a_repeat_gives_the_same_coordinates(full: Run, recorder: Recorder) -> None:
    first = embed_run(full, "tsne", recorder)
    shutil.rmtree(embedding.cache_folder(embedding.KIND))
    shutil.rmtree(embedding.cache_folder(KIND))
    again = embed_run(full, "tsne", recorder)
    assert (again.before, again.after) == (first.before, first.after)


def test_another_checkpoint_or_other_data_are_another_embedding(full: Run) -> None:
    keys = {embedding_key(full, "pca"), embedding_key(full, "tsne")}
    keys.add(embedding_key(replace(full, summary=full.summary | {"fingerprint": "other"}), "pca"))
    (run_folder(full.id) / CHECKPOINT_FILE).write_bytes(b"another")
    keys.add(embedding_key(full, "pca"))
    assert len(keys) == 4


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"images": 3}'])
def test_what_is_damaged_is_found_anew(full: Run, recorder: Recorder, text: str) -> None:
    found = embed_run(full, "pca", recorder)
    [file] = embedding.cache_folder(embedding.KIND).glob("*.plane.json")
    file.write_text(text)
    assert known_embedding(full, "pca") is None
    assert embed_run(full, "pca", recorder).after == found.after


# ---- which images


def items(num: int) -> list[Item]:
    return [Item(f"/photos/{place}.jpg", place % 3, f"d{place}") for place in range(num)]


def test_copies_are_shown_once_and_too_many_are_drawn_from() -> None:
    some = items(40)
    assert shown_places(some) == list(range(40))
    assert shown_places([*some, some[3], some[7]]) == list(range(40))
    drawn = shown_places(some, most=10)
    assert len(drawn) == 10
    assert drawn == sorted(drawn) != list(range(10))
    # Images that are drawn from fewer are drawn from more, or give way to those that came.
    backwards = shown_places(some[::-1], most=10)
    assert {some[::-1][place].digest for place in backwards} == {
        some[place].digest for place in drawn
    }
    assert shown_places([Item("/a.jpg", 0), Item("/b.jpg", 0), Item("/a.jpg", 0)]) == [0, 1]


def test_manifests_of_old_runs_without_digests_do(full: Run, recorder: Recorder) -> None:
    expected = embed_run(full, "pca", recorder)
    manifest = Manifest.from_file(run_folder(full.id) / MANIFEST_FILE)
    old = replace(manifest, val=tuple(replace(item, digest="") for item in manifest.val))
    (run_folder(full.id) / MANIFEST_FILE).write_text(json.dumps(old.to_dict()))
    shutil.rmtree(embedding.cache_folder(embedding.KIND))
    found = embed_run(full, "pca", recorder)
    assert (found.images, found.after) == (expected.images, expected.after)


# ---- what cannot be done


def test_a_picture_that_is_gone_is_named(full: Run, recorder: Recorder, tmp_path: Path) -> None:
    manifest = Manifest.from_file(run_folder(full.id) / MANIFEST_FILE)
    gone = replace(manifest.val[0], path=str(tmp_path / "gone.jpg"))
    other = replace(manifest, val=(gone, *manifest.val[1:]))
    (run_folder(full.id) / MANIFEST_FILE).write_text(json.dumps(other.to_dict()))
    with pytest.raises(
        DataError, match=r"read: .*gone\.jpg: not there; put it back as it was, and try"
    ):
        embed_run(full, "pca", recorder)


def test_too_few_images_are_a_sentence(full: Run, recorder: Recorder) -> None:
    manifest = Manifest.from_file(run_folder(full.id) / MANIFEST_FILE)
    few = replace(manifest, val=manifest.val[:3])
    (run_folder(full.id) / MANIFEST_FILE).write_text(json.dumps(few.to_dict()))
    with pytest.raises(
        DataError, match="has 3 different validation images; a map takes at least 4"
    ):
        embed_run(full, "pca", recorder)


def test_a_run_without_a_model_is_refused(full: Run, recorder: Recorder) -> None:
    assert why_not_embed(full) == ""
    (run_folder(full.id) / CHECKPOINT_FILE).unlink()
    assert "has kept no model" in why_not_embed(full)
    with pytest.raises(WeightsError, match="has kept no model"):
        embed_run(full, "pca", recorder)


def test_a_run_that_goes_on_is_refused(store: Store, full: Run) -> None:
    [waiting] = store.add_runs([("waiting", full.spec)])
    with pytest.raises(WeightsError, match=r"waiting .* is queued; wait"):
        embedding_key(waiting, "pca")


class Stopped(Recorder):
    """Is asked to stop at once."""

    def should_stop(self) -> bool:
        return True


def test_it_stops_when_asked_to(full: Run) -> None:
    kind: Kind = "progress"
    with pytest.raises(StopTrainingError):
        embed_run(full, "pca", Stopped((kind, 1)))
    assert known_embedding(full, "pca") is None


# ---- in a process of its own, and on the command line


def test_runs_are_laid_out_in_a_process_of_its_own(frozen: Run, full: Run) -> None:
    start_embedding([frozen, full], "pca")
    work = embedding_work([full, frozen], "pca")
    state = work.state()
    assert state is not None
    ended = wait_for(
        lambda: None if (now := work.state()) is None or now.is_working else now, 250, "maps"
    )
    assert ended.status == "finished", ended.reason
    for run in (frozen, full):
        found = known_embedding(run, "pca")
        assert found is not None
        # What is kept is what the command shows, without looking again.
        [shown] = document(thaw("embed", run.id, "--json"))
        assert shown["after"] == json.loads(json.dumps(found.to_dict()))["after"]
        assert shown["strategy"] == run.spec.strategy.name


def test_a_failure_of_the_process_is_a_sentence(full: Run, tmp_path: Path) -> None:
    manifest = Manifest.from_file(run_folder(full.id) / MANIFEST_FILE)
    gone = replace(manifest.val[0], path=str(tmp_path / "gone.jpg"))
    other = replace(manifest, val=(gone, *manifest.val[1:]))
    (run_folder(full.id) / MANIFEST_FILE).write_text(json.dumps(other.to_dict()))
    work = embedding_work([full], "pca")
    work.order_file.write_text(json.dumps({"runs": [full.id], "method": "pca"}))
    key = work.state_file.stem
    assert embedding_worker.main(key) == 0
    state = work.state()
    assert state is not None
    assert state.status == "failed"
    assert "gone.jpg" in state.reason


def test_the_command_prints_numbers_with_intervals(full: Run) -> None:
    printed = thaw("embed", full.id).stdout
    assert f"full ({full.id}), before" in printed
    assert "among their own class" in printed
    assert "6 of 6 validation images." in printed
    assert known_embedding(full, "pca") is not None


def test_what_the_command_cannot_do_is_a_sentence(full: Run) -> None:
    assert "'umap'; it is one of pca, tsne" in refusal(thaw("embed", full.id, "--method", "umap"))
    assert "There is no run 'no-run'" in refusal(thaw("embed", "no-run"))
