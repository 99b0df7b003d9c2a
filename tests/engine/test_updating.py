"""A model in use is updated: it begins as it was, learns by each method, and is judged on all."""

import shutil
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from sklearn.neighbors import NearestCentroid
from torch import Tensor

from engine.data.manifest import MANIFEST_FILE, Batch, Manifest
from engine.errors import DataError, SpecError
from engine.home import CHECKPOINT_FILE
from engine.models.grown import GrownLinear
from engine.spec import RunSpec
from engine.training import trainer
from engine.training.checkpoint import load_checkpoint
from engine.training.curves import read_curve
from engine.training.predictions import BEFORE_FILE, Predictions
from engine.training.session import Session
from engine.training.setting_up import set_up
from engine.update.importance import PullByImportance
from engine.update.judging import NEW, OLD
from engine.update.methods import METHODS
from engine.update.start import first_backbone
from tests.conftest import TINY_CLASSES, Recorder
from tests.engine.specs import tiny_spec
from tests.engine.test_resume import same
from tests.engine.updated import NEW_CLASS, InUse, in_use
from tests.engine.updating import NUM_OLD, facts, session_of, trained

__all__ = ["in_use"]


def val_images(session: Session) -> Tensor:
    _, source = session.feed.pictures()
    return torch.cat([images for images, _, _ in source.epoch(1)])


# ---- what it begins with


@pytest.mark.parametrize("method", [name for name in METHODS if name != "ncm"])
def test_old_logits_are_those_of_the_old_model_bit_for_bit(
    method: str, in_use: InUse, tmp_path: Path
) -> None:
    session = session_of(in_use.spec(method), tmp_path / "run")
    old, _ = load_checkpoint(Path(in_use.start))
    images = val_images(session)
    session.model.eval()
    with torch.inference_mode():
        logits_NK = session.model(images)
        assert logits_NK.shape[1] == NUM_OLD + 1
        assert torch.equal(logits_NK[:, :NUM_OLD], old(images))


def test_what_the_old_model_said_is_kept_image_by_image(in_use: InUse, tmp_path: Path) -> None:
    trained(in_use.spec("naive"), tmp_path / "run")
    before = Predictions.load(tmp_path / "run", BEFORE_FILE)
    own = Predictions.load(in_use.folder)
    assert before is not None
    assert own is not None
    count = len(own.labels_N)
    assert np.array_equal(before.labels_N[:count], own.labels_N)
    # Of the best epoch, which need not be the last, and on features.
    np.testing.assert_allclose(
        before.probabilities_NK[:count, :NUM_OLD], own.probabilities_NK, atol=1e-5
    )
    assert not before.probabilities_NK[:, NUM_OLD:].any()


def test_pixels_are_normalised_as_the_old_model_knows_them(
    in_use: InUse, tiny_folder: Path, tmp_path: Path
) -> None:
    base = tmp_path / "base"
    trained(tiny_spec(tiny_folder, {"images.normalisation": "dataset"}), base)
    _, header = load_checkpoint(base / CHECKPOINT_FILE)
    own = in_use.spec(
        "naive",
        {"update.start": str(base / CHECKPOINT_FILE), "images.normalisation": "dataset"},
    )
    session = session_of(own, tmp_path / "run")
    assert (session.feed.scale.mean, session.feed.scale.std) == (header.mean, header.std)


def test_the_first_backbone_of_an_update_is_the_old_one(in_use: InUse) -> None:
    old, _ = load_checkpoint(Path(in_use.start))
    first = first_backbone(in_use.spec("naive"))
    assert same(first.state_dict(), old.backbone.state_dict())
    assert "which is updated" in first.origin.sentence
    plain = first_backbone(tiny_spec(in_use.images))
    assert plain.origin.kind == "pretrained"


# ---- which images


def test_all_are_judged_and_only_new_ones_are_learnt_from(in_use: InUse, tmp_path: Path) -> None:
    recorder, epochs = trained(in_use.spec("naive"), tmp_path / "run")
    manifest = Manifest.from_file(tmp_path / "run" / MANIFEST_FILE)
    old = Manifest.from_file(in_use.folder / MANIFEST_FILE)
    assert manifest.classes == (*TINY_CLASSES, NEW_CLASS)
    assert manifest.val[: len(old.val)] == old.val
    num_new = len(manifest.val) - len(old.val)
    assert manifest.batches == (Batch(in_use.images.name, len(old.val)), Batch("june", num_new))
    assert all(item.path.startswith(str(in_use.new)) for item in manifest.train)
    for values in epochs.values():
        old_share, new_share = float(values[OLD] or 0), float(values[NEW] or 0)  # type: ignore[arg-type]
        together = (old_share * len(old.val) + new_share * num_new) / len(manifest.val)
        assert values["val/accuracy"] == pytest.approx(together)
    said = facts(recorder)
    assert said["new_classes"] == 1
    assert said["old_images_seen_again"] == 0
    own = Predictions.load(in_use.folder)
    assert own is not None
    assert said["old_accuracy_before"] == pytest.approx(
        float((own.predicted_N == own.labels_N).mean())
    )


@pytest.mark.parametrize("balance", ["none", "sampling"])
@pytest.mark.parametrize("choice", ["herding", "random"])
def test_replay_shows_a_share_of_each_old_class(
    choice: str, balance: str, in_use: InUse, tmp_path: Path
) -> None:
    spec = in_use.spec(
        "replay",
        {
            "update.replay_share": 0.5,
            "update.replay_choice": choice,
            "training.class_balance": balance,
            "seed": 1,
        },
    )
    manifests = [session_of(spec, tmp_path / name).manifest for name in ("one", "other")]
    assert manifests[0] == manifests[1]
    old = {item.path for item in Manifest.from_file(in_use.folder / MANIFEST_FILE).train}
    again = [item for item in manifests[0].train if item.path in old]
    counts = np.bincount([item.label for item in again], minlength=NUM_OLD)
    whole = np.bincount([item.label for item in manifests[0].earlier], minlength=NUM_OLD)
    assert counts.tolist() == [round(0.5 * count) for count in whole]
    assert {item.path for item in manifests[0].spare} == old - {item.path for item in again}
    other = session_of(spec.model_copy(update={"seed": 2}), tmp_path / "seed").manifest
    seen = {item.path for item in other.train if item.path in old}
    # Chance draws others with another seed; what is most telling is the same.
    assert (seen == {item.path for item in again}) == (choice == "herding")


def test_what_is_herded_does_not_depend_on_how_images_are_drawn(
    in_use: InUse, tmp_path: Path
) -> None:
    chosen = [
        session_of(
            in_use.spec("replay", {"training.class_balance": balance}), tmp_path / balance
        ).manifest
        for balance in ("none", "sampling")
    ]
    assert chosen[0] == chosen[1]


def test_a_larger_share_keeps_what_a_smaller_one_herds(in_use: InUse, tmp_path: Path) -> None:
    shares = [
        {
            item.path
            for item in session_of(
                in_use.spec("replay", {"update.replay_share": share}), tmp_path / str(share)
            ).manifest.train
        }
        for share in (0.2, 0.6)
    ]
    assert shares[0] < shares[1]


def test_joint_learns_from_everything(in_use: InUse, tmp_path: Path) -> None:
    manifest = session_of(in_use.spec("joint"), tmp_path / "run").manifest
    assert set(manifest.earlier) < set(manifest.train)
    assert len(manifest.train) == len(manifest.earlier) + len(
        [one for one in manifest.train if one.path.startswith(str(in_use.new))]
    )


@pytest.mark.parametrize("method", ["replay", "joint", "ncm"])
def test_an_old_image_that_comes_again_is_learnt_from_once(
    method: str, in_use: InUse, tmp_path: Path
) -> None:
    folder = shutil.copytree(in_use.new, tmp_path / "again")
    old = Manifest.from_file(in_use.folder / MANIFEST_FILE)
    for item in old.train:
        name = TINY_CLASSES[item.label]
        (folder / name).mkdir(exist_ok=True)
        shutil.copy(item.path, folder / name / f"again-{Path(item.path).name}")
    session = session_of(in_use.spec(method, {"data.folder": str(folder)}), tmp_path / "run")
    contents = [item.digest for item in session.manifest.train]
    assert len(contents) == len(set(contents))
    assert {item.digest for item in old.train} & set(contents)


def test_new_images_of_one_known_class_will_do(in_use: InUse, tmp_path: Path) -> None:
    folder = shutil.copytree(in_use.new / TINY_CLASSES[0], tmp_path / "one" / TINY_CLASSES[0])
    spec = in_use.spec("naive", {"data.folder": str(folder.parent)})
    session = session_of(spec, tmp_path / "run")
    assert session.manifest.classes == TINY_CLASSES
    assert not isinstance(session.model.head[-1], GrownLinear)


def test_a_name_that_is_close_has_to_be_answered(in_use: InUse, tmp_path: Path) -> None:
    folder = shutil.copytree(in_use.new, tmp_path / "close")
    (folder / TINY_CLASSES[0]).rename(folder / "Bird")
    spec = in_use.spec("naive", {"data.folder": str(folder)})
    with pytest.raises(DataError, match="'Bird' of the new images is close to birds"):
        session_of(spec, tmp_path / "run")
    for answer, classes in (
        ("birds", (*TINY_CLASSES, NEW_CLASS)),
        ("", (*TINY_CLASSES, "Bird", NEW_CLASS)),
    ):
        said = spec.model_copy(
            update={"update": spec.update.model_copy(update={"names": (("Bird", answer),)})}
        )
        assert session_of(said, tmp_path / f"run{answer}").manifest.classes == classes


# ---- what learns


def test_frozen_head_moves_new_rows_alone(in_use: InUse, tmp_path: Path) -> None:
    trained(in_use.spec("frozen_head"), tmp_path / "run")
    old, new = (load_checkpoint(f / CHECKPOINT_FILE)[0] for f in (in_use.folder, tmp_path / "run"))
    assert same(old.backbone.state_dict(), new.backbone.state_dict())
    last = new.head[-1]
    assert isinstance(last, GrownLinear)
    assert same(old.head[-1].state_dict(), last.old.state_dict())
    session = session_of(in_use.spec("frozen_head"), tmp_path / "again")
    before = session.model.head[-1].new.weight.detach().clone()  # type: ignore[union-attr]
    assert not torch.equal(before, last.new.weight)


def test_frozen_head_without_a_new_class_says_so(in_use: InUse, tmp_path: Path) -> None:
    folder = shutil.copytree(in_use.new / TINY_CLASSES[0], tmp_path / "one" / TINY_CLASSES[0])
    spec = in_use.spec("frozen_head", {"data.folder": str(folder.parent)})
    with pytest.raises(SpecError, match="the new images have none"):
        session_of(spec, tmp_path / "run")


@pytest.mark.parametrize("balance", ["none", "sampling"])
def test_nearest_class_mean_is_that_of_scikit_learn(
    balance: str, in_use: InUse, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    recorder, epochs = trained(in_use.spec("ncm", {"training.class_balance": balance}), folder)
    session = session_of(in_use.spec("ncm"), tmp_path / "again")
    (train_ND, labels_N), (val_ND, val_labels_N) = (
        _features(source) for source in session.feed.features(session.model.backbone)
    )
    with warnings.catch_warnings():
        # Of features that are 0 in every image.
        warnings.filterwarnings("ignore", message="self.within_class_std_dev_")
        expected = NearestCentroid().fit(train_ND, labels_N)
    kept = Predictions.load(folder)
    assert kept is not None
    assert kept.predicted_N.tolist() == expected.predict(val_ND).tolist()
    if balance == "none":
        assert epochs[1]["train/accuracy"] == pytest.approx(expected.score(train_ND, labels_N))
    assert epochs[1]["val/accuracy"] == pytest.approx(expected.score(val_ND, val_labels_N))
    assert facts(recorder)["old_images_seen_again"] == len(session.manifest.earlier)


def _features(source: Any) -> tuple[np.ndarray, np.ndarray]:
    batches = [(features.numpy(), labels.numpy()) for features, labels, _ in source.epoch(1)]
    return (
        np.concatenate([features for features, _ in batches]),
        np.concatenate([labels for _, labels in batches]),
    )


def _old_answers_moved(spec: RunSpec, in_use: InUse, folder: Path) -> float:
    """How far the answers to the new training images have gone from the old model's."""
    folder.mkdir()
    session = set_up(spec, folder, Recorder(), 0.0)
    trainer.run_epochs(session)
    old, _ = load_checkpoint(Path(in_use.start))
    source, _ = session.feed.pictures()
    session.model.eval()
    with torch.inference_mode():
        apart = [
            (session.model(images)[:, :NUM_OLD].log_softmax(1) - old(images).log_softmax(1)).abs()
            for images, _, _ in source.epoch(1)
        ]
    return float(torch.cat(apart).mean())


def test_a_teacher_holds_the_old_answers(in_use: InUse, tmp_path: Path) -> None:
    moved = {
        weight: _old_answers_moved(
            in_use.spec(
                "lwf",
                {
                    "update.distillation": weight,
                    "training.epochs": 4,
                    "training.batch_norm": "frozen",
                },
            ),
            in_use,
            tmp_path / str(weight),
        )
        for weight in (0.0, 20.0)
    }
    assert moved[20.0] < 0.5 * moved[0.0]


def test_a_teacher_without_weight_changes_nothing(in_use: InUse, tmp_path: Path) -> None:
    _, taught = trained(in_use.spec("lwf", {"update.distillation": 0.0}), tmp_path / "lwf")
    _, alone = trained(in_use.spec("naive"), tmp_path / "naive")
    assert taught == alone


def test_a_teacher_on_what_comes_before_a_cut_teaches_the_same(
    in_use: InUse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = in_use.spec(
        "lwf", {"strategy.name": "partial", "strategy.last_stages": 2, "training.epochs": 3}
    )
    _, on_cut = trained(spec, tmp_path / "cut")
    monkeypatch.setattr(Session, "inputs", lambda session, step: None)
    _, on_pictures = trained(spec, tmp_path / "pictures")
    for epoch, values in on_cut.items():
        assert values["train/loss"] == pytest.approx(on_pictures[epoch]["train/loss"], rel=1e-4)


def test_importance_is_the_mean_square_of_gradients(in_use: InUse, tmp_path: Path) -> None:
    session = session_of(in_use.spec("ewc"), tmp_path / "run")
    penalty = session.learner.penalty
    assert isinstance(penalty, PullByImportance)
    assert float(penalty().detach()) == 0.0
    weights = {id(parameter): weight for parameter, _, weight in penalty._pulled}
    mean = sum(float(w.sum()) for w in weights.values()) / sum(w.numel() for w in weights.values())
    assert mean == pytest.approx(1.0, rel=1e-4)
    last = session.model.head[-1]
    assert isinstance(last, GrownLinear)
    # Nothing old depends on rows that are new.
    assert id(last.new.weight) not in weights
    fisher_KD = weights[id(last.old.weight)]  # type: ignore[index]
    bias_K = weights[id(last.old.bias)]
    # The gradient of a linear layer's weight is that of its bias times the feature.
    source = session.feed.spare_images()
    session.model.eval()
    with torch.inference_mode():
        features_ND = torch.cat(
            [session.model.backbone(images) for images, _, _ in source.epoch(1)]
        )
    least, most = features_ND.square().min(dim=0).values, features_ND.square().max(dim=0).values
    assert bool((fisher_KD >= bias_K[:, None] * least * 0.99).all())
    assert bool((fisher_KD <= bias_K[:, None] * most * 1.01).all())


@pytest.mark.parametrize(
    ("method", "setting", "most"),
    [("ewc", "update.importance", 1e5), ("l2_sp", "strategy.pull", 10.0)],
)
def test_a_stronger_pull_keeps_the_weights_nearer(
    method: str, setting: str, most: float, in_use: InUse, tmp_path: Path
) -> None:
    old = load_file(Path(in_use.start))
    away = {}
    for strength in (0.0, most):
        given = {setting: strength, "training.epochs": 3}
        session = session_of(in_use.spec(method, given), tmp_path / str(strength))
        trainer.run_epochs(session)
        now = session.model.state_dict()
        moved = [
            (now[name] - tensor).square().sum()
            for name, tensor in old.items()
            if name.startswith("backbone") and name.endswith("weight")
        ]
        away[strength] = float(torch.stack(moved).sum())
    assert away[most] < 0.5 * away[0.0]


def test_the_head_is_pulled_to_what_it_knew(in_use: InUse, tmp_path: Path) -> None:
    session = session_of(in_use.spec("l2_sp"), tmp_path / "run")
    assert session.learner.penalty is not None
    new = session.model.head[-1].new  # type: ignore[union-attr]
    expected = 0.5 * 0.01 * (new.weight.square().sum() + new.bias.square().sum())
    found = float(session.learner.penalty().detach())
    assert found == pytest.approx(float(expected.detach()), rel=1e-5)


def test_a_blend_lies_between_old_and_new(in_use: InUse, tmp_path: Path) -> None:
    recorder, _ = trained(in_use.spec("wise_ft", {"strategy.alpha": 0.0}), tmp_path / "run")
    curve = read_curve(tmp_path / "run")
    assert curve is not None
    old, kept = load_file(Path(in_use.start)), load_file(tmp_path / "run" / CHECKPOINT_FILE)
    backbone = [name for name in old if name.startswith("backbone") and "num_batches" not in name]
    assert all(torch.equal(old[name], kept[name]) for name in backbone)
    assert facts(recorder)["old_accuracy_before"] is not None
    assert [alpha for alpha, _ in curve.points] == [tenth / 10 for tenth in range(11)]


@pytest.mark.parametrize("strategy", ["gradual", "lp_ft", "lora", "norm_only", "wise_ft", "l2_sp"])
@pytest.mark.parametrize("method", ["lwf", "ewc"])
def test_methods_go_with_any_strategy(
    method: str, strategy: str, in_use: InUse, tmp_path: Path
) -> None:
    _, epochs = trained(in_use.spec(method, {"strategy.name": strategy}), tmp_path / "run")
    assert len(epochs) == 2
    model, header = load_checkpoint(tmp_path / "run" / CHECKPOINT_FILE)
    assert len(header.classes) == NUM_OLD + 1
    assert model.head[-1].in_features  # type: ignore[union-attr]
