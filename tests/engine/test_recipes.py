"""Recipes are valid specs; the article's three run to their end, with laid-in or random weights."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from engine.models.backbone import build_backbone
from engine.models.catalogue import backbone_record
from engine.models.headless import full_network
from engine.models.weights_files import torch_hub_folder
from engine.recipes import RECIPES
from engine.spec import RunSpec
from engine.strategies import STRATEGIES
from engine.training.checkpoint import load_checkpoint
from engine.training.trainer import run_epochs, set_up, train
from tests.conftest import Recorder

ARTICLE = ("feature-extraction", "decaying-rate", "input-shape")


def spec_of(name: str, folder: Path, **changed: Any) -> RunSpec:
    values: dict[str, Any] = {"data": {"folder": str(folder)}}
    changes = {path.replace("__", "."): value for path, value in changed.items()}
    for path, value in (RECIPES[name].settings | changes).items():
        part, _, field = path.partition(".")
        values.setdefault(part, {})[field] = value
    return RunSpec.parse(values)


@pytest.fixture(scope="module")
def torch_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A cache of torchvision's that holds files for the article's backbones."""
    home = tmp_path_factory.mktemp("torch-home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TORCH_HOME", str(home))
        for name in ARTICLE:
            record = backbone_record(RECIPES[name].settings["model.backbone"])
            torch.manual_seed(1)
            tensors = full_network(record, record.default_size, None).state_dict()
            torch_hub_folder().mkdir(parents=True, exist_ok=True)
            torch.save(tensors, torch_hub_folder() / record.weights_file)
        yield home


def test_names_labels_and_sentences() -> None:
    assert set(ARTICLE) <= set(RECIPES)
    assert {f"{name}-lite" for name in ARTICLE} <= set(RECIPES)
    assert {f"strategy-{name}" for name in STRATEGIES} <= set(RECIPES)
    labels = [recipe.label for recipe in RECIPES.values()]
    assert len(set(labels)) == len(labels)
    assert all(recipe.name == name and recipe.sentence for name, recipe in RECIPES.items())


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_is_a_valid_spec(name: str) -> None:
    spec = spec_of(name, Path("photos"))
    flat = spec.flat()
    assert all(flat[path] == value for path, value in RECIPES[name].settings.items())


def test_the_articles_numbers() -> None:
    one, two, three = (spec_of(name, Path("photos")) for name in ARTICLE)
    assert one.model.backbone.startswith("torchvision/mobilenet_v2")
    assert (one.strategy.name, one.model.head, one.model.hidden_units) == ("frozen", "mlp", 128)
    assert (one.optimiser.name, one.optimiser.lr, one.training.epochs) == ("adam", 1e-3, 10)
    assert two.model.backbone.startswith("torchvision/resnet50")
    assert (two.strategy.name, two.optimiser.name, two.training.epochs) == ("full", "adam", 20)
    decay = two.optimiser
    assert (decay.lr, decay.schedule, decay.decay_rate) == (1e-5, "exponential", 0.96)
    assert (decay.decay_steps, decay.staircase) == (1000, False)
    assert three.model.backbone.startswith("torchvision/inception_v3")
    assert (three.images.size, three.images.normalisation) == (150, "rescale")


@pytest.mark.parametrize("name", ARTICLE)
def test_the_articles_recipes_run_with_weights_from_the_librarys_cache(
    name: str, torch_home: Path, tiny_folder: Path, tmp_path: Path, recorder: Recorder
) -> None:
    spec = spec_of(name, tiny_folder, training__epochs=1, training__batch_size=4)
    outcome = train(spec, tmp_path, recorder)
    assert outcome.status == "finished"
    [epoch] = recorder.of_kind("epoch")
    assert epoch.values["lr/head"] == spec.optimiser.lr
    facts = recorder.of_kind("progress")
    said = next(str(e.values["weights"]) for e in facts if "weights" in e.values)
    assert backbone_record(spec.model.backbone).weights_file in said
    model, header = load_checkpoint(tmp_path / "best.safetensors")
    assert header.epoch == 1
    assert model.backbone.record.name == spec.model.backbone


@pytest.mark.parametrize("name", ARTICLE)
def test_a_frozen_backbone_stays_bit_identical(
    name: str, torch_home: Path, tiny_folder: Path, tmp_path: Path, recorder: Recorder
) -> None:
    spec = spec_of(
        name,
        tiny_folder,
        strategy__name="frozen",
        training__epochs=1,
        images__size=96,
        images__augmentation="flip",
    )
    session = set_up(spec, tmp_path, recorder, started=0.0)
    before = {n: t.clone() for n, t in session.model.head.state_dict().items()}
    run_epochs(session)
    fresh = build_backbone(spec.model.backbone, 96).state_dict()
    after = session.model.backbone.state_dict()
    assert [n for n, tensor in fresh.items() if not torch.equal(after[n], tensor)] == []
    assert any(not torch.equal(session.model.head.state_dict()[n], t) for n, t in before.items())


def test_random_weights_are_said_to_be_random(
    tiny_folder: Path, tmp_path: Path, recorder: Recorder
) -> None:
    spec = spec_of(
        "feature-extraction",
        tiny_folder,
        model__weights="random",
        training__epochs=1,
        images__size=64,
    )
    assert train(spec, tmp_path, recorder).status == "finished"
    said = [str(e.values.get("weights", "")) for e in recorder.of_kind("progress")]
    assert any(text.startswith("random weights") for text in said)


@pytest.mark.slow
@pytest.mark.parametrize("name", [*ARTICLE, *(f"{name}-lite" for name in ARTICLE)])
def test_recipes_run_whole_on_the_sample_data(
    name: str, torch_home: Path, tiny_folder: Path, tmp_path: Path, recorder: Recorder
) -> None:
    """Every epoch that the recipe asks for; the pictures are a share of the sample."""
    spec = spec_of(name, tiny_folder)
    assert train(spec, tmp_path, recorder).status == "finished"
    assert len(recorder.of_kind("epoch")) == spec.training.epochs
