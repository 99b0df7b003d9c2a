"""Instant heads: the numbers of an ordinary run, at once, and only the newest question counts."""

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.errors import SpecError
from engine.runs.instant import Answer, InstantHelper
from engine.runs.instant_worker import METRICS, Desk
from engine.spec import RunSpec
from engine.training.instant import HeadBench, base_key
from engine.training.reporter import StopTrainingError
from engine.training.trainer import train
from tests.conftest import Recorder
from tests.engine.specs import tiny_spec

HEADS: list[dict[str, Any]] = [
    {},
    {"optimiser.lr": 0.02, "training.epochs": 5},
    {"model.head": "mlp", "model.hidden_units": 32, "model.dropout": 0.4},
    {"training.label_smoothing": 0.2, "optimiser.weight_decay": 0.1, "training.batch_size": 4},
    {"seed": 4, "optimiser.name": "sgd", "optimiser.schedule": "one_cycle"},
    {"training.ema_decay": 0.9, "training.class_balance": "sampling"},
]


@pytest.fixture
def helper() -> Iterator[InstantHelper]:
    one = InstantHelper()
    yield one
    one.close()


def answered(helper: InstantHelper, who: str = "me", seconds: float = 60) -> Answer:
    answer = helper.wait(who, seconds)
    assert answer is not None
    return answer


def told(recorder: Recorder) -> list[list[Any]]:
    return [[event.values[name] for name in METRICS] for event in recorder.of_kind("epoch")]


# ---- the same as a run


def test_heads_one_after_the_other_have_the_numbers_of_ordinary_runs(
    tiny_folder: Path, tmp_path: Path
) -> None:
    with HeadBench() as bench:
        for number, settings in enumerate([*HEADS, HEADS[0]]):
            spec = tiny_spec(tiny_folder, settings)
            instant, ordinary = Recorder(), Recorder()
            head = bench.train(spec, instant)
            folder = tmp_path / str(number)
            folder.mkdir()
            outcome = train(spec, folder, ordinary)
            assert told(instant) == told(ordinary), settings
            assert head.best_val_accuracy == outcome.best_val_accuracy
            assert head.best_epoch == outcome.best_epoch
            assert sum(map(sum, head.confusion_KK)) == head.num_val
            right = sum(row[place] for place, row in enumerate(head.confusion_KK))
            assert right / head.num_val == pytest.approx(head.best_val_accuracy)


def test_other_pictures_or_sizes_are_taken_up(tiny_folder: Path, own_folder: Path) -> None:
    with HeadBench() as bench:
        first = bench.train(tiny_spec(tiny_folder), Recorder())
        other = bench.train(tiny_spec(own_folder, {"images.size": 96}), Recorder())
        assert other.num_train == first.num_train
        file = next(iter((own_folder / "birds").iterdir()))
        file.unlink()
        fewer = bench.train(tiny_spec(own_folder, {"images.size": 96}), Recorder())
        assert fewer.num_train + fewer.num_val == first.num_train + first.num_val - 1


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"strategy.name": "full"}, "only a frozen head is instant"),
        ({"images.augmentation": "flip"}, "Features differ from epoch to epoch"),
    ],
)
def test_what_is_not_instant_is_refused(
    tiny_folder: Path, settings: dict[str, Any], sentence: str
) -> None:
    with HeadBench() as bench, pytest.raises(SpecError, match=sentence):
        bench.train(tiny_spec(tiny_folder, settings), Recorder())


def test_a_head_can_be_stopped_and_the_next_is_right(tiny_folder: Path, tmp_path: Path) -> None:
    spec = tiny_spec(tiny_folder, {"training.epochs": 6})
    with HeadBench() as bench:
        bench.train(spec, Recorder())
        with pytest.raises(StopTrainingError):
            bench.train(spec, Recorder(stop_at=("epoch", 2)))
        again, ordinary = Recorder(), Recorder()
        bench.train(spec, again)
        train(spec, tmp_path, ordinary)
        assert told(again) == told(ordinary)


def test_the_bench_leaves_no_files(tiny_folder: Path) -> None:
    with HeadBench() as bench:
        bench.train(tiny_spec(tiny_folder), Recorder())
        folder = bench._folder
        assert folder.is_dir()
    assert not folder.exists()


def test_settings_of_the_head_keep_the_base_and_those_of_features_do_not() -> None:
    base = base_key(tiny_spec("photos"))
    for settings in HEADS:
        assert base_key(tiny_spec("photos", settings)) == base
    for path, value in (
        ("images.size", 96),
        ("images.fit", "pad"),
        ("model.weights", "random"),
        ("data.val_fraction", 0.4),
        ("training.feature_precision", "half"),
    ):
        assert base_key(tiny_spec("photos", {path: value})) != base


# ---- the process


def test_the_helper_answers_and_goes_on_answering(
    helper: InstantHelper, tiny_folder: Path, tmp_path: Path
) -> None:
    spec = tiny_spec(tiny_folder)
    helper.ask("me", spec)
    answer = answered(helper)
    assert (answer.state, answer.reason) == ("done", "")
    ordinary = Recorder()
    train(spec, tmp_path, ordinary)
    assert [[epoch[name] for name in METRICS] for epoch in answer.epochs] == told(ordinary)
    assert answer.features["features_images"] == 24
    assert helper.ask("me", spec) is answer
    helper.ask("me", tiny_spec(tiny_folder, {"optimiser.lr": 0.1}))
    other = answered(helper)
    assert other.number > answer.number
    assert other.epochs[0]["lr"] == pytest.approx(0.1, rel=0.2)
    assert other.features["features_found"]


def test_a_newer_question_takes_the_older_back(helper: InstantHelper, tiny_folder: Path) -> None:
    helper.ask("me", tiny_spec(tiny_folder, {"training.epochs": 1000}))
    assert answered(helper, seconds=0.01).is_open
    helper.ask("me", tiny_spec(tiny_folder, {"training.epochs": 3}))
    answer = answered(helper)
    assert len(answer.epochs) == 3


def test_two_who_ask_get_an_answer_each(helper: InstantHelper, tiny_folder: Path) -> None:
    for who, epochs in (("one", 2), ("other", 4)):
        helper.ask(who, tiny_spec(tiny_folder, {"training.epochs": epochs}))
    assert [len(answered(helper, who).epochs) for who in ("one", "other")] == [2, 4]


def test_a_fault_is_one_sentence_and_the_process_lives_on(
    helper: InstantHelper, tiny_folder: Path, tmp_path: Path
) -> None:
    helper.ask("me", tiny_spec(tmp_path / "gone"))
    answer = answered(helper)
    assert answer.state == "failed"
    assert "gone" in answer.reason
    assert "Traceback" not in answer.reason
    helper.ask("me", tiny_spec(tiny_folder))
    assert answered(helper).state == "done"


def test_a_process_that_was_killed_is_told_and_started_anew(
    helper: InstantHelper, tiny_folder: Path
) -> None:
    helper.ask("me", tiny_spec(tiny_folder))
    assert helper._process is not None
    os.kill(helper._process.pid, signal.SIGKILL)
    answer = answered(helper)
    assert answer.state == "failed"
    assert "ended without a word" in answer.reason
    helper.ask("me", tiny_spec(tiny_folder))
    assert answered(helper).state == "done"


def test_the_process_ends_with_the_one_that_started_it_and_leaves_no_files(
    helper: InstantHelper, tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own_temp = tmp_path / "temp"
    own_temp.mkdir()
    monkeypatch.setenv("TMPDIR", str(own_temp))
    helper.ask("me", tiny_spec(tiny_folder, {"training.epochs": 1000}))
    process = helper._process
    assert process is not None
    helper.ask("me", tiny_spec(tiny_folder))
    assert answered(helper).state == "done"
    assert list(own_temp.iterdir())
    helper.close()
    assert process.poll() is not None
    assert list(own_temp.iterdir()) == []


def test_what_is_taken_back_is_not_answered(helper: InstantHelper, tiny_folder: Path) -> None:
    helper.ask("me", tiny_spec(tiny_folder, {"training.epochs": 1000}))
    helper.forget("me")
    assert helper.wait("me", 0.1) is None
    helper.ask("other", tiny_spec(tiny_folder))
    assert answered(helper, "other").state == "done"


def test_only_the_last_askers_are_remembered(
    helper: InstantHelper, tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.runs.instant.MOST_ASKERS", 3)
    for number in range(6):
        helper.ask(f"asker {number}", tiny_spec(tiny_folder))
    assert helper.wait("asker 0", 0) is None
    assert answered(helper, "asker 5").state == "done"
    assert len(helper._answers) == len(helper._asked) <= 4


def test_the_desk_gives_the_newest_question_of_each() -> None:
    desk = Desk()
    desk.put(1, "a", "first")
    desk.put(2, "b", "b's")
    desk.put(3, "a", "second")
    assert desk.next(0) == (2, "b", "b's")
    assert desk.next(0) == (3, "a", "second")
    assert desk.next(0) is None
    assert desk.is_taken_back(1, "a")
    assert not desk.is_taken_back(3, "a")
    desk.put(0, "a", "")
    assert desk.is_taken_back(3, "a")
    assert desk.next(0) is None


def test_a_spec_goes_to_the_process_as_it_is(tiny_folder: Path) -> None:
    spec = tiny_spec(tiny_folder, HEADS[2])
    assert RunSpec.parse(json.loads(spec.model_dump_json())) == spec
