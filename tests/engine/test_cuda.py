"""Training on a GPU: the numbers of a CPU, the same each time, and what is frozen stays so."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

import engine.training.layout
import engine.training.precision
from engine.data.manifest import MANIFEST_FILE, Manifest
from engine.errors import TrainingError
from engine.home import CHECKPOINT_FILE
from engine.models.backbone import build_backbone
from engine.models.classifier import build_classifier
from engine.models.exact import exact_convolutions
from engine.strategies import STRATEGIES
from engine.training import trainer
from engine.training.checkpoint import load_checkpoint
from engine.training.mixing import Mixer
from engine.training.precision import Precision
from engine.training.predictions import Predictions
from engine.training.repeatable import insist_where_possible
from engine.training.session import Session
from engine.training.trainer import run_epochs
from tests.conftest import Recorder
from tests.engine.gpu import FULL, NEEDS_GPU, SGD, Bench
from tests.engine.helm import FREEZE_BLOCK3, HALVE_HEAD, Helm
from tests.engine.specs import tiny_spec

pytestmark = NEEDS_GPU

PARTIAL = {"strategy.name": "partial", "strategy.last_stages": 3} | SGD
MIXED = {"training.precision": "mixed"}
NO_DROPOUT = {"model.dropout": 0.0}
VIT = {"model.backbone": "timm/vit_tiny_patch16_224", "model.weights": "random"}


@pytest.fixture
def bench(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return Bench(tiny_folder, tmp_path_factory)


@pytest.fixture
def exact() -> Iterator[None]:
    with exact_convolutions():
        yield


# ---- where it is computed


def test_auto_takes_the_gpu_and_says_which(bench: Bench) -> None:
    done = bench.train({"device": "auto", "training.epochs": 1})
    [ready] = done.told("ready")
    assert ready["device"] == torch.cuda.get_device_name()
    assert 0 < done.series("peak_memory_mib")[0] < 4096


@pytest.mark.parametrize("augmentation", ["none", "flip"])
@pytest.mark.parametrize(
    ("paying", "layout"), [(10**9, torch.contiguous_format), (1, torch.channels_last)], ids=str
)
def test_pictures_and_weights_lie_there_in_the_layout_that_pays(
    bench: Bench,
    monkeypatch: pytest.MonkeyPatch,
    augmentation: str,
    paying: int,
    layout: torch.memory_format,
) -> None:
    monkeypatch.setattr(engine.training.layout, "PAYING_IMAGES", paying)
    session = bench.session(FULL | {"images.augmentation": augmentation})
    convolutions = [
        one for one in session.model.parameters() if one.ndim == 4 and one[0, 0].numel() > 1
    ]
    batches = [next(iter(source.epoch(1))) for source in session.feed.pictures()]
    for tensor in (*convolutions, *(images for images, _, _ in batches)):
        assert tensor.is_cuda
        assert tensor.is_contiguous(memory_format=layout)
    assert all(labels.is_cuda for _, labels, _ in batches)


# ---- what is frozen


@pytest.mark.parametrize("augmentation", ["none", "standard"])
@pytest.mark.parametrize("precision", ["full", "mixed"])
def test_a_frozen_backbone_stays_bit_identical(
    bench: Bench, augmentation: str, precision: str
) -> None:
    session = bench.session(
        {"images.augmentation": augmentation, "training.precision": precision, "model.dropout": 0.2}
    )
    head = {name: tensor.clone() for name, tensor in session.model.head.state_dict().items()}
    run_epochs(session)
    original = build_backbone("efficientnet_lite0").state_dict()
    after = session.model.backbone.state_dict()
    assert [name for name in original if not torch.equal(after[name].cpu(), original[name])] == []
    learnt = session.model.head.state_dict()
    assert all(not torch.equal(learnt[name], tensor) for name, tensor in head.items())


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"model.head": "mlp"},
        PARTIAL,
        PARTIAL | {"training.ema_decay": 0.9},
        PARTIAL | {"images.augmentation": "flip", "images.views": 2, "training.epochs": 3},
        {"strategy.name": "gradual", "strategy.unfreeze_every": 2, "training.epochs": 5} | SGD,
        {"strategy.name": "lp_ft", "training.epochs": 4} | SGD | {"optimiser.lr": 1e-3},
    ],
    ids=str,
)
@pytest.mark.usefixtures("exact")
def test_what_was_kept_gives_the_numbers_of_pictures(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, settings: dict[str, Any]
) -> None:
    kept = bench.train(settings)
    assert kept.told("features")
    monkeypatch.setattr(Session, "inputs", lambda self, step: None)
    direct = bench.train(settings)
    assert not direct.told("features")
    assert kept.losses == pytest.approx(direct.losses, abs=2e-3)


def test_features_of_a_gpu_are_not_taken_for_those_of_a_cpu(bench: Bench) -> None:
    found = [
        bench.train({"device": device, "training.epochs": 1}).told("features")[0]["features_found"]
        for device in ("cpu", "cuda", "cpu", "cuda")
    ]
    assert found == [False, False, True, True]


# ---- the numbers


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"training.feature_precision": "half"},
        {"images.normalisation": "dataset"},
        {"training.class_balance": "loss", "training.label_smoothing": 0.1},
        {"training.class_balance": "sampling", "images.augmentation": "standard"},
        {"training.ema_decay": 0.9, "training.clip_norm": 0.5},
        {"training.mixup": 0.4, "training.cutmix": 0.4},
        {"training.accumulation": 3},
        {"training.gradient_checkpointing": True},
        {"strategy.name": "frozen", "training.batch_norm": "update"},
        {"images.start_size": 32, "training.epochs": 3},
        {"optimiser.name": "lamb"},
        {"optimiser.schedule": "plateau"},
        *({"strategy.name": name} for name in STRATEGIES),
    ],
    ids=str,
)
@pytest.mark.usefixtures("exact")
def test_a_gpu_gives_the_numbers_of_a_cpu(bench: Bench, settings: dict[str, Any]) -> None:
    # BatchNorm on the statistics of eight pictures makes much of how a sum is rounded.
    gentle = FULL | SGD | NO_DROPOUT | {"optimiser.lr": 1e-3, "training.batch_norm": "frozen"}
    gentle |= settings
    there, here = (bench.train(gentle | {"device": device}) for device in ("cuda", "cpu"))
    assert there.outcome.status == "finished"
    assert there.losses[0] == pytest.approx(here.losses[0], abs=3e-3)
    assert there.losses == pytest.approx(here.losses, abs=3e-2)


@pytest.mark.parametrize(
    "settings",
    [
        {"model.dropout": 0.5},
        FULL | {"images.augmentation": "standard", "model.dropout": 0.3},
        FULL | MIXED | {"training.mixup": 0.4, "model.dropout": 0.3},
        FULL | {"optimiser.name": "sgd", "model.stochastic_depth": 0.2},
        {"strategy.name": "lora"},
        PARTIAL,
        # The second run finds on disk what the first had to compute.
        {"strategy.name": "lp_ft", "training.epochs": 4, "optimiser.lr": 1e-3},
        FULL | {"model.backbone": "torchvision/resnet18", "model.weights": "random"},
        FULL | VIT,
        FULL | VIT | MIXED | {"model.backbone": "torchvision/vit_b_16"},
    ],
    ids=str,
)
def test_the_same_spec_gives_the_same_numbers_bit_for_bit(
    bench: Bench, settings: dict[str, Any]
) -> None:
    first, again = bench.train(settings), bench.train(settings)
    assert first.losses == again.losses
    one, other = (load_checkpoint(done.folder / CHECKPOINT_FILE)[0] for done in (first, again))
    pairs = zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    assert all(torch.equal(*pair) for pair in pairs)


@pytest.mark.parametrize(
    ("name", "repeats"),
    [
        ("efficientnet_lite0", True),
        ("timm/vit_tiny_patch16_224", True),
        ("torchvision/alexnet", False),
    ],
)
def test_whether_training_repeats_is_tried_and_leaves_no_trace(name: str, repeats: bool) -> None:
    spec = tiny_spec("photos", {"model.backbone": name, "model.weights": "random"})
    model = build_classifier(spec.model, 3, 0, 64).to("cuda")
    model.set_trainable(model.backbone.stages)
    model.train_stages(model.backbone.stages)
    before = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    states = torch.get_rng_state(), torch.cuda.get_rng_state()
    torch.use_deterministic_algorithms(True, warn_only=True)
    images = torch.zeros(4, 3, 64, 64, device="cuda")
    assert insist_where_possible(model, lambda: model(images)) is repeats
    assert torch.is_deterministic_algorithms_warn_only_enabled() is not repeats
    assert all(torch.equal(before[key], tensor) for key, tensor in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())
    assert torch.equal(torch.get_rng_state(), states[0])
    assert torch.equal(torch.cuda.get_rng_state(), states[1])


def test_it_is_tried_once_for_each_set_of_stages_that_learns(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    shapes: list[torch.Size] = []

    def note(model: torch.nn.Module, logits: Callable[[], torch.Tensor]) -> bool:
        shapes.append(logits().shape)
        return insist_where_possible(model, logits)

    monkeypatch.setattr(trainer, "insist_where_possible", note)
    bench.train({"strategy.name": "lp_ft", "training.epochs": 6})
    assert shapes == [(6, 3)]
    bench.train({"strategy.name": "gradual", "training.epochs": 3, "training.accumulation": 2})
    assert shapes[1:] == [(3, 3)] * 2
    bench.train(PARTIAL | {"training.compile": True})
    assert len(shapes) == 4


def test_a_network_that_cannot_repeat_trains_all_the_same(bench: Bench) -> None:
    settings = FULL | VIT | {"model.backbone": "torchvision/alexnet", "training.epochs": 1}
    with pytest.warns(UserWarning, match="adaptive_avg_pool2d_backward_cuda does not have"):
        assert bench.train(settings).outcome.status == "finished"


def test_blended_pictures_keep_their_layout_and_the_gpus_generator_its_state() -> None:
    spec = tiny_spec("photos", {"training.mixup": 0.4, "training.cutmix": 0.4}).training
    images, labels = torch.rand(4, 3, 8, 8, device="cuda"), torch.arange(4, device="cuda")
    images = images.to(memory_format=torch.channels_last)
    torch.manual_seed(5)
    before = torch.cuda.get_rng_state()
    for step in range(1, 5):
        mixed, _ = Mixer(spec, 4, seed=0)(images, labels, step)
        assert not torch.equal(mixed, images)
        assert mixed.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(torch.cuda.get_rng_state(), before)


# ---- fewer bits


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_all_of_a_network_learns_in_16_bits(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, dtype: torch.dtype
) -> None:
    monkeypatch.setattr(engine.training.precision, "mixed_dtype", lambda device: dtype)
    settings = FULL | {"training.epochs": 8, "training.clip_norm": 5.0}
    exact, mixed = bench.train(settings), bench.train(settings | MIXED)
    assert mixed.losses != exact.losses
    losses = mixed.series("train/loss")
    # In float16 the first steps only find by how much the loss may be scaled.
    assert losses[-1] < 0.6 * losses[0]
    assert mixed.outcome.best_val_accuracy is not None
    assert mixed.outcome.best_val_accuracy >= 4 / 6
    model, _ = load_checkpoint(mixed.folder / CHECKPOINT_FILE)
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}


def test_it_takes_the_format_that_the_gpu_has_units_for() -> None:
    precision = Precision("mixed", torch.device("cuda"))
    has_bfloat16 = torch.cuda.get_device_capability() >= (8, 0)
    assert precision.dtype is (torch.bfloat16 if has_bfloat16 else torch.float16)
    assert precision.scaler.is_enabled() is not has_bfloat16


# ---- memory


def test_gradient_checkpointing_takes_less_memory_for_the_same_numbers(bench: Bench) -> None:
    settings = FULL | {"images.size": 128, "model.dropout": 0.2, "model.stochastic_depth": 0.2}
    done = []
    for more in ({}, {"training.gradient_checkpointing": True}):
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        done.append(bench.train(settings | more))
    plain, forgetful = done
    assert forgetful.losses == plain.losses
    memory = [max(one.series("peak_memory_mib")) for one in done]
    assert memory[1] < 0.75 * memory[0]


def test_too_little_memory_is_a_sentence_that_says_what_to_do(bench: Bench) -> None:
    torch.cuda.empty_cache()
    total = torch.cuda.get_device_properties().total_memory
    torch.cuda.set_per_process_memory_fraction(300 * 2**20 / total)
    try:
        with pytest.raises(TrainingError) as caught:
            bench.train(FULL | {"images.size": 512, "training.batch_size": 16})
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    message = str(caught.value)
    assert torch.cuda.get_device_name() in message
    assert "ran out of memory; choose a smaller training.batch_size" in message
    assert "\n" not in message


def test_a_step_without_memory_is_done_again_in_parts(bench: Bench) -> None:
    settings = FULL | SGD | {"images.size": 288, "training.batch_size": 18, "model.dropout": 0.2}
    settings |= {"training.epochs": 1}
    torch.cuda.empty_cache()
    total = torch.cuda.get_device_properties().total_memory
    torch.cuda.set_per_process_memory_fraction(1200 * 2**20 / total)
    try:
        short = bench.train(settings)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    told = " ".join(str(one["memory_note"]) for one in short.told("memory"))
    found = re.search(r"computed in (\d+) parts", told)
    assert found is not None, told
    by_hand = bench.train(settings | {"training.accumulation": int(found[1])})
    # With little memory a GPU may compute a convolution in another way.
    assert short.losses == pytest.approx(by_hand.losses, rel=1e-2)
    assert max(short.series("peak_memory_mib")) < 1200


# ---- compiled


def test_a_compiled_network_gives_the_same(bench: Bench) -> None:
    settings = {"model.backbone": "torchvision/resnet18", "model.weights": "random"}
    settings |= FULL | SGD | {"optimiser.lr": 1e-3, "training.epochs": 1}
    torch._dynamo.reset()
    plain = bench.train(settings)
    compiled = bench.train(settings | {"training.compile": True})
    assert compiled.losses == pytest.approx(plain.losses, rel=2e-2)


# ---- what is left behind


@pytest.mark.parametrize("more", [{}, MIXED, {"strategy.name": "lora"}], ids=str)
def test_a_checkpoint_gives_the_same_predictions_on_a_cpu(
    bench: Bench, more: dict[str, Any]
) -> None:
    done = bench.train(FULL | more)
    model, header = load_checkpoint(done.folder / CHECKPOINT_FILE)
    assert {tensor.device.type for tensor in model.state_dict().values()} == {"cpu"}
    assert header.val_accuracy == done.outcome.best_val_accuracy
    kept = Predictions.load(done.folder)
    assert kept is not None
    session = bench.session(FULL | more | {"device": "cpu"})
    manifest = Manifest.from_file(done.folder / MANIFEST_FILE)
    assert manifest.val == session.manifest.val
    with torch.inference_mode():
        logits = [model(images) for images, _, _ in session.feed.pictures()[1].epoch(1)]
    found = torch.cat(logits).softmax(dim=1)
    expected = torch.from_numpy(kept.probabilities_NK)
    # What was judged in 16 bits has two digits.
    torch.testing.assert_close(found, expected, atol=1e-1 if more == MIXED else 5e-3, rtol=0.0)


# ---- while it goes on


def test_it_is_steered_and_stopped(bench: Bench) -> None:
    helm = Helm([(1, FREEZE_BLOCK3), (2, HALVE_HEAD)])
    steered = bench.train(FULL | {"optimiser.schedule": "constant"}, helm)
    assert [event.values["target"] for event in helm.of_kind("act")] == ["block3", "head"]
    rates = [event.values["lr/head"] for event in helm.of_kind("step")]
    assert rates == [1e-3, 1e-3, 5e-4, 5e-4, 5e-4, 5e-4]
    assert steered.outcome.status == "finished"
    stopped = bench.train(FULL | {"training.epochs": 50}, Recorder(stop_at=("step", 8)))
    assert stopped.outcome.status == "stopped"
    assert load_checkpoint(stopped.folder / CHECKPOINT_FILE)[1].epoch in (1, 2)
