"""What keeps a run from overfitting, on any strategy: each does what it says, and repeats."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torchvision.ops import StochasticDepth

from engine.data.loader import EpochBatches
from engine.errors import SpecError
from engine.models.classifier import build_classifier
from engine.spec import ModelSpec, OptimiserSpec, TrainingSpec
from engine.strategies import Pull
from engine.training.balance import class_weights, equal_chances
from engine.training.mixing import Mixer
from engine.training.optimiser_names import OPTIMISERS
from engine.training.optimisers import build_optimiser
from engine.training.pull import PullToStart
from engine.training.trainer import Session, run_epochs, set_up, train
from tests.conftest import Recorder
from tests.engine.specs import tiny_spec
from tests.sweeps import sweep

RESNET = ModelSpec(backbone="torchvision/resnet18", weights="random")


@pytest.fixture(autouse=True)
def _restored_torch() -> Iterator[None]:
    yield
    torch.use_deterministic_algorithms(False)


def session_of(folder: Path, run: Path, settings: dict[str, Any]) -> Session:
    run.mkdir(exist_ok=True)
    return set_up(tiny_spec(folder, settings), run, Recorder(), 0.0)


def statistics(session: Session) -> dict[str, torch.Tensor]:
    return {
        name: tensor.clone()
        for name, tensor in session.model.state_dict().items()
        if "running_" in name
    }


# ---- BatchNorm's statistics


@pytest.mark.parametrize(
    ("mode", "strategy", "moves"),
    [
        ("follow", "frozen", False),
        ("follow", "full", True),
        ("frozen", "full", False),
        ("update", "frozen", True),
        ("follow", "bias_only", False),
        ("update", "bias_only", True),
    ],
)
def test_batch_norm_statistics_do_what_the_mode_says(
    mode: str, strategy: str, moves: bool, tiny_folder: Path, tmp_path: Path
) -> None:
    settings = {"training.batch_norm": mode, "strategy.name": strategy, "training.epochs": 1}
    session = session_of(tiny_folder, tmp_path, settings)
    before = statistics(session)
    run_epochs(session)
    after = statistics(session)
    changed = [name for name, tensor in before.items() if not torch.equal(tensor, after[name])]
    assert len(changed) == (len(before) if moves else 0)


def test_updated_statistics_of_a_frozen_backbone_are_in_the_checkpoint(
    tiny_folder: Path, tmp_path: Path
) -> None:
    from engine.training.checkpoint import load_checkpoint

    settings = {"training.batch_norm": "update", "training.epochs": 1}
    session = session_of(tiny_folder, tmp_path, settings)
    run_epochs(session)
    session.checkpoint.write()
    model, _ = load_checkpoint(session.checkpoint.file)
    found = model.state_dict()
    assert all(torch.equal(found[name], t) for name, t in statistics(session).items())


# ---- clipping, average, pull


def test_clipping_bounds_the_gradient(tiny_folder: Path, tmp_path: Path) -> None:
    settings = {"training.clip_norm": 0.01, "strategy.name": "full", "optimiser.name": "sgd"}
    session = session_of(tiny_folder, tmp_path, settings)
    norms = []
    step = session.learner.optimiser.step

    def watched_step(*arguments: Any) -> Any:
        free = [p.grad.norm() for p in session.model.parameters() if p.grad is not None]
        norms.append(float(torch.stack(free).norm()))
        return step(*arguments)

    session.learner.optimiser.step = watched_step  # type: ignore[method-assign]
    run_epochs(session)
    assert norms
    assert all(norm <= 0.01 * 1.001 for norm in norms)


def test_the_average_of_weights_is_what_is_validated_and_kept(
    tiny_folder: Path, tmp_path: Path
) -> None:
    settings = {"training.ema_decay": 0.9, "strategy.name": "full", "optimiser.lr": 1e-3}
    session = session_of(tiny_folder, tmp_path, settings)
    run_epochs(session)
    assert session.judged is not session.model
    last, average = session.model.state_dict(), session.judged.state_dict()
    assert any(not torch.equal(last[name], average[name]) for name in last)
    # Halfway between where it started and where it went, so nearer to the start than the last.
    start = build_classifier(session.spec.model, 3, 0, 64).state_dict()
    name = "backbone.network.conv_stem.weight"
    assert (average[name] - start[name]).norm() < (last[name] - start[name]).norm()
    session.checkpoint.write()


def test_an_average_leaves_a_frozen_backbone_bit_identical(
    tiny_folder: Path, tmp_path: Path
) -> None:
    session = session_of(tiny_folder, tmp_path, {"training.ema_decay": 0.9})
    before = {n: t.clone() for n, t in session.model.backbone.state_dict().items()}
    run_epochs(session)
    after = session.judged.backbone.state_dict()
    assert all(torch.equal(after[name], tensor) for name, tensor in before.items())


def test_the_pull_is_half_the_squared_distance() -> None:
    model = build_classifier(RESNET, num_classes=2, seed=0)
    model.set_trainable(tuple(model.backbone.stages))
    penalty = PullToStart(Pull(backbone=0.5, head=0.2), model)
    head = sum(float(p.detach().square().sum()) for p in model.head.parameters())
    assert float(penalty().detach()) == pytest.approx(0.5 * 0.2 * head, rel=1e-5)
    weight = model.backbone.network.get_parameter("conv1.weight")
    with torch.no_grad():
        weight.add_(0.1)
    away = 0.5 * 0.5 * 0.01 * weight.numel()
    assert float(penalty().detach()) == pytest.approx(0.5 * 0.2 * head + away, rel=1e-4)


def test_a_strong_pull_keeps_weights_near_their_start(tiny_folder: Path, tmp_path: Path) -> None:
    moved = []
    for pull in (0.0, 10.0):
        settings = {
            "strategy.name": "l2_sp",
            "strategy.pull": pull,
            "optimiser.name": "sgd",
            "optimiser.lr": 1e-2,
            "training.epochs": 4,
        }
        session = session_of(tiny_folder, tmp_path, settings)
        start = session.model.backbone.network.get_parameter("conv_stem.weight").clone()
        run_epochs(session)
        end = session.model.backbone.network.get_parameter("conv_stem.weight")
        moved.append(float((end - start).norm().detach()))
    assert moved[1] < 0.8 * moved[0]


def test_a_pulled_backbone_does_not_decay(tiny_folder: Path, tmp_path: Path) -> None:
    settings = {"strategy.name": "l2_sp", "optimiser.weight_decay": 0.1}
    session = session_of(tiny_folder, tmp_path, settings)
    assert {group["weight_decay"] for group in session.learner.optimiser.param_groups} == {0.0}


# ---- mixing


def test_mixing_shares_labels_as_it_shares_pictures() -> None:
    mixer = Mixer(TrainingSpec(mixup=0.4), num_classes=3, seed=0)
    images, labels = torch.zeros(4, 3, 8, 8), torch.tensor([0, 1, 2, 0])
    images += labels.view(4, 1, 1, 1)
    mixed, targets = mixer(images, labels, step=1)
    assert targets.shape == (4, 3)
    assert torch.allclose(targets.sum(1), torch.ones(4))
    values = targets @ torch.tensor([0.0, 1.0, 2.0])
    assert torch.allclose(mixed.mean(dim=(1, 2, 3)), values, atol=1e-5)


@pytest.mark.parametrize("kind", [{"mixup": 0.3}, {"cutmix": 1.0}, {"mixup": 0.3, "cutmix": 1.0}])
def test_mixing_depends_on_seed_and_step_alone(kind: dict[str, float]) -> None:
    images, labels = torch.randn(6, 3, 8, 8), torch.tensor([0, 1, 2, 0, 1, 2])

    def mixed(seed: int, step: int) -> torch.Tensor:
        return Mixer(TrainingSpec(**kind), 3, seed)(images, labels, step)[0]

    state = torch.get_rng_state()
    first = mixed(0, 1)
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(99)
    assert torch.equal(mixed(0, 1), first)
    assert any(not torch.equal(mixed(0, step), first) for step in (2, 3, 4))
    assert any(not torch.equal(mixed(seed, 1), first) for seed in (1, 2, 3))


def test_without_mixing_nothing_is_touched() -> None:
    mixer = Mixer(TrainingSpec(), 3, 0)
    images, labels = torch.randn(2, 3, 4, 4), torch.tensor([0, 1])
    assert mixer(images, labels, 1) == (images, labels)


@pytest.mark.parametrize(
    "settings",
    [
        {"training.mixup": 0.2, "training.cutmix": 1.0, "training.label_smoothing": 0.1},
        {"training.class_balance": "loss", "training.mixup": 0.2},
        {"training.class_balance": "sampling"},
        {"images.augmentation": "rand"},
        {"images.augmentation": "trivial"},
        {"training.ema_decay": 0.9, "strategy.name": "full"},
        {"optimiser.schedule": "plateau", "optimiser.patience": 0},
        {"optimiser.schedule": "one_cycle", "strategy.name": "fine_tune"},
        {"model.stochastic_depth": 0.3, "strategy.name": "full"},
        {"optimiser.name": "lamb"},
    ],
    ids=lambda settings: "+".join(f"{name}={value}" for name, value in settings.items()),
)
def test_runs_repeat_with_every_kind_of_regularisation(
    settings: dict[str, Any], tiny_folder: Path, tmp_path: Path
) -> None:
    losses = []
    for attempt in ("one", "two"):
        recorder = Recorder()
        (tmp_path / attempt).mkdir()
        outcome = train(tiny_spec(tiny_folder, settings), tmp_path / attempt, recorder)
        assert outcome.status == "finished"
        losses.append(
            [(e.values["train/loss"], e.values["val/loss"]) for e in recorder.of_kind("epoch")]
        )
        torch.manual_seed(1234)
    assert losses[0] == losses[1]


# ---- rare classes


def test_class_weights_by_hand() -> None:
    """Four images, three of class 0: 4 / (2 * 3) and 4 / (2 * 1)."""
    weights_K = class_weights([0, 0, 0, 1], num_classes=2)
    assert weights_K.tolist() == pytest.approx([2 / 3, 2.0])


def test_a_class_without_images_weighs_nothing() -> None:
    assert class_weights([0, 0, 2], num_classes=3).tolist() == pytest.approx([0.75, 0.0, 1.5])


def test_sampling_draws_all_classes_equally_often() -> None:
    labels = [0] * 90 + [1] * 10
    batches = EpochBatches(100, 10, 0, True, equal_chances(labels, 2))
    drawn: Counter[int] = Counter()
    for epoch in range(1, 41):
        batches.epoch = epoch
        drawn.update(labels[p] for positions in batches.positions() for p in positions)
    assert sum(drawn.values()) == 4000
    assert drawn[1] / 4000 == pytest.approx(0.5, abs=0.05)


# ---- stochastic depth


def test_stochastic_depth_of_torchvision_rises_to_the_rate() -> None:
    spec = ModelSpec(backbone="torchvision/convnext_tiny", weights="random", stochastic_depth=0.4)
    model = build_classifier(spec, 2, 0, 64)
    rates = [m.p for m in model.modules() if isinstance(m, StochasticDepth)]
    assert rates[0] == 0.0
    assert rates[-1] == pytest.approx(0.4)
    assert rates == sorted(rates)


@pytest.mark.parametrize(
    "backbone", ["efficientnet_lite0", "timm/resnet18", "timm/vit_tiny_patch16_224"]
)
def test_stochastic_depth_of_timm_skips_in_training_only(backbone: str) -> None:
    plain = ModelSpec(backbone=backbone, weights="random")
    spec = plain.model_copy(update={"stochastic_depth": 0.8})
    still, skipping = (build_classifier(one, 2, 0, 64) for one in (plain, spec))
    images = torch.randn(8, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(still.eval()(images), skipping.eval()(images))
        skipping.train()
        for module in skipping.modules():
            if isinstance(module, nn.BatchNorm2d):
                # timm's ResNets begin with branches that add nothing, which none would miss.
                nn.init.ones_(module.weight)
            if isinstance(module, nn.BatchNorm2d | nn.Dropout):
                module.eval()
        torch.manual_seed(0)
        first = skipping(images)
        assert not torch.equal(first, skipping(images))


def test_a_backbone_without_blocks_says_so() -> None:
    spec = ModelSpec(backbone="torchvision/vgg11", weights="random", stochastic_depth=0.2)
    with pytest.raises(SpecError, match="has no blocks that can be skipped; set it to 0"):
        build_classifier(spec, 2, 0, 64)


# ---- optimisers by name


@pytest.mark.parametrize("name", sweep(OPTIMISERS, ("adamw", "sgd", "lion", "lamb").__contains__))
def test_every_optimiser_moves_what_learns_and_nothing_else(name: str) -> None:
    torch.manual_seed(0)
    model = build_classifier(RESNET, num_classes=3, seed=0)
    optimiser = build_optimiser(OptimiserSpec(name=name, lr=0.1), model)
    model.set_trainable(("layer4",))
    before = {n: p.detach().clone() for n, p in model.named_parameters()}
    images, labels = torch.randn(4, 3, 32, 32), torch.tensor([0, 1, 2, 0])
    for _ in range(2):
        optimiser.zero_grad(set_to_none=True)
        nn.functional.cross_entropy(model.train()(images), labels).backward()
        optimiser.step()
    changed = {n for n, p in model.named_parameters() if not torch.equal(p, before[n])}
    free = {n for n, p in model.named_parameters() if p.requires_grad}
    assert changed == free


def test_the_names_are_timms() -> None:
    import timm.optim

    left_out = ("bnb", "fused", "kron", "adahessian")
    listed = {name for name in timm.optim.list_optimizers() if not name.startswith(left_out)}
    assert set(OPTIMISERS) >= listed - {"adahessian"}
