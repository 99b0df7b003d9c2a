"""Which tensors change and which stay bit-identical, per strategy and epoch, on three families.

What is expected is written here by hand, apart from the code that trains.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from engine.errors import SpecError
from engine.events import Kind, Value
from engine.home import CHECKPOINT_FILE
from engine.models.classifier import Classifier
from engine.strategies import STRATEGIES
from engine.training.checkpoint import load_checkpoint
from engine.training.predictions import Predictions
from engine.training.trainer import Session, run_epochs, set_up, train
from tests.conftest import Recorder
from tests.engine.specs import tiny_spec
from tests.sweeps import sweep

BACKBONES = {
    "efficientnet_lite0": "pretrained",
    "torchvision/resnet18": "random",
    "timm/vit_tiny_patch16_224": "random",
}
EPOCHS = 4
Stages = Sequence[str]

# Stages that learn in an epoch (counted from 1).
LEARNING: dict[str, Callable[[Stages, int], Stages]] = {
    "frozen": lambda stages, epoch: (),
    "full": lambda stages, epoch: stages,
    "partial": lambda stages, epoch: stages[-2:],
    "gradual": lambda stages, epoch: stages[len(stages) - (epoch - 1) :],
    "lp_ft": lambda stages, epoch: stages if epoch > 2 else (),
    "wise_ft": lambda stages, epoch: stages if epoch > 2 else (),
    "fine_tune": lambda stages, epoch: stages if epoch > 1 else (),
    "discriminative": lambda stages, epoch: stages,
    "surgical": lambda stages, epoch: stages[1:2],
    "norm_only": lambda stages, epoch: stages,
    "bias_only": lambda stages, epoch: stages,
    "lora": lambda stages, epoch: stages,
    "l2_sp": lambda stages, epoch: stages,
}
NORMS = (nn.BatchNorm2d, nn.LayerNorm)
KEPT_STATISTICS = ("bias_only", "lora")


class Watcher(Recorder):
    """Keeps a copy of the model's tensors at the end of every epoch."""

    session: Session
    copies: list[dict[str, Tensor]]

    def emit(self, kind: Kind, epoch: int, step: int, values: Mapping[str, Value]) -> None:
        super().emit(kind, epoch, step, values)
        if kind == "epoch":
            self.copies.append(copy_of(self.session.model))


def copy_of(model: Classifier) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def watched(folder: Path, tmp_path: Path, settings: dict[str, Any]) -> Watcher:
    """A run that was watched; the first copy is from before its first epoch."""
    watcher = Watcher()
    watcher.session = set_up(tiny_spec(folder, settings), tmp_path, watcher, 0.0)
    watcher.copies = [copy_of(watcher.session.model)]
    run_epochs(watcher.session)
    return watcher


def parameters_that_learn(session: Session, strategy: str, learning: Stages) -> set[str]:
    """Names in the model's state dict, found from the names and kinds of modules alone."""
    network = session.model.backbone.network
    names = {name for name, _ in network.named_parameters()}
    if strategy == "lora":
        names = {n for n in names if n.endswith(("A_RI", "B_OR"))}
    elif strategy == "norm_only":
        modules = dict(network.named_modules())
        names = {n for n in names if isinstance(modules[n.rpartition(".")[0]], NORMS)}
    elif strategy == "bias_only":
        names = {n for n in names if n.endswith("bias")}
    return {f"backbone.network.{n}" for n in names if stage_of(session, n) in learning}


def stage_of(session: Session, tensor: str) -> str:
    for stage in session.model.backbone.stages.values():
        inside = any(tensor.startswith(f"{path}.") for path in stage.modules)
        if inside or tensor in stage.tensors:
            return stage.name
    raise AssertionError(f"{tensor} lies in no stage")


@pytest.mark.parametrize("backbone", sweep(BACKBONES, lambda one: one == "efficientnet_lite0"))
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_what_learns_changes_and_all_else_stays_bit_identical(
    strategy: str, backbone: str, tiny_folder: Path, tmp_path: Path
) -> None:
    watcher = watched(
        tiny_folder,
        tmp_path,
        {
            "strategy.name": strategy,
            "model.backbone": backbone,
            "model.weights": BACKBONES[backbone],
            "optimiser.lr": 1e-2,
            "optimiser.schedule": "constant",
            "training.epochs": EPOCHS,
        },
    )
    session = watcher.session
    stages = tuple(session.model.backbone.stages)
    for epoch in range(1, EPOCHS + 1):
        before, after = watcher.copies[epoch - 1], watcher.copies[epoch]
        changed = {name for name in before if not torch.equal(before[name], after[name])}
        learning = LEARNING[strategy](stages, epoch)
        head = {name for name in before if name.startswith("head.")}
        expected = parameters_that_learn(session, strategy, learning) | head
        statistics = {
            name
            for name in changed - expected
            if name.endswith(("running_mean", "running_var", "num_batches_tracked"))
        }
        assert changed - statistics == expected, f"epoch {epoch}"
        moved = {stage_of(session, n.removeprefix("backbone.network.")) for n in statistics}
        assert moved <= set(() if strategy in KEPT_STATISTICS else learning), f"epoch {epoch}"


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_the_checkpoint_is_the_model_that_was_validated(
    strategy: str, tiny_folder: Path, tmp_path: Path
) -> None:
    """Adapters folded in, blends blended: what is loaded gives the logits that were judged."""
    settings = {"strategy.name": strategy, "training.epochs": 2, "optimiser.lr": 1e-3}
    recorder = Recorder()
    outcome = train(tiny_spec(tiny_folder, settings), tmp_path, recorder)
    model, header = load_checkpoint(tmp_path / CHECKPOINT_FILE)
    assert header.val_accuracy == outcome.best_val_accuracy
    kept = Predictions.load(tmp_path)
    assert kept is not None
    again = tmp_path / "again"
    again.mkdir()
    session = set_up(tiny_spec(tiny_folder, settings), again, Recorder(), 0.0)
    with torch.inference_mode():
        logits = [model(images) for images, _, _ in session.feed.pictures()[1].epoch(1)]
    found = torch.cat(logits).softmax(dim=1)
    expected = torch.from_numpy(kept.probabilities_NK)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(("strategy", "kind"), [("norm_only", "norms")])
def test_a_backbone_with_nothing_to_learn_says_so(
    strategy: str, kind: str, tiny_folder: Path, tmp_path: Path
) -> None:
    settings = {"strategy.name": strategy, "model.backbone": "torchvision/alexnet"}
    spec = tiny_spec(tiny_folder, settings | {"model.weights": "random"})
    with pytest.raises(SpecError, match=f"alexnet.* has no {kind} that could learn; choose"):
        set_up(spec, tmp_path, Recorder(), 0.0)
