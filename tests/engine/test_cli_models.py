"""`thaw models`, `thaw recipes`, and training from other weights, as a person runs them."""

from pathlib import Path

import pytest
import torch
from torchvision import models

from engine.models.catalogue import backbone_names, refused
from engine.recipes import RECIPES
from tests.engine.commands import TINY, document, refusal, thaw

SMALL = "torchvision/squeezenet1_1.IMAGENET1K_V1"


def test_models_finds_and_counts_what_it_does_not_show() -> None:
    shown = thaw("models", "resnet", "v1", "--library", "torchvision").stdout
    assert "torchvision/resnet18.IMAGENET1K_V1" in shown
    assert "timm/" not in shown
    assert "more; give more words" in thaw("models").stdout


def test_a_model_named_in_full_is_shown_with_its_stages() -> None:
    shown = thaw("models", "torchvision/resnet50.IMAGENET1K_V2", "--image-size", "448").stdout
    assert "80.9 %" in shown
    assert "16.36" in shown
    for stage in ("stem", "layer1", "layer4", "14,964,736"):
        assert stage in shown


def test_models_as_json_is_the_catalogue() -> None:
    listed = document(thaw("models", "--json"))
    assert [one["name"] for one in listed] == list(backbone_names())
    [lite0] = document(thaw("models", "efficientnet_lite0", "--library", "bundled", "--json"))
    assert lite0["weights_here"] is True
    assert lite0["num_parameters"] == 3_371_008
    assert len(lite0["stages"]) == 9


def test_a_model_that_cannot_be_used_is_answered_with_the_reason() -> None:
    name, reason = next(iter(refused().items()))
    assert reason in refusal(thaw("models", name))
    assert "nosuch" in refusal(thaw("models", "nosuch"))


def test_recipes_are_listed() -> None:
    assert [one["name"] for one in document(thaw("recipes", "--json"))] == list(RECIPES)
    shown = thaw("recipes").stdout
    assert all(recipe.label in shown for recipe in RECIPES.values())


def test_no_such_recipe(tiny_folder: Path) -> None:
    said = refusal(thaw("train", "--data", str(tiny_folder), "--recipe", "soup"))
    assert "no recipe 'soup'" in said
    assert "feature-extraction" in said


def test_a_recipe_is_trained_and_can_be_overridden(tiny_folder: Path) -> None:
    done = thaw(
        *("train", "--data", str(tiny_folder), "--recipe", "input-shape-lite", "--epochs", "1"),
        *("--image-size", "64", "--json"),
    )
    spec = document(done)["spec"]
    assert spec["images"]["normalisation"] == "rescale"
    assert (spec["images"]["size"], spec["training"]["epochs"]) == (64, 1)
    assert "was trained with mean 0.5" in done.stderr


@pytest.mark.slow
def test_an_update_of_a_checkpoint_needs_no_backbone_named(tiny_folder: Path) -> None:
    """random weights → checkpoint → a second run that starts from it."""
    train = ("train", "--data", str(tiny_folder), "--epochs", "1", *TINY, "--json")
    first = document(thaw(*train, "--backbone", SMALL, "--weights", "random"))
    assert first["weights"].startswith("random weights")
    second = document(thaw(*train, "--weights", first["checkpoint"]))
    assert second["backbone"] == SMALL
    assert "50 of the backbone's 50 tensors were in best.safetensors" in second["weights"]


def test_weights_that_do_not_fit_fail_the_run_with_a_sentence(
    tiny_folder: Path, tmp_path: Path
) -> None:
    file = tmp_path / "alexnet.pth"
    torch.save(models.alexnet(weights=None).state_dict(), file)
    done = thaw(
        *("train", "--data", str(tiny_folder), "--epochs", "1", *TINY),
        *("--backbone", SMALL, "--weights", str(file)),
    )
    assert done.returncode == 1
    assert "does not fit torchvision/squeezenet1_1" in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr


def test_weights_that_are_missing_fail_the_run_with_file_place_and_setting(
    tiny_folder: Path, tmp_path: Path
) -> None:
    done = thaw(
        *("train", "--data", str(tiny_folder), "--epochs", "1", *TINY, "--backbone", SMALL),
        TORCH_HOME=str(tmp_path / "torch"),
        https_proxy="http://127.0.0.1:9",
        HTTPS_PROXY="http://127.0.0.1:9",
    )
    assert done.returncode == 1
    said = " ".join((done.stdout + done.stderr).split())
    assert "squeezenet1_1-b8a52dc0.pth" in said
    assert "THAW_WEIGHTS" in said


def test_a_size_that_a_backbone_does_not_take_fails_with_a_sentence(tiny_folder: Path) -> None:
    done = thaw(
        *("train", "--data", str(tiny_folder), "--epochs", "1", "--image-size", "64"),
        *("--backbone", "torchvision/maxvit_t", "--weights", "random"),
    )
    assert done.returncode == 1
    assert "takes only pictures of 224 px" in " ".join((done.stdout + done.stderr).split())
