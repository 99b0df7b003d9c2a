"""Steering: what a person changes takes effect before the next step, and is told."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from engine.models.catalogue import backbone_record
from engine.spec import Act
from engine.training.trainer import train
from tests.engine.helm import (
    FREE_BLOCK7,
    FREEZE_BLOCK3,
    FULL,
    HALVE_HEAD,
    STEPS_PER_EPOCH,
    Helm,
    Steer,
    steered,
)
from tests.engine.specs import tiny_spec

__all__ = ["steered"]

STAGES = backbone_record("efficientnet_lite0").stage_names


@pytest.fixture(autouse=True)
def _restored_torch() -> Iterator[None]:
    yield
    torch.use_deterministic_algorithms(False)


# ---- stages


def test_a_stage_frozen_in_mid_epoch_stays_bit_identical_from_then_on(steered: Steer) -> None:
    done = steered(FULL, Helm([(1, FREEZE_BLOCK3)]), copies=True)
    assert done.acts == (FREEZE_BLOCK3.model_copy(update={"step": 2}),)
    assert any("running_var" in name for name in done.tensors_of("block3"))
    moved = set(done.changed("block3", 0, 1))
    assert {name for name in done.tensors_of("block3") if "num_batches" not in name} <= moved
    assert done.changed("block3", 1, 2 * STEPS_PER_EPOCH) == []
    for other in (stage for stage in STAGES if stage != "block3"):
        assert done.changed(other, 1, 2), other
        assert done.changed(other, 2, 2 * STEPS_PER_EPOCH), other


def test_a_frozen_stage_that_is_set_free_again_learns_on(steered: Steer) -> None:
    free_again = Act(kind="unfreeze", target="block3")
    done = steered(FULL, Helm([(1, FREEZE_BLOCK3), (4, free_again)]), copies=True)
    assert [act.step for act in done.acts] == [2, 5]
    assert done.changed("block3", 1, 4) == []
    assert done.changed("block3", 4, 5)


def test_a_stage_set_free_in_a_run_on_features_learns_from_the_next_epoch(steered: Steer) -> None:
    done = steered({"training.epochs": 3}, Helm([(1, FREE_BLOCK7)]), copies=True)
    first_of_epoch_2 = STEPS_PER_EPOCH + 1
    [act] = done.helm.of_kind("act")
    assert (act.epoch, act.step) == (2, first_of_epoch_2)
    assert done.changed("block7", 0, STEPS_PER_EPOCH) == []
    assert done.changed("block7", STEPS_PER_EPOCH, first_of_epoch_2)
    assert done.changed("block7", 2 * STEPS_PER_EPOCH, 2 * STEPS_PER_EPOCH + 1)
    for other in (stage for stage in STAGES if stage != "block7"):
        assert done.changed(other, 0, 3 * STEPS_PER_EPOCH) == [], other


def test_a_frozen_run_on_pictures_sets_a_stage_free_before_the_next_step(steered: Steer) -> None:
    done = steered({"images.augmentation": "flip"}, Helm([(1, FREE_BLOCK7)]), copies=True)
    assert [act.step for act in done.acts] == [2]
    assert done.changed("block7", 0, 1) == []
    assert done.changed("block7", 1, 2)


def test_after_all_is_frozen_again_the_features_are_those_of_the_moved_backbone(
    steered: Steer,
) -> None:
    freeze = Act(kind="freeze", target="block7")
    done = steered(
        {"training.epochs": 4, "optimiser.lr": 0.01},
        Helm([(STEPS_PER_EPOCH, FREE_BLOCK7), (2 * STEPS_PER_EPOCH, freeze)]),
        copies=True,
    )
    assert [act.step for act in done.acts] == [4, 7]
    assert done.changed("block7", 6, 12) == []
    session = done.session
    [(features_ND, _, _)] = list(session.feed.features(session.model.backbone)[1].epoch(1))
    _, val = session.feed.pictures()
    [(images_BCHW, _, _)] = list(val.epoch(1))
    with torch.inference_mode():
        expected_BD = session.model.backbone.eval()(images_BCHW)
    torch.testing.assert_close(features_ND, expected_BD, atol=1e-3, rtol=1e-3)


def test_a_stage_frozen_ahead_of_its_phase_is_left_out_of_it(steered: Steer) -> None:
    done = steered(
        {"strategy.name": "lp_ft", "training.epochs": 4}, Helm([(1, FREEZE_BLOCK3)]), copies=True
    )
    last = 4 * STEPS_PER_EPOCH
    assert done.changed("block3", 0, last) == []
    assert done.changed("block4", 0, last)


def test_the_last_word_on_a_stage_counts(steered: Steer) -> None:
    """Both come in an epoch on features, in which no stage can begin to learn."""
    freeze = Act(kind="freeze", target="block7")
    done = steered({"training.epochs": 3}, Helm([(1, FREE_BLOCK7), (2, freeze)]), copies=True)
    assert done.changed("block7", 0, 3 * STEPS_PER_EPOCH) == []
    assert [act.kind for act in done.acts] == ["unfreeze", "freeze"]


# ---- rates


@pytest.mark.parametrize(
    ("target", "head", "backbone"), [("head", 0.5, 1.0), ("backbone", 1.0, 0.5)]
)
def test_a_rate_is_multiplied_from_the_next_step_on(
    steered: Steer, target: str, head: float, backbone: float
) -> None:
    settings = FULL | {"optimiser.schedule": "constant"}
    act = Act(kind="lr", target=target, factor=0.5)
    done = steered(settings, Helm([(2, act), (4, act)]))
    for key, factor in (("lr/head", head), ("lr/backbone", backbone)):
        expected = [1e-3] * 2 + [1e-3 * factor] * 2 + [1e-3 * factor**2] * 2
        assert done.rates(key) == pytest.approx(expected), key


def test_a_rate_follows_the_schedule_after_it_was_multiplied(steered: Steer) -> None:
    plain = steered({"training.epochs": 3})
    done = steered({"training.epochs": 3}, Helm([(4, HALVE_HEAD)]))
    ratios = [
        float(one or 0.0) / float(other or 1.0)
        for one, other in zip(done.rates("lr/head"), plain.rates("lr/head"), strict=True)
    ]
    assert ratios == pytest.approx([1.0] * 4 + [0.5] * 5)


def test_the_rate_of_one_stage_moves_no_other(steered: Steer) -> None:
    act = Act(kind="lr", target="block7", factor=0.1)
    done = steered(FULL | {"optimiser.schedule": "constant"}, Helm([(2, act)]))
    groups = done.session.learner.optimiser.param_groups
    assert {group["name"] for group in groups} == {*STAGES, "head"}
    for group in groups:
        expected = 1e-4 if group["name"] == "block7" else 1e-3
        assert group["lr"] == pytest.approx(expected), group["name"]
    # The fastest stage is what is told.
    assert done.rates("lr/backbone") == pytest.approx([1e-3] * 6)


def test_no_backbone_rate_is_told_while_all_of_it_is_frozen(steered: Steer) -> None:
    freeze = Act(kind="freeze", target="block7")
    acts = [(2, FREE_BLOCK7), (4, freeze)]
    done = steered({"images.augmentation": "flip", "training.epochs": 2}, Helm(acts))
    told = [rate is not None for rate in done.rates("lr/backbone")]
    assert told == [False, False, True, True, False, False]


# ---- what is told


def test_acts_are_told_with_where_they_took_effect(steered: Steer) -> None:
    done = steered(FULL, Helm([(1, FREEZE_BLOCK3), (4, HALVE_HEAD)]))
    told = [
        (event.epoch, event.step, event.values["sentence"]) for event in done.helm.of_kind("act")
    ]
    assert told == [(1, 2, "block3 frozen"), (2, 5, "learning rate of head × 0.5")]


def test_the_stages_are_told_at_the_start_and_after_each_act(steered: Steer) -> None:
    halve = Act(kind="lr", target="backbone", factor=0.5)
    done = steered(FULL, Helm([(1, FREEZE_BLOCK3), (4, halve)]))
    assert [(event.epoch, event.step) for event in done.phases] == [(1, 0), (1, 1), (2, 4)]
    at_first, frozen, halved = (event.values for event in done.phases)
    assert at_first == {**{f"stage/{name}": 1e-3 for name in STAGES}, "head": 1e-3}
    assert frozen == at_first | {"stage/block3": 0.0}
    for name in STAGES:
        assert halved[f"stage/{name}"] == (0.0 if name == "block3" else 5e-4)
    assert halved["head"] == 1e-3


def test_an_unsteered_run_tells_its_phases_only(steered: Steer) -> None:
    done = steered({"strategy.name": "lp_ft", "training.epochs": 4})
    assert done.acts == ()
    assert [(event.epoch, event.step) for event in done.phases] == [(1, 0), (3, 6)]


def test_what_no_step_was_left_for_is_told_at_the_end(tiny_folder: Path, tmp_path: Path) -> None:
    spec = tiny_spec(tiny_folder, FULL)
    num_steps = spec.training.epochs * STEPS_PER_EPOCH
    ahead = FREEZE_BLOCK3.model_copy(update={"step": num_steps + 1})
    helm = Helm([(1, FREE_BLOCK7), (num_steps, HALVE_HEAD)])
    outcome = train(spec.model_copy(update={"steering": (ahead,)}), tmp_path, helm)
    assert outcome.acts_too_late == (ahead.sentence, HALVE_HEAD.sentence)
    assert len(helm.of_kind("act")) == 1
