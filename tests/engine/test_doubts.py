"""Wrong labels and outliers: what is found where they were planted, and where they were not."""

import json
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_sample_images

from engine.data.findings import proposals
from engine.errors import SpecError, WeightsError
from engine.spec import DataSpec
from engine.training.disagreement import LEAST_IN_CLASS, NUM_FOLDS, NUM_ROUNDS
from engine.training.doubts import find_doubts, frozen_spec
from engine.training.doubts_record import Doubts, doubt_findings
from engine.training.reporter import StopTrainingError
from engine.training.setting_up import set_up
from tests.conftest import CLIPART, Recorder

BACKBONE = "efficientnet_lite0"


@pytest.fixture(scope="module", autouse=True)
def _restored_torch() -> Iterator[None]:
    yield
    torch.use_deterministic_algorithms(False)


def judged(folder: Path) -> Doubts:
    return find_doubts(DataSpec(folder=str(folder)), BACKBONE, Recorder())


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Doubts]:
    """A THAW_HOME that knows the features of all the clip art, and the doubts about it."""
    home = tmp_path_factory.mktemp("warm")
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("THAW_HOME", str(home))
        return home, judged(CLIPART)


@pytest.fixture
def warm(clean: tuple[Path, Doubts], monkeypatch: pytest.MonkeyPatch) -> Doubts:
    """The doubts about the clip art; pictures with the same contents have known features now.

    How they are sorted into classes and called makes no difference.
    """
    monkeypatch.setenv("THAW_HOME", str(clean[0]))
    return clean[1]


def drawings(classes: Iterable[str] | None = None) -> list[tuple[Path, str]]:
    """The pictures of the clip art, and their classes."""
    chosen = None if classes is None else set(classes)
    return [
        (path, path.parent.name)
        for path in sorted(CLIPART.glob("*/*/*"))
        if chosen is None or path.parent.name in chosen
    ]


def own_name(path: Path) -> str:
    """A name that no other picture of the clip art has, wherever it lies."""
    return "-".join(path.parts[-3:])


def sorted_into(folder: Path, pictures: Iterable[tuple[Path, str]]) -> Path:
    """Copies pictures into folders of their classes."""
    for path, name in pictures:
        (folder / name).mkdir(parents=True, exist_ok=True)
        shutil.copy(path, folder / name / own_name(path))
    return folder


def mislabelled(
    pictures: list[tuple[Path, str]], count: int, seed: int
) -> tuple[list[tuple[Path, str]], dict[str, str]]:
    """The pictures with some labels made wrong, and the right ones of those by file name."""
    generator = np.random.default_rng(seed)
    classes = sorted({name for _, name in pictures})
    wrong = list(pictures)
    right = {}
    for place in generator.choice(len(pictures), count, replace=False):
        path, name = pictures[place]
        others = [one for one in classes if one != name]
        wrong[place] = path, str(generator.choice(others))
        right[own_name(path)] = name
    return wrong, right


# ---- real pictures


def test_clean_drawings_raise_few_doubts(warm: Doubts) -> None:
    assert (warm.backbone, warm.num_pictures, warm.num_judged) == (BACKBONE, 386, 386)
    assert warm.small_classes == ()
    assert 0.65 < (warm.accuracy or 0.0) < 0.8
    assert len(warm.wrong_labels) <= 4
    assert len(warm.outliers) <= 4


def test_the_drawing_that_really_is_in_the_wrong_class_comes_first(warm: Doubts) -> None:
    # A butterfly on large flowers, among the birds.
    first = warm.wrong_labels[0]
    assert Path(first.picture.path).name == "mirjam_meijer_mirjam_mei_01.jpg"
    assert (first.picture.label, first.picture.suggestion) == ("birds", "flowers")
    assert first.picture.split == "train"
    assert first.given < 0.03 < 0.7 < first.suggested


def planted_and_found(
    folder: Path, pictures: list[tuple[Path, str]], count: int
) -> tuple[float, float, float]:
    """Precision and recall over three plantings, and how many suggestions are the right class."""
    called = planted = found = well_suggested = 0
    for seed in range(3):
        wrong, right = mislabelled(pictures, count, seed)
        doubts = judged(sorted_into(folder / str(seed), wrong))
        assert doubts.num_judged == len(pictures)
        given = [one.given for one in doubts.wrong_labels]
        assert given == sorted(given)
        names = {Path(one.picture.path).name: one.picture.suggestion for one in doubts.wrong_labels}
        called += len(names)
        planted += len(right)
        found += len(names.keys() & right.keys())
        well_suggested += sum(right.get(name) == suggested for name, suggested in names.items())
    return found / called, found / planted, well_suggested / found


@pytest.mark.usefixtures("warm")
def test_wrong_labels_among_classes_that_are_hard_to_tell_apart(tmp_path: Path) -> None:
    precision, recall, well_suggested = planted_and_found(tmp_path, drawings(), 19)
    assert precision >= 0.6
    assert recall >= 0.15
    assert well_suggested >= 0.7


def test_wrong_labels_among_classes_that_are_told_apart(tmp_path: Path) -> None:
    pictures = drawings(["flowers", "vehicles"])
    precision, recall, well_suggested = planted_and_found(tmp_path, pictures, 6)
    assert precision >= 0.85
    assert recall >= 0.4
    assert well_suggested == 1.0


def test_foreign_pictures_stand_apart(tmp_path: Path) -> None:
    chosen = [one for name in ("birds", "flowers", "fruit") for one in drawings([name])[:20]]
    folder = sorted_into(tmp_path / "own", chosen)
    assert judged(folder).outliers == ()
    Image.fromarray(load_sample_images().images[0]).save(folder / "birds" / "photo.png")
    noise = np.random.default_rng(0).integers(0, 256, (200, 200, 3), dtype=np.uint8)
    Image.fromarray(noise).save(folder / "fruit" / "noise.png")
    doubts = judged(folder)
    assert {Path(one.picture.path).name for one in doubts.outliers} == {"photo.png", "noise.png"}
    scores = [one.score for one in doubts.outliers]
    assert scores == sorted(scores, reverse=True)


def test_the_same_pictures_give_the_same_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = [one for name in ("flowers", "vehicles") for one in drawings([name])[:12]]
    folder = sorted_into(tmp_path / "own", chosen)
    first = judged(folder)
    assert first.accuracy
    again = judged(folder)
    monkeypatch.setenv("THAW_HOME", str(tmp_path / "other-home"))
    anew = judged(folder)
    assert replace(first, seconds=0.0) == replace(again, seconds=0.0)
    assert replace(first, seconds=0.0) == replace(anew, seconds=0.0)


# ---- the features


def found_features(recorder: Recorder) -> list[bool]:
    told = (event.values for event in recorder.of_kind("progress"))
    return [bool(one["features_found"]) for one in told if one.get("task") == "features"]


def test_features_are_those_of_a_frozen_run(own_folder: Path, tmp_path: Path) -> None:
    data = DataSpec(folder=str(own_folder))
    looks = [Recorder(), Recorder()]
    for recorder in looks:
        find_doubts(data, BACKBONE, recorder)
    assert [found_features(one) for one in looks] == [[False], [True]]
    run = Recorder()
    spec = frozen_spec(data, BACKBONE)
    assert spec.model_dump(exclude={"data"}) == type(spec)(data=data).model_dump(exclude={"data"})
    other_split = spec.model_copy(update={"data": data.model_copy(update={"split_seed": 3})})
    set_up(other_split, tmp_path, run, 0.0)
    assert found_features(run) == [True]


def test_a_backbone_is_used_at_its_own_size(tiny_folder: Path) -> None:
    spec = frozen_spec(DataSpec(folder=str(tiny_folder)), "inception_v3")
    assert spec.images.size == 299


def test_it_tells_how_far_it_is_and_can_be_stopped(own_folder: Path) -> None:
    data = DataSpec(folder=str(own_folder))
    recorder = Recorder()
    find_doubts(data, BACKBONE, recorder)
    told = [event.values for event in recorder.of_kind("progress") if "done" in event.values]
    assert {"computing features", "comparing labels"} <= {one["task"] for one in told}
    assert (told[-1]["done"], told[-1]["total"]) == (NUM_FOLDS * NUM_ROUNDS,) * 2
    with pytest.raises(StopTrainingError):
        find_doubts(data, BACKBONE, Recorder(stop_at=("progress", 3)))


def test_what_cannot_be_judged_by_is_a_sentence(
    own_folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    data = DataSpec(folder=str(own_folder))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "no-weights"))
    monkeypatch.setattr("torch.hub.download_url_to_file", no_network)
    with pytest.raises(WeightsError, match="resnet18"):
        find_doubts(data, "resnet18", Recorder())
    with pytest.raises(SpecError, match="backbone"):
        find_doubts(data, "no_such_network", Recorder())


def no_network(*_: object, **__: object) -> None:
    raise OSError("there is no network")


# ---- classes that are too small


def test_small_classes_are_counted_and_left_out(own_folder: Path) -> None:
    pictures = sorted((own_folder / "vehicles").iterdir())
    for path in pictures[LEAST_IN_CLASS - 1 :]:
        path.unlink()
    # A copy makes no class larger.
    shutil.copy(pictures[0], pictures[0].with_name("copy.jpg"))
    doubts = judged(own_folder)
    assert doubts.small_classes == ("vehicles",)
    assert (doubts.num_pictures, doubts.num_judged) == (24, 16)
    assert all(one.picture.suggestion != "vehicles" for one in doubts.wrong_labels)


def test_one_large_class_is_not_judged_alone(own_folder: Path) -> None:
    for name in ("birds", "vehicles"):
        for path in sorted((own_folder / name).iterdir())[3:]:
            path.unlink()
    doubts = judged(own_folder)
    assert doubts.small_classes == ("birds", "vehicles")
    assert (doubts.num_pictures, doubts.num_judged, doubts.accuracy) == (14, 0, None)
    assert (doubts.wrong_labels, doubts.outliers) == ((), ())


# ---- the record


def test_the_record_survives_json(warm: Doubts) -> None:
    assert Doubts.from_dict(json.loads(json.dumps(warm.to_dict()))) == warm
    values = warm.to_dict()
    del values["outliers"]
    with pytest.raises(KeyError):
        Doubts.from_dict(values)


def test_doubts_are_findings_with_remedies(warm: Doubts) -> None:
    wrong, odd = doubt_findings(warm)
    assert (wrong.kind, wrong.severity) == ("mislabelled", "doubt")
    assert (odd.kind, odd.severity) == ("outlier", "note")
    assert len(wrong.groups) == len(warm.wrong_labels)
    assert [group[0] for group in odd.groups] == [one.picture for one in warm.outliers]
    offered = [one.text for one in proposals(wrong, wrong.groups[0], CLIPART)]
    assert offered == ["It is 'flowers'", "Leave out", "Keep as it is"]
    assert doubt_findings(replace(warm, wrong_labels=(), outliers=())) == ()


def test_what_a_person_said_is_right_is_no_doubt(warm: Doubts) -> None:
    first, odd = warm.wrong_labels[0].picture.path, warm.outliers[0].picture.path
    left = warm.without({("mislabelled", first), ("outlier", odd), ("outlier", first)})
    assert left.wrong_labels == warm.wrong_labels[1:]
    assert left.outliers == warm.outliers[1:]
    assert warm.without(set()) == warm


@pytest.mark.parametrize(("count", "begins"), [(1, "1 picture looks like"), (2, "2 pictures look")])
def test_sentences_agree_in_number(warm: Doubts, count: int, begins: str) -> None:
    several = replace(
        warm, wrong_labels=warm.wrong_labels[:1] * count, outliers=warm.outliers[:1] * count
    )
    wrong, odd = doubt_findings(several)
    assert wrong.sentence.startswith(begins)
    assert odd.sentence.startswith(f"{count} picture{' is' if count == 1 else 's are'} like no")
