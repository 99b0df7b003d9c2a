"""Recipes are valid specs, for any data; the article's run to their end, with any weights."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from engine.cli.settings import build_spec, recipe_settings
from engine.data.batches import num_batches
from engine.data.facts import DataFacts, data_facts
from engine.models.backbone import build_backbone
from engine.models.catalogue import backbone_record
from engine.models.headless import full_network
from engine.models.weights_files import torch_hub_folder
from engine.recipes import RECIPES
from engine.spec import DataSpec, RunSpec
from engine.strategies import STRATEGIES
from engine.training.checkpoint import load_checkpoint
from engine.training.plan import rate_plan
from engine.training.trainer import run_epochs, set_up, train
from tests.conftest import Recorder

ARTICLE = ("feature-extraction", "decaying-rate", "input-shape")
HYPERRULE = "bit-hyperrule"


def spec_of(name: str, folder: Path, facts: DataFacts | None = None, **changed: Any) -> RunSpec:
    values: dict[str, Any] = {"data": {"folder": str(folder)}, "device": "cpu"}
    changes = {path.replace("__", "."): value for path, value in changed.items()}
    for path, value in (RECIPES[name].settings_for(facts) | changes).items():
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


@pytest.mark.parametrize("facts", [None, DataFacts(2, 8), DataFacts(289, 162), DataFacts(10**7, 9)])
@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_is_a_valid_spec(name: str, facts: DataFacts | None) -> None:
    spec = spec_of(name, Path("photos"), facts)
    flat = spec.flat()
    assert all(flat[path] == value for path, value in RECIPES[name].settings_for(facts).items())


@pytest.mark.parametrize("name", RECIPES)
def test_facts_change_only_what_adapts(name: str) -> None:
    recipe = RECIPES[name]
    assert recipe.settings_for(None) == recipe.settings
    adapted = recipe.settings_for(DataFacts(50_000, 32))
    assert (adapted != recipe.settings) == (recipe.adapt is not None) == (name == HYPERRULE)
    assert set(adapted) == set(recipe.settings)


def test_fastais_numbers() -> None:
    spec = spec_of("fine-tune", Path("photos"))
    assert (spec.strategy.name, spec.optimiser.schedule) == ("fine_tune", "one_cycle")
    assert (spec.optimiser.name, spec.optimiser.lr) == ("adamw", 2e-3)
    assert (spec.optimiser.weight_decay, spec.training.batch_size) == (0.01, 64)
    plan = rate_plan(spec, ("stem", "middle", "last"), steps_per_epoch=100)
    probe, rest = plan.phases
    assert (spec.training.epochs, rest.start_epoch) == (5, 2)
    assert probe.trainable == ()
    # slice(base_lr / lr_mult, base_lr) with half the rate: 1e-5 to 1e-3, in equal ratios.
    assert plan.head_lr * rest.head_rate == pytest.approx(1e-3)
    rates = [plan.backbone_lr * rest.rates[name] for name in ("stem", "middle", "last")]
    assert rates == pytest.approx([1e-5, 1e-5 * 100 ** (1 / 3), 1e-5 * 100 ** (2 / 3)])


# ---- BiT's HyperRule. By hand: epochs = steps x 512 / pictures, or steps where those are fewer.


@pytest.mark.parametrize(
    ("num_train", "batch_size", "epochs", "lr", "mixup"),
    [
        (18, 18, 500, 3e-3, 0.0),  # all in one batch, at the rule's rate: 500 steps
        (512, 512, 500, 3e-3, 0.0),
        (513, 257, 500, 1.51e-3, 0.0),  # two batches of half the size: half the rate, 1000 steps
        (1000, 500, 256, 2.93e-3, 0.0),  # 500 x 512 / 1000
        (19_999, 500, 13, 2.93e-3, 0.0),  # 12.8 rounded up
        (20_000, 500, 256, 2.93e-3, 0.1),  # 10,000 x 512 / 20,000
        (50_000, 511, 103, 2.99e-3, 0.1),  # 102.4 rounded up
        (499_999, 512, 11, 3e-3, 0.1),  # 10.24 rounded up
        (500_000, 512, 21, 3e-3, 0.1),  # 20,000 x 512 / 500,000 = 20.48
        (1_281_167, 512, 8, 3e-3, 0.1),  # ImageNet: 7.99
        (20_000_000, 512, 1, 3e-3, 0.1),  # half an epoch: at least one
    ],
)
def test_the_hyperrule_by_number_of_pictures(
    num_train: int, batch_size: int, epochs: int, lr: float, mixup: float
) -> None:
    spec = spec_of(HYPERRULE, Path("photos"), DataFacts(num_train, 224))
    assert (spec.training.batch_size, spec.training.epochs) == (batch_size, epochs)
    assert (spec.optimiser.lr, spec.training.mixup) == (lr, mixup)


@pytest.mark.parametrize(("side", "size"), [(32, 128), (95, 128), (96, 480), (224, 480)])
def test_the_hyperrule_by_size_of_the_pictures(side: int, size: int) -> None:
    assert spec_of(HYPERRULE, Path("photos"), DataFacts(1000, side)).images.size == size


def test_the_hyperrules_fixed_part() -> None:
    spec = spec_of(HYPERRULE, Path("photos"))
    optimiser = spec.optimiser
    assert (spec.strategy.name, optimiser.name, optimiser.momentum) == ("full", "sgd", 0.9)
    assert (optimiser.weight_decay, optimiser.schedule, optimiser.drop_factor) == (0.0, "step", 0.1)
    assert (spec.images.fit, spec.images.augmentation) == ("squash", "flip")


@pytest.mark.parametrize(
    ("num_train", "warmup", "drops"),
    [
        (400, 0.2, (0.4, 0.6, 0.8)),
        (50_000, 0.05, (0.3, 0.6, 0.9)),
        (500_000, 0.025, (0.3, 0.6, 0.9)),
    ],
)
def test_the_hyperrules_warm_up_and_drops(
    num_train: int, warmup: float, drops: tuple[float, float, float]
) -> None:
    spec = spec_of(HYPERRULE, Path("photos"), DataFacts(num_train, 224))
    steps_per_epoch = num_batches(num_train, spec.training.batch_size)
    plan = rate_plan(spec, ("stem",), steps_per_epoch)
    num_steps = spec.training.epochs * steps_per_epoch
    factors = [plan.factor(step) for step in range(num_steps)]
    assert factors.index(1.0) / num_steps == pytest.approx(warmup, abs=0.002)
    for nth, drop in enumerate(drops, start=1):
        first = next(
            i for i, factor in enumerate(factors) if i and factor < 1.5 * 0.1**nth < factors[i - 1]
        )
        # Whole epochs from the warm-up on; half an epoch is 2.4 % where there are 21 of them.
        assert first / num_steps == pytest.approx(drop, abs=0.05)
    assert factors[-1] == pytest.approx(1e-3)


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


def test_the_command_line_fits_a_recipe_to_the_folder_that_is_named(tiny_folder: Path) -> None:
    given = {"data.folder": str(tiny_folder), "optimiser.lr": 0.01}
    settings = recipe_settings(HYPERRULE, given)
    assert settings == RECIPES[HYPERRULE].settings_for(
        data_facts(DataSpec(folder=str(tiny_folder)))
    )
    spec = build_spec(None, settings | given)
    assert (spec.training.batch_size, spec.training.epochs, spec.optimiser.lr) == (18, 500, 0.01)
    halved = recipe_settings(HYPERRULE, given | {"data.val_fraction": "0.5"})
    assert halved["training.batch_size"] == 12


def test_without_a_folder_the_command_line_takes_a_recipes_general_settings() -> None:
    assert recipe_settings(HYPERRULE, {"optimiser.lr": 0.01}) == RECIPES[HYPERRULE].settings
    assert recipe_settings("fine-tune", {"data.folder": "/not/there"}) == (
        RECIPES["fine-tune"].settings
    )


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
