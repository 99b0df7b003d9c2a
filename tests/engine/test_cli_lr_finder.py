"""`thaw find-lr`, as a person or a script runs it."""

import json
from pathlib import Path

from engine.runs.rate_finder import finder_state
from tests.engine.commands import TINY, document, refusal, thaw
from tests.engine.specs import tiny_spec


def test_find_lr_prints_the_promised_document_and_keeps_it_for_the_page(
    tiny_folder: Path, thaw_home: Path
) -> None:
    found = document(thaw("find-lr", "--data", str(tiny_folder), *TINY, "--json"))
    assert set(found) == {"tests", "seconds"}
    head, backbone = found["tests"]
    assert (head["group"], backbone["group"]) == ("head", "backbone")
    assert len(head["rates"]) == len(head["losses"]) == len(head["smoothed"]) > 0
    assert 1e-7 < head["suggestion"] < 1
    assert backbone["suggestion"] is None
    kept = finder_state(tiny_spec(tiny_folder))
    assert kept is not None
    assert [test.to_dict() for test in kept.tests] == [
        {**test, **{name: tuple(test[name]) for name in ("rates", "losses", "smoothed")}}
        for test in found["tests"]
    ]


def test_find_lr_prints_suggestion_reason_and_range_for_people(
    tiny_folder: Path, tmp_path: Path
) -> None:
    spec = tmp_path / "spec.json"
    spec.write_text(tiny_spec(tiny_folder).model_dump_json())
    shown = thaw("find-lr", "--spec", str(spec))
    assert shown.returncode == 0, shown.stderr
    assert "head: " in shown.stdout
    assert "; tried 1e-7 to " in shown.stdout
    assert "The loss falls from " in shown.stdout
    assert "backbone: no suggestion" in shown.stdout
    assert "No stage of the backbone learns under Frozen" in shown.stdout


def test_find_lr_without_images_says_how_to_name_them() -> None:
    assert "--data" in refusal(thaw("find-lr"))


def test_find_lr_of_a_folder_that_is_not_there_is_a_sentence(tmp_path: Path) -> None:
    shown = thaw("find-lr", "--data", str(tmp_path / "nowhere"), "--json")
    assert "nowhere" in refusal(shown)
    assert "nowhere" in json.loads(shown.stdout)["error"]
