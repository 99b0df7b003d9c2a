"""Backbone, weights and recipes on the Train page."""

from pathlib import Path
from typing import Any, get_args

import pytest
import torch
from safetensors.torch import save_file
from streamlit.testing.v1 import AppTest
from torchvision import models

from dashboard.model_choice import check_file, facts
from dashboard.recipe_choice import ELSEWHERE, PARTS_ELSEWHERE
from engine.data.facts import data_facts
from engine.hyperrule import hyperrule
from engine.models.catalogue import backbone_names, backbone_record, search
from engine.models.weights_files import torch_hub_folder
from engine.recipes import RECIPES, Recipe
from engine.runs.store import Store
from engine.spec import DataSpec, RunSpec, ScheduleName
from engine.strategies import STRATEGIES
from tests.dashboard.pages import (
    choose,
    controls_of,
    learning,
    open_page,
    run,
    start_button,
    text_of,
)

BACKBONE = "train.model.backbone"
WEIGHTS = "train.model.weights"
RESNET50 = "torchvision/resnet50.IMAGENET1K_V2"


@pytest.fixture(autouse=True)
def no_weights_here(small_sample: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THAW_ROOTS", "/")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hf"))


def value_of(page: AppTest, key: str) -> Any:
    [control] = [one for one in controls_of(page) if one.key == key]
    return control.value


def click_recipe(page: AppTest, name: str) -> AppTest:
    [button] = [one for one in page.button if one.key == f"train.recipe.{name}"]
    button.click()
    return run(page)


def started_spec(page: AppTest, store: Store) -> RunSpec:
    start_button(page).click()
    run(page)
    [started] = store.all_runs()
    return started.spec


def test_every_backbone_can_be_chosen() -> None:
    page = open_page("train")
    [box] = [one for one in page.selectbox if one.key == BACKBONE]
    assert len(box.options) == len(backbone_names()) > 2000


def test_a_backbone_shows_its_facts_and_what_will_learn() -> None:
    page = choose(open_page("train"), BACKBONE, RESNET50)
    text = text_of(page)
    assert "23.5 M parameters in 5 stages" in text
    assert "about 2.09 GMACs a picture at 160 px" in text
    assert "ImageNet top-1 80.9 %" in text
    assert learning(page)[0] == (2049 * 3, 23_508_032 + 2049 * 3)


def test_facts_leave_nothing_unsaid() -> None:
    assert "licence apache-2.0" in facts(backbone_record("timm/resnet50"), 224)
    assert "licence not stated" in facts(backbone_record(RESNET50), 224)
    assert "top-1" not in facts(backbone_record("timm/resnet50"), 224)


def test_bundled_weights_are_here() -> None:
    assert "The weights are on this machine." in text_of(open_page("train"))


def test_weights_that_are_not_here_are_said_to_be_downloaded_and_where_else_to_put_them() -> None:
    text = text_of(choose(open_page("train"), BACKBONE, RESNET50)).replace("\\", "")
    assert "they are downloaded when the run starts" in text
    assert str(torch_hub_folder() / "resnet50-11ad3fa6.pth") in text
    assert "THAW_WEIGHTS" in text


def test_weights_in_the_librarys_cache_are_here() -> None:
    file = torch_hub_folder() / "resnet50-11ad3fa6.pth"
    file.parent.mkdir(parents=True)
    file.touch()
    assert "on this machine." in text_of(choose(open_page("train"), BACKBONE, RESNET50))


def test_random_weights_are_explained_and_launched(store: Store) -> None:
    page = choose(choose(open_page("train"), "train.strategy", ["full"]), WEIGHTS, "random")
    assert "Nothing was learnt before" in text_of(page)
    assert started_spec(page, store).model.weights == "random"


def test_a_backbone_without_published_weights_says_so() -> None:
    name = next(record.name for record in search(library="timm") if not record.weights_file)
    page = choose(open_page("train"), BACKBONE, name)
    assert any("no published weights" in one.value for one in page.warning)


def test_a_scale_that_departs_from_the_pre_training_is_warned_of() -> None:
    page = open_page("train")
    assert not page.warning
    choose(page, "train.images.normalisation", "rescale")
    [warning] = page.warning
    assert "was trained with mean 0.5, 0.5, 0.5" in warning.value


def test_a_size_that_a_backbone_does_not_take_is_warned_of() -> None:
    page = choose(open_page("train"), BACKBONE, "torchvision/maxvit_t.IMAGENET1K_V1")
    assert any("takes only pictures of 224 px" in one.value for one in page.warning)
    choose(page, "train.images.size", 224)
    assert not page.warning


class TestOwnFile:
    """A person's own file of weights, looked into before the run."""

    @pytest.fixture
    def page(self) -> AppTest:
        page = choose(open_page("train"), BACKBONE, "torchvision/squeezenet1_1.IMAGENET1K_V1")
        return choose(page, WEIGHTS, "file")

    def test_before_a_path_is_typed_it_is_asked_for(self, page: AppTest) -> None:
        assert any("Type the path" in one.value for one in page.info)
        assert start_button(page).disabled

    def test_a_file_that_fits_shows_what_matched_and_is_launched(
        self, page: AppTest, tmp_path: Path, store: Store
    ) -> None:
        file = tmp_path / "mine.pth"
        torch.save(models.squeezenet1_1(weights=None, num_classes=5).state_dict(), file)
        choose(page, "train.weights_file", str(file))
        [said] = page.success
        assert "50 of the backbone's 50 tensors" in said.value.replace("\\", "")
        assert "classifier.1.weight" in said.value.replace("\\", "")
        choose(page, "train.strategy", ["full"])
        assert started_spec(page, store).model.weights == str(file)

    def test_a_file_that_does_not_fit_says_why(self, page: AppTest, tmp_path: Path) -> None:
        file = tmp_path / "other.safetensors"
        save_file(dict(models.alexnet(weights=None).state_dict()), file)
        choose(page, "train.weights_file", str(file))
        [said] = page.error
        assert "of the backbone's 50 tensors" in said.value.replace("\\", "")
        assert "missing" in said.value

    @pytest.mark.parametrize(
        "path", ["/no/such/file.pth", "~nosuchuser/a.pth", "x" * 300, "random", "a\0b", "/"]
    )
    def test_what_is_no_file_is_told_and_not_trained_on(self, page: AppTest, path: str) -> None:
        choose(page, "train.weights_file", path)
        assert any("There is no weights file" in one.value for one in page.error)
        assert start_button(page).disabled


def test_a_look_into_a_file_that_fails_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.executable", "/bin/false")
    assert check_file.__wrapped__("efficientnet_lite0", 224, "x", 0.0) == (  # type: ignore[attr-defined]
        False,
        "x could not be looked into; it is checked again when the run starts.",
    )


@pytest.mark.parametrize("name", RECIPES)
def test_one_click_fills_every_control_and_is_what_is_trained(
    name: str, store: Store, small_sample: Path
) -> None:
    page = open_page("train")
    choose(page, "train.training.epochs", 7)
    choose(page, "train.images.fit", "pad")
    click_recipe(page, name)
    flat = started_spec(page, store).flat()
    settings = RECIPES[name].settings_for(data_facts(DataSpec(folder=str(small_sample))))
    assert {path: flat[path] for path in settings} == settings
    assert flat["images.fit"] == settings.get("images.fit", "crop")
    assert flat["training.epochs"] == settings.get("training.epochs", 10)


ODD_SETTINGS: dict[str, Any] = {
    "strategy.name": "wise_ft",
    "strategy.probe_share": 0.33,
    "strategy.tune_scale": 0.3,
    "strategy.alpha": 0.123,
    "model.backbone": "efficientnet_lite0",
    "model.dropout": 0.17,
    "images.size": 200,
    "optimiser.name": "nadamw",
    "optimiser.momentum": 0.95,
    "optimiser.lr": 1.23e-3,
    "optimiser.backbone_lr": 4.56e-5,
    "optimiser.weight_decay": 0.02,
    "optimiser.schedule": "step",
    "optimiser.drop_factor": 0.44,
    "optimiser.drop_every": 77,
    "optimiser.warmup": 0.03,
    "training.epochs": 321,
    "training.batch_size": 48,
    "training.mixup": 1.5,
    "training.clip_norm": 7.5,
    "training.ema_decay": 0.97,
    "training.early_stopping": 60,
    "training.max_minutes": 7.5,
}


@pytest.fixture
def odd_recipe(monkeypatch: pytest.MonkeyPatch) -> str:
    """A recipe whose values lie on no control's grid, and some beyond its ends."""
    monkeypatch.setitem(RECIPES, "odd", Recipe("odd", "Odd", "All off the grid.", ODD_SETTINGS))
    return "odd"


def test_what_a_recipe_sets_need_not_lie_on_a_grid(odd_recipe: str, store: Store) -> None:
    page = click_recipe(open_page("train"), odd_recipe)
    for name in ("compare", "train"):
        page.switch_page(f"app_pages/{name}.py")
        run(page)
    flat = started_spec(page, store).flat()
    assert {path: flat[path] for path in ODD_SETTINGS} == ODD_SETTINGS


def test_from_off_the_grid_a_slider_can_be_moved_back(odd_recipe: str, store: Store) -> None:
    page = click_recipe(open_page("train"), odd_recipe)
    choose(page, "train.training.epochs", 3)
    choose(page, "train.training.batch_size", 64)
    choose(page, "train.optimiser.lr.wise_ft", 1e-3)
    run(page)
    spec = started_spec(page, store)
    assert (spec.training.epochs, spec.training.batch_size) == (3, 64)
    assert spec.optimiser.lr == 1e-3


def test_every_setting_of_a_spec_has_a_control_that_recipes_fill() -> None:
    """Some controls are shown only beside others; all of them together are looked at."""
    page = choose(open_page("train"), "train.strategy", list(STRATEGIES))
    choose(page, "train.model.head", "mlp")
    choose(page, "train.optimiser.own_backbone_lr", True)
    choose(page, "train.optimiser.name", "other")
    shown = {one.key for one in controls_of(page)}
    for schedule in get_args(ScheduleName):
        choose(page, "train.optimiser.schedule", schedule)
        shown |= {one.key for one in controls_of(page)}
    filled = {key for key in controls_filled() if key.startswith("train.")}
    assert filled - {"train.recipe"} <= shown
    settings = {path.removeprefix("train.") for path in filled}
    for path in RunSpec(data=DataSpec(folder=".")).flat():
        part, _, setting = path.partition(".")
        if part == "strategy" and setting != "name":
            readers = [one.name for one in STRATEGIES.values() if setting in one.settings]
            assert readers
            assert {f"{path}.{reader}" for reader in readers} <= settings
        elif part not in PARTS_ELSEWHERE and path not in ELSEWHERE:
            assert path in settings


def controls_filled() -> set[str]:
    """Returns the state keys that a recipe sets."""

    def script() -> None:
        import streamlit as st

        from dashboard.recipe_choice import fill
        from engine.recipes import RECIPES

        fill("train", RECIPES["strategy-frozen"])
        st.text("\n".join(str(key) for key in st.session_state))

    return set(AppTest.from_function(script).run().text[0].value.splitlines())


def test_a_recipe_that_adapts_is_worked_out_from_the_chosen_pictures(
    store: Store, small_sample: Path
) -> None:
    spec = started_spec(click_recipe(open_page("train"), "bit-hyperrule"), store)
    facts = data_facts(DataSpec(folder=str(small_sample)))
    assert spec.training.batch_size == hyperrule(facts)["training.batch_size"]
    assert spec.training.epochs == hyperrule(facts)["training.epochs"]


def test_a_recipe_can_be_changed_afterwards(store: Store) -> None:
    page = click_recipe(open_page("train"), "decaying-rate-lite")
    assert value_of(page, "train.optimiser.decay_steps") == 1000
    choose(page, "train.training.epochs", 3)
    choose(page, "train.optimiser.staircase", True)
    spec = started_spec(page, store)
    assert (spec.training.epochs, spec.optimiser.staircase) == (3, True)
    assert spec.optimiser.lr == 1e-5


def test_a_recipe_leaves_no_rate_of_another_strategy_behind(store: Store) -> None:
    page = choose(open_page("train"), "train.optimiser.lr.full", 0.1)
    click_recipe(page, "strategy-frozen")
    choose(page, "train.strategy", ["frozen", "full"])
    assert value_of(page, "train.optimiser.lr.full") == STRATEGIES["full"].default_lr


def test_what_was_filled_from_is_said() -> None:
    page = click_recipe(open_page("train"), "input-shape")
    assert "Filled from **A different input shape" in text_of(page)
