"""A model and new images on the Update page."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from engine.data.manifest import build_manifest
from engine.files import write_text
from engine.home import run_folder
from engine.runs.store import Run, Store
from engine.spec import DataSpec
from engine.update.foreseen import Way, named_updates
from engine.update.request import base_of_run
from tests.conftest import CLIPART
from tests.dashboard.made import add_run, finish
from tests.dashboard.pages import (
    choose,
    controls_of,
    open_page,
    run,
    start_button,
)

BATCH = CLIPART.parent / "new"


@pytest.fixture
def model(store: Store, tiny_folder: Path) -> Run:
    """A finished run whose images are there, and that has kept a model of some kind."""
    return add_model(store, tiny_folder)


def add_model(store: Store, folder: Path, strategy: str = "full", **settings: Any) -> Run:
    data = DataSpec(folder=str(folder))
    settings = {"data": data.model_dump(), "training": {"epochs": 4}, **settings}
    made = finish(store, add_run(store, strategy, **settings))
    manifest = build_manifest(data)
    write_text(run_folder(made.id) / "manifest.json", json.dumps(manifest.to_dict()))
    (run_folder(made.id) / "best.safetensors").write_bytes(b"weights")
    return made


@pytest.fixture
def batch(tmp_path: Path, tiny_folder: Path) -> Path:
    """New images: more of one known class, and one that is new."""
    return batch_of(tmp_path, {known_class(tiny_folder): "fruit", "boats": "boats"})


def known_class(tiny_folder: Path) -> str:
    return sorted(path.name for path in tiny_folder.iterdir())[0]


def batch_of(tmp_path: Path, classes: dict[str, str]) -> Path:
    """Returns a folder of classes, each with pictures of a class of the new clip art."""
    folder = tmp_path / "arrived"
    for name, source in classes.items():
        (folder / name).mkdir(parents=True)
        for file in sorted((BATCH / "train" / source).iterdir())[:6]:
            shutil.copy(file, folder / name)
    return folder


def open_update(folder: Path | None = None, runs: tuple[str, ...] = ()) -> AppTest:
    page = open_page("update", runs)
    return page if folder is None else name_folder(page, folder)


def name_folder(page: AppTest, folder: Path) -> AppTest:
    choose(page, "update.source", "folder")
    return choose(page, "update.folder", str(folder))


def started_runs(store: Store) -> list[Run]:
    """Returns the updates in the store, the first that was added first."""
    found = [one for one in store.all_runs() if one.spec.update.start]
    return found[::-1]


def press(page: AppTest) -> AppTest:
    start_button(page).click()
    return run(page)


def of_update(
    store: Store, model: Run, batch: Path, split: Mapping[str, Any] | None = None, **given: Any
) -> Run:
    base, data = base_of_run(model), DataSpec.parse({"folder": str(batch), **(split or {})})
    names = {"boats": base.classes[1]}
    way = Way("replay", {"update.replay_share": 0.35, **given})
    [made] = store.add_runs(named_updates(base, data, [way], names))
    return finish(store, made)


def controls(page: AppTest) -> dict[str, Any]:
    return {one.key: one for one in controls_of(page)}
