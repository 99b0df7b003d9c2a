"""Whatever a run leaves and is read again: cut at any byte, it is refused or taken for missing.

A result that is wrong, or a traceback, would be worse than none.
"""

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from engine.caching import ArrayCache, cache_limit, key_digest, set_cache_limit
from engine.caching.disk import ABOUT_FILE, ARRAY_FILE
from engine.caching.limits import LIMIT_FILE
from engine.cli.settings import build_spec
from engine.data.check import check_pictures
from engine.data.fetching import ORIGIN_FILE, fetched_before
from engine.data.manifest import MANIFEST_FILE, Item, Manifest
from engine.data.remedies import Remedy, current_remedies, load_remedies, record_remedies
from engine.data.twins import alike_pairs
from engine.errors import ThawError
from engine.home import CHECKPOINT_FILE, WEIGHTS_FILE, cache_folder, run_folder, thaw_home
from engine.insight.blends import SoupMember, SoupReport, soup_file, soup_of, why_not_average
from engine.models.classifier import build_classifier
from engine.models.weights_files import checkpoint_facts
from engine.runs.background import Work, WorkState
from engine.runs.store import Store
from engine.runs.worker import SPEC_FILE
from engine.spec import ModelSpec, RunSpec
from engine.training.checkpoint import BestCheckpoint, CheckpointHeader, load_checkpoint
from engine.training.curves import CURVE_FILE, InterpolationCurve, read_curve, save_curve
from engine.training.predictions import FILE_NAME, Predictions
from engine.training.speeds import FORWARD, Speed, known_speeds, record_speed
from engine.training.state import State, StateKeeper, newest_state
from tests.engine.specs import tiny_spec

# Every byte of what is not larger, and of the beginning of what is; of the rest so many places.
HEADER = 3000
SAMPLE = 60

GIB = 2**30


class Refused:
    """What a reader gives that says in a sentence what is wrong."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Refused)

    def __hash__(self) -> int:
        return 0


REFUSED = Refused()


@dataclass(frozen=True)
class Record:
    """A file, what reads it, and what that gives of the whole and of any part."""

    file: Path
    read: Callable[[], Any]
    whole: Any
    torn: Any = REFUSED


def state(folder: Path, _: Path) -> Record:
    keeper = StateKeeper(folder)
    for epoch in (1, 2):
        tensors = {"model/head": torch.full((3, 2), float(epoch)), "model/n": torch.tensor(epoch)}
        keeper.write(State(epoch, tensors, {"best_epoch": epoch, "moved": ["stem"]}))

    def read() -> tuple[int, int]:
        found, _damaged = newest_state(folder)
        assert found is not None
        assert all("\n" not in sentence for sentence in _damaged)
        return found.epoch, int(found.tensors["model/n"])

    return Record(folder / "state-000002.safetensors", read, (2, 2), (1, 1))


def only_state(folder: Path, _: Path) -> Record:
    StateKeeper(folder).write(State(1, {"model/head": torch.ones(3)}, {}))

    def read() -> tuple[bool, int]:
        found, damaged = newest_state(folder)
        return found is not None, len(damaged)

    return Record(folder / "state-000001.safetensors", read, (True, 0), (False, 1))


def _checkpoint(folder: Path) -> Path:
    spec = tiny_spec("photos", {"model.weights": "random"})
    file = folder / CHECKPOINT_FILE
    checkpoint = BestCheckpoint(file, build_classifier(spec.model, 2, 0, 64))
    checkpoint.take(
        CheckpointHeader(spec.model_dump(mode="json"), ("a", "b"), 3, 0.5, (0.5,) * 3, (0.2,) * 3),
        moved=(),
    )
    checkpoint.write()
    return file


def checkpoint(folder: Path, _: Path) -> Record:
    file = _checkpoint(folder)
    return Record(file, lambda: load_checkpoint(file)[1].epoch, 3)


def checkpoint_facts_of(folder: Path, _: Path) -> Record:
    file = _checkpoint(folder)

    def read() -> str | None:
        facts = checkpoint_facts(str(file))
        return None if facts is None else facts.backbone

    return Record(file, read, ModelSpec().backbone, None)


def manifest(folder: Path, _: Path) -> Record:
    kept = Manifest(("ä", "b"), (Item("x.png", 0, "12"),), (Item("ö.png", 1),), (), "ab", ("note",))
    file = folder / MANIFEST_FILE
    file.write_text(json.dumps(kept.to_dict(), indent=1), encoding="utf-8")
    return Record(file, lambda: Manifest.from_file(file), kept)


def predictions(folder: Path, _: Path) -> Record:
    probabilities = np.array([[0.25, 0.75], [0.5, 0.5]], dtype=np.float32)
    Predictions(np.array([1, 0]), probabilities, 4).save(folder)

    def read() -> tuple[int, float] | None:
        found = Predictions.load(folder)
        return None if found is None else (found.epoch, float(found.probabilities_NK.sum()))

    return Record(folder / FILE_NAME, read, (4, 2.0), None)


def curve(folder: Path, _: Path) -> Record:
    save_curve(folder, [(0.0, 0.5), (1.0, 0.75)], 0.5)
    whole = InterpolationCurve(((0.0, 0.5), (1.0, 0.75)), 0.5)
    return Record(folder / CURVE_FILE, lambda: read_curve(folder), whole, None)


def spec_file(folder: Path, _: Path) -> Record:
    spec = tiny_spec("photos")
    file = folder / SPEC_FILE
    file.write_text(spec.model_dump_json(indent=1), encoding="utf-8")
    return Record(file, lambda: build_spec(file, {}), spec)


def spec_text(folder: Path, _: Path) -> Record:
    spec = tiny_spec("photos")
    file = folder / SPEC_FILE
    file.write_text(spec.model_dump_json(indent=1), encoding="utf-8")
    return Record(file, lambda: RunSpec.parse(file.read_text(encoding="utf-8")), spec)


def start_weights(folder: Path, _: Path) -> Record:
    store = Store()
    runs = store.add_runs([(name, tiny_spec("photos")) for name in ("one", "other")])
    kept = Manifest(("a",), (Item("x.png", 0),), (Item("y.png", 0),), (), "ab")
    for run in runs:
        store.set_status(run.id, "finished")
        run_folder(run.id).mkdir(parents=True)
        (run_folder(run.id) / CHECKPOINT_FILE).touch()
        (run_folder(run.id) / MANIFEST_FILE).write_text(json.dumps(kept.to_dict()))
        (run_folder(run.id) / WEIGHTS_FILE).write_text(json.dumps({"sentence": "ImageNet"}))
    ended = [store.run(run.id) for run in runs]
    file = run_folder(ended[0].id) / WEIGHTS_FILE
    return Record(file, lambda: len(why_not_average(ended)), 0, 1)


def soup(folder: Path, _: Path) -> Record:
    members = (SoupMember("one", "One", 0.5, 0.5), SoupMember("other", "Other", 0.5, 0.5))
    weights = soup_file(["one", "other"])
    weights.touch()
    report = SoupReport(0.5, 0.5, 8, 1.0, 2.0, str(weights), "12", members)
    report.save()
    return Record(weights.with_suffix(".json"), lambda: soup_of(["one", "other"]), report, None)


def _cached() -> tuple[Path, Callable[[], Any]]:
    cache, key = ArrayCache("features"), {"contents": "abc"}

    def fill(array: np.ndarray) -> None:
        array[:] = np.arange(6).reshape(2, 3)

    def read() -> list[list[float]]:
        found = cache.get(key, "label", (2, 3), "float32", fill)
        return [found.was_there, found.array.tolist()]

    read()
    return cache.folder / key_digest(key), read


# What is damaged there is computed anew.
VALUES = [[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]]


def cached_array(folder: Path, _: Path) -> Record:
    place, read = _cached()
    return Record(place / ARRAY_FILE, read, [True, VALUES], [False, VALUES])


def cached_about(folder: Path, _: Path) -> Record:
    place, read = _cached()
    return Record(place / ABOUT_FILE, read, [True, VALUES], [False, VALUES])


def limit(folder: Path, _: Path) -> Record:
    set_cache_limit(20)
    file = cache_folder("features").parent / LIMIT_FILE
    # Without a limit, that is a share of what is free.
    free = cache_limit
    return Record(file, lambda: 20 * GIB if free() == 20 * GIB else free() > 0, 20 * GIB, True)


def speeds(folder: Path, _: Path) -> Record:
    record_speed("timm/one", FORWARD, Speed(120.5, 224))
    file = cache_folder("speeds") / "speeds.json"
    return Record(file, known_speeds, {"timm/one/forward": Speed(120.5, 224)}, {})


def remedies(folder: Path, _: Path) -> Record:
    kept = (Remedy("x.png", "12", "exclude"), Remedy("y.png", "34", "exclude"))
    name = record_remedies(folder, kept)
    return Record(thaw_home() / "remedies" / f"{name}.json", lambda: load_remedies(name), kept)


def present_remedies(folder: Path, _: Path) -> Record:
    name = record_remedies(folder, [Remedy("x.png", "12", "exclude")])
    [file] = (thaw_home() / "remedies").glob("of-*.json")
    return Record(file, lambda: current_remedies(folder), name)


def work(folder: Path, _: Path) -> Record:
    one = Work("lr-finder", "abc", "Trying rates")
    one.keep(WorkState("finished", "", result={"tests": []}))

    def read() -> str | None:
        found = one.state()
        return None if found is None else found.status

    return Record(one.state_file, read, "finished", None)


def fetched(folder: Path, _: Path) -> Record:
    place = thaw_home() / "datasets" / "mnist"
    place.mkdir(parents=True)
    file = place / ORIGIN_FILE
    file.write_text(json.dumps({"name": "mnist", "num_pictures": 12, "notes": ["a note"]}))

    def read() -> int | None:
        found = fetched_before("mnist")
        return None if found is None else found.num_pictures

    return Record(file, read, 12, None)


def checks(folder: Path, pictures: Path) -> Record:
    files = sorted((pictures / "birds").iterdir())[:1]
    whole = check_pictures(pictures, files)
    [file] = cache_folder("checks").iterdir()
    return Record(file, lambda: check_pictures(pictures, files), whole, whole)


def twins(folder: Path, pictures: Path) -> Record:
    files = sorted((pictures / "birds").iterdir())[:2]
    verdicts = list(check_pictures(pictures, files).values())
    # As if two that differ were alike, so that it is seen which ones were read.
    alike_pairs(files, verdicts)
    [file] = cache_folder("twins").iterdir()
    file.write_text("[[0, 1]]")
    order = sorted(range(2), key=lambda index: verdicts[index].digest)
    pair = (order[0], order[1])
    return Record(file, lambda: [tuple(one) for one in alike_pairs(files, verdicts)], [pair], [])


RECORDS = [
    state,
    only_state,
    checkpoint,
    checkpoint_facts_of,
    manifest,
    predictions,
    curve,
    spec_file,
    spec_text,
    start_weights,
    soup,
    cached_array,
    cached_about,
    limit,
    speeds,
    remedies,
    present_remedies,
    work,
    fetched,
    checks,
    twins,
]


def places(size: int) -> Iterator[int]:
    yield from range(min(size, HEADER))
    yield from range(HEADER, size, max(1, (size - HEADER) // SAMPLE))
    if size > HEADER:
        yield from range(size - 20, size)


def cut(file: Path, content: bytes, end: int) -> None:
    if end > HEADER:
        # What reads these does not write them anew.
        os.truncate(file, end)
        return
    # A reader may have removed it.
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(content[:end])


def outcome(record: Record) -> Any:
    try:
        return record.read()
    except ThawError as error:
        sentence = str(error)
    assert sentence
    assert "\n" not in sentence
    return REFUSED


@pytest.mark.parametrize("make", RECORDS, ids=lambda make: make.__name__)
def test_a_file_that_ends_anywhere_is_never_taken_for_a_whole_one(
    make: Callable[[Path, Path], Record], tmp_path: Path, tiny_folder: Path
) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    record = make(folder, tiny_folder)
    assert outcome(record) == record.whole
    content = record.file.read_bytes()
    tried = 0
    for end in sorted(set(places(len(content))), reverse=True):
        cut(record.file, content, end)
        assert outcome(record) == record.torn, f"cut at {end} of {len(content)} bytes"
        tried += 1
    assert tried >= min(len(content), HEADER)
    record.file.write_bytes(content)
    assert outcome(record) == record.whole
