"""Settings have their effect on what is learnt."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from engine.data.decode import decode_image
from engine.errors import TrainingError
from engine.home import CHECKPOINT_FILE
from engine.training.checkpoint import load_checkpoint
from engine.training.device import choose_device
from engine.training.trainer import run_epochs
from tests.engine.tiny_training import (
    LITE0,
    SetUp,
    Train,
    _restored_torch,
    tiny_session,
    tiny_train,
)

__all__ = ["_restored_torch", "tiny_session", "tiny_train"]


# ---- settings have their effect


@pytest.mark.parametrize("name", ["sgd", "adam", "adamw"])
def test_every_optimiser_learns(tiny_train: Train, name: str) -> None:
    rate = 0.01 if name == "sgd" else 3e-3
    trained = tiny_train(
        {"optimiser.name": name, "optimiser.lr": rate, "training.epochs": 12},
    )
    losses = trained.series("train/loss")
    assert losses[-1] < 0.5 * losses[0]


@pytest.mark.parametrize(
    ("name", "kind"),
    [("sgd", torch.optim.SGD), ("adam", torch.optim.Adam), ("adamw", torch.optim.AdamW)],
)
def test_the_optimiser_is_the_one_asked_for(tiny_session: SetUp, name: str, kind: type) -> None:
    session = tiny_session(
        {"optimiser.name": name, "optimiser.weight_decay": 0.02, "strategy.name": "full"}
    )
    optimiser = session.learner.optimiser
    assert type(optimiser) is kind
    assert {group["name"] for group in optimiser.param_groups} == {*LITE0.stage_names, "head"}
    for group in optimiser.param_groups:
        for parameter in group["params"]:
            assert group["weight_decay"] == (0.02 if parameter.ndim > 1 else 0.0)
    held = [id(p) for group in optimiser.param_groups for p in group["params"]]
    assert sorted(held) == sorted(id(parameter) for parameter in session.model.parameters())


def test_weight_decay_pulls_weights_towards_zero(tiny_session: SetUp) -> None:
    norms = []
    for decay in (0.0, 1.0):
        session = tiny_session(
            {"optimiser.weight_decay": decay, "optimiser.lr": 0.03, "training.epochs": 10}
        )
        run_epochs(session)
        norms.append(float(session.model.head[1].weight.detach().norm()))
    assert norms[1] < 0.9 * norms[0]


def test_the_mlp_head_trains(tiny_train: Train) -> None:
    trained = tiny_train(
        {"model.head": "mlp", "model.hidden_units": 32, "training.epochs": 10},
    )
    losses = trained.series("train/loss")
    assert losses[-1] < 0.5 * losses[0]
    model, _ = load_checkpoint(trained.folder / CHECKPOINT_FILE)
    weights = [tuple(parameter.shape) for parameter in model.head.parameters()]
    assert weights == [(32, 1280), (32,), (3, 32), (3,)]


def test_label_smoothing_keeps_the_loss_above_its_floor(tiny_train: Train) -> None:
    settings = {"training.epochs": 40, "optimiser.lr": 3e-3}
    sharp = tiny_train(settings)
    smooth = tiny_train(settings | {"training.label_smoothing": 0.5})
    target = np.array([0.5 + 0.5 / 3, 0.5 / 3, 0.5 / 3])
    floor = float(-(target * np.log(target)).sum())
    assert sharp.series("train/loss")[-1] < 0.5 * floor
    assert smooth.series("train/loss")[-1] >= floor - 1e-6
    assert smooth.series("train/loss")[-1] < 1.5 * floor


def test_augmentation_changes_what_is_learnt_from(tiny_train: Train) -> None:
    plain, augmented = tiny_train(), tiny_train({"images.augmentation": "standard"})
    assert plain.series("train/loss") != augmented.series("train/loss")


@pytest.mark.parametrize("fit", ["crop", "squash", "pad"])
def test_every_fit_trains(tiny_train: Train, fit: str) -> None:
    trained = tiny_train({"images.fit": fit, "training.epochs": 1})
    assert trained.outcome.status == "finished"
    assert trained.outcome.best_val_accuracy is not None


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without CUDA")
def test_cuda_where_there_is_none_is_a_sentence() -> None:
    with pytest.raises(TrainingError, match="finds no CUDA GPU here; use auto or cpu"):
        choose_device("cuda")
    assert choose_device("auto").type == "cpu"


def test_the_data_sets_own_scale_is_measured_and_used(tiny_session: SetUp) -> None:
    """Mean and deviation of all pixels that are trained on, as NumPy computes them."""
    session = tiny_session({"images.normalisation": "dataset"})
    pixels = np.stack(
        [
            np.asarray(decode_image(Path(item.path)).resize((64, 64), Image.Resampling.BICUBIC))
            / 255
            for item in session.manifest.train
        ]
    )
    assert session.feed.scale.mean == pytest.approx(pixels.mean(axis=(0, 1, 2)), rel=5e-3)
    assert session.feed.scale.std == pytest.approx(pixels.std(axis=(0, 1, 2)), rel=5e-3)
    run_epochs(session)
    session.checkpoint.write()
    _, header = load_checkpoint(session.checkpoint.file)
    assert (header.mean, header.std) == (session.feed.scale.mean, session.feed.scale.std)


def test_bars_are_not_measured(tiny_session: SetUp) -> None:
    padded, squashed = (
        tiny_session({"images.normalisation": "dataset", "images.fit": fit}).feed.scale
        for fit in ("pad", "squash")
    )
    assert padded == squashed


def test_scales_change_what_is_learnt(tiny_train: Train) -> None:
    own, rescaled = (
        tiny_train({"images.normalisation": name}).series("val/loss")
        for name in ("backbone", "rescale")
    )
    assert own != rescaled


def test_an_exponential_schedule_is_followed_step_by_step(tiny_train: Train) -> None:
    trained = tiny_train(
        {
            "optimiser.schedule": "exponential",
            "optimiser.decay_rate": 0.5,
            "optimiser.decay_steps": 2,
        }
    )
    rates = [float(event.values["lr/head"] or 0.0) for event in trained.steps]
    assert rates == pytest.approx([3e-3 * 0.5 ** (step / 2) for step in range(len(rates))])
