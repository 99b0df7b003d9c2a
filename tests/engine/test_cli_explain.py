"""`thaw explain`, as a person or a script runs it."""

import json
from pathlib import Path

import pytest
from PIL import Image

from engine.insight.saliency_maps import Question, known_maps
from tests.engine.commands import TINY, document, refusal, thaw


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture
def run_id(home: Path, tiny_folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A run that was trained once for all tests here."""
    monkeypatch.setenv("THAW_HOME", str(home))
    known = home / "run"
    if not known.exists():
        done = document(thaw("train", "--data", str(tiny_folder), "--epochs", "1", *TINY, "--json"))
        known.write_text(done["run_id"])
    return known.read_text()


def test_it_prints_the_promised_document_and_keeps_it_for_the_page(
    run_id: str, tiny_folder: Path, tmp_path: Path
) -> None:
    picture = next((tiny_folder / "birds").iterdir())
    out = tmp_path / "why.png"
    asked = ["explain", run_id, "--image", str(picture), "--class", "birds", "--class", "fruit"]
    found = document(thaw(*asked, "--out", str(out), "--json"))
    assert set(found) == {"maps", "out"}
    assert [one["class_name"] for one in found["maps"]] == ["birds", "fruit"]
    # The last map of 64 px has two cells a side, which tell nothing.
    assert {one["method"] for one in found["maps"]} == {"occlusion"}
    with Image.open(out) as drawn:
        assert drawn.size == (320, 320)
    kept = known_maps(Question(run_id, str(picture), ("birds", "fruit")))
    assert json.loads(json.dumps([one.to_dict() for one in kept.values()])) == found["maps"]


def test_it_draws_the_map_for_people_and_takes_the_class_that_is_named(
    run_id: str, tiny_folder: Path
) -> None:
    picture = next((tiny_folder / "fruit").iterdir())
    shown = thaw("explain", run_id[:8], "--image", str(picture))
    assert shown.returncode == 0, shown.stderr
    first, *rows = shown.stdout.splitlines()
    assert "occlusion, 7 × 7 cells" in first
    assert "it names" not in first
    assert len(rows) == 7 or "No part by itself" in rows[0]


@pytest.mark.slow
def test_what_is_wrong_is_a_sentence(run_id: str, tiny_folder: Path, tmp_path: Path) -> None:
    picture = str(next((tiny_folder / "birds").iterdir()))
    told = refusal(thaw("explain", run_id, "--image", picture, "--class", "trains"))
    assert "knows no class 'trains'" in told
    assert "cannot be read" in refusal(thaw("explain", run_id, "--image", str(tmp_path / "no.png")))
    assert "must end in .png" in refusal(
        thaw("explain", run_id, "--image", picture, "--out", str(tmp_path / "why.jpg"))
    )
