"""What `thaw` says of bad input: a sentence, and nothing is queued."""

import json
from pathlib import Path

import pytest

from tests.engine.commands import document, refusal, thaw
from tests.engine.pictures import distinct_pictures


def test_no_such_folder(tmp_path: Path) -> None:
    said = refusal(thaw("train", "--data", str(tmp_path / "missing")))
    assert "There is no folder" in said
    assert "missing" in said


def test_one_class(tmp_path: Path) -> None:
    folder = distinct_pictures(tmp_path / "photos", {"cats": 3})
    assert "only the class 'cats'" in refusal(thaw("train", "--data", str(folder)))


def test_an_empty_class(tmp_path: Path) -> None:
    folder = distinct_pictures(tmp_path / "photos", {"cats": 3, "dogs": 3})
    (folder / "birds").mkdir()
    assert "no pictures in the class 'birds'" in refusal(thaw("train", "--data", str(folder)))


@pytest.mark.parametrize("rate", ["0", "nan", "inf", "-1", "2"])
def test_a_bad_learning_rate(tiny_folder: Path, rate: str) -> None:
    said = refusal(thaw("train", "--data", str(tiny_folder), "--lr", rate))
    assert "optimiser.lr is " in said
    assert "must be a number from 1e-07 to 1" in said


def test_several_faults_are_told_at_once(tiny_folder: Path) -> None:
    said = refusal(
        thaw("train", "--data", str(tiny_folder), "--lr", "0", "--fit", "x", "--strategy", "y")
    )
    for path in ("optimiser.lr", "images.fit", "strategy.name"):
        assert f"{path} is " in said


def test_nothing_to_train_on() -> None:
    assert "with --data DIR" in refusal(thaw("train"))


@pytest.mark.parametrize("content", [None, "", "not json", '{"data": {"folder": "x"}, "speed": 3}'])
def test_a_spec_file_that_is_none(tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "spec.json"
    if content is not None:
        file.write_text(content)
    refusal(thaw("train", "--spec", str(file)))


def test_a_refusal_in_json_is_one_document(tmp_path: Path) -> None:
    refused = thaw("train", "--data", str(tmp_path / "missing"), "--json")
    assert "There is no folder" in json.loads(refused.stdout)["error"]
    refusal(refused)


def test_bad_input_queues_nothing(tmp_path: Path) -> None:
    thaw("train", "--data", str(tmp_path / "missing"))
    assert document(thaw("runs", "--json")) == []


def test_a_home_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for home in ("/sys/thaw", str(tmp_path / "file" / "thaw")):
        said = refusal(thaw("runs", THAW_HOME=home))
        assert f"cannot write to its folder {home}" in said
        assert "set THAW_HOME" in said


def test_a_store_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "thaw.db").write_text("no database " * 200)
    said = refusal(thaw("runs", THAW_HOME=str(tmp_path)))
    assert "not a database" in said
    said = refusal(thaw("runs", THAW_DATABASE_URL="nonsense"))
    assert "THAW_DATABASE_URL" in said


def test_a_wrong_number_of_runs_at_once(tiny_folder: Path) -> None:
    said = refusal(thaw("train", "--data", str(tiny_folder), THAW_MAX_RUNS="none"))
    assert "THAW_MAX_RUNS is 'none'" in said
