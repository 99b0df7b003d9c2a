"""Train: what a newcomer sees, and what a click starts."""

from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from dashboard.plan_summary import count_learning
from engine.data.batches import num_batches
from engine.models.catalogue import backbone_record
from engine.runs.store import Store
from engine.strategies import STRATEGIES
from engine.training.optimiser_names import OPTIMISERS
from engine.training.setting_up import set_up
from engine.training.speeds import FORWARD, TRAIN_FULL, Speed, record_speed
from tests.conftest import Recorder
from tests.dashboard.made import add_run, finish
from tests.dashboard.pages import (
    choose,
    controls_of,
    learning,
    open_page,
    press_start,
    run,
    runs_in_address,
    start_button,
    text_of,
)
from tests.engine.specs import tiny_spec

BACKBONE_PARAMETERS = 3_371_008


def test_the_first_view_shows_the_sample_data_and_what_to_do(store: Store) -> None:
    page = open_page("train")
    assert page.title[0].value == "How should this model be updated with your images?"
    assert "**8 classes**, 289 images to train on and 97 to validate on." in text_of(page)
    assert start_button(page).label == "Train both"
    assert not start_button(page).disabled
    assert not page.error
    assert not page.warning
    assert learning(page) == [(10_248, 3_381_256), (3_381_256, 3_381_256)]
    assert store.all_runs() == []


def test_digits_are_one_click_away() -> None:
    page = choose(open_page("train"), "train.source", "digits")
    assert "**10 classes**, 1,438 images to train on and 359 to validate on." in text_of(page)
    assert learning(page)[0] == (12_810, BACKBONE_PARAMETERS + 12_810)


@pytest.mark.usefixtures("small_sample")
class TestSettings:
    """What follows from moving a control."""

    def test_an_mlp_head_has_more_to_learn(self) -> None:
        page = open_page("train")
        linear = 1281 * 3
        assert learning(page)[0] == (linear, BACKBONE_PARAMETERS + linear)
        choose(page, "train.model.head", "mlp")
        mlp = 1281 * 128 + 129 * 3
        assert learning(page)[0] == (mlp, BACKBONE_PARAMETERS + mlp)
        choose(page, "train.model.hidden_units", 256)
        wide = 1281 * 256 + 257 * 3
        full = BACKBONE_PARAMETERS + wide
        assert learning(page) == [(wide, full), (full, full)]

    @pytest.mark.parametrize(
        ("strategies", "label"),
        [
            (["frozen"], "Train frozen"),
            (["lora"], "Train LoRA"),
            (["lp_ft"], "Train probe, then full"),
            (["gradual", "frozen"], "Train both"),
            (["full", "partial", "gradual"], "Train all 3"),
            (list(STRATEGIES), "Train all 13"),
        ],
    )
    def test_the_button_says_what_it_starts(self, strategies: list[str], label: str) -> None:
        page = choose(open_page("train"), "train.strategy", strategies)
        assert start_button(page).label == label
        assert len(learning(page)) == len(strategies)

    def test_without_a_strategy_nothing_can_be_started(self) -> None:
        page = choose(open_page("train"), "train.strategy", [])
        assert start_button(page).disabled
        assert "Choose a strategy first" in text_of(page)

    def test_a_strategy_that_has_nothing_to_train_in_a_backbone_cannot_be_started(self) -> None:
        page = choose(
            open_page("train"), "train.model.backbone", "torchvision/alexnet.IMAGENET1K_V1"
        )
        choose(page, "train.strategy", ["frozen", "norm_only"])
        [error] = page.error
        assert "has no norms that could learn" in error.value
        assert start_button(page).disabled
        choose(page, "train.strategy", ["frozen", "bias_only"])
        assert not page.error
        assert start_button(page).label == "Train both"

    def test_everything_that_moves_says_what_moving_it_does(self) -> None:
        page = choose(open_page("train"), "train.model.head", "mlp")
        choose(page, "train.strategy", list(STRATEGIES))
        shown = {control.key for control in controls_of(page)}
        page = choose(page, "train.source", "folder")
        helpless = [control.key for control in controls_of(page) if not control.help]
        assert helpless == []
        assert {
            "train.source",
            "train.strategy",
            "train.data.val_fraction",
            "train.optimiser.lr.frozen",
            "train.optimiser.lr.full",
            "train.training.epochs",
            "train.training.batch_size",
            "train.images.size",
            "train.images.fit",
            "train.images.augmentation",
            "train.model.backbone",
            "train.model.head",
            "train.model.hidden_units",
            "train.model.dropout",
            "train.optimiser.name",
            "train.optimiser.schedule",
            "train.optimiser.weight_decay",
            "train.training.label_smoothing",
            "train.training.early_stopping",
            "train.training.max_minutes",
            "train.seed",
        } <= shown

    def test_every_slider_has_a_label_of_its_own(self) -> None:
        page = choose(open_page("train"), "train.strategy", list(STRATEGIES))
        labels = [control.label for control in controls_of(page)]
        assert all(labels)
        assert len(set(labels)) == len(labels)

    def test_settings_stay_while_another_page_is_visited(self) -> None:
        page = choose(open_page("train"), "train.training.epochs", 7)
        choose(page, "train.strategy", ["full", "partial"])
        choose(page, "train.strategy.last_stages.partial", 4)
        for name in ("compare", "train"):
            page.switch_page(f"app_pages/{name}.py")
            run(page)
        assert page.slider(key="train.training.epochs").value == 7
        assert start_button(page).label == "Train both"
        assert value_of(page, "train.strategy.last_stages.partial") == 4

    def test_a_measured_machine_gives_an_estimate(self) -> None:
        assert "Time: " in text_of(open_page("train"))
        record_speed("efficientnet_lite0", FORWARD, Speed(24.0, 160))
        record_speed("efficientnet_lite0", TRAIN_FULL, Speed(6.0, 160))
        page = open_page("train")
        assert "Time: " not in text_of(page)
        estimates = [one.value for one in page.caption if one.value.startswith("About ")]
        assert [one.split(" of computing")[0] for one in estimates] == ["About 1.0 s", "About 32 s"]

    def test_what_is_half_measured_is_half_estimated(self) -> None:
        """A page that reran itself as soon as anything was known never came to its button."""
        record_speed("efficientnet_lite0", FORWARD, Speed(24.0, 160))
        page = open_page("train")
        assert start_button(page).label == "Train both"
        assert "About 1.0 s" in text_of(page)
        assert "Time: not measured" in text_of(page)

    def test_a_busy_machine_says_that_new_runs_wait(self, store: Store) -> None:
        finish(store, add_run(store))
        assert "going on or waiting" not in text_of(open_page("train"))
        add_run(store)
        assert "1 run is going on or waiting" in text_of(open_page("train"))
        add_run(store)
        assert "2 runs are going on or waiting" in text_of(open_page("train"))


def value_of(page: AppTest, key: str) -> Any:
    [control] = [one for one in controls_of(page) if one.key == key]
    return control.value


@pytest.mark.parametrize("name", STRATEGIES)
def test_what_is_said_to_learn_is_what_will(
    name: str, tiny_folder: Path, tmp_path: Path, recorder: Recorder
) -> None:
    spec = tiny_spec(tiny_folder, {"strategy.name": name})
    set_up(spec, tmp_path, recorder, started=0.0)
    [facts] = [e.values for e in recorder.of_kind("progress") if e.values["task"] == "ready"]
    record = backbone_record(spec.model.backbone)
    said = count_learning(spec, record, num_classes=3)
    assert said == (facts["trainable_parameters"], facts["total_parameters"])
    steps = num_batches(24 - 6, spec.training.batch_size)
    assert facts["steps_per_epoch"] == steps


@pytest.mark.usefixtures("small_sample")
class TestStart:
    """What a click on the button starts."""

    def test_both_starts_a_pair_that_differs_in_strategy_and_rate_alone(
        self, store: Store, started: list[str]
    ) -> None:
        page = choose(open_page("train"), "train.seed", 5)
        press_start(page)
        full, frozen = store.all_runs()
        assert [run.spec.strategy.name for run in (frozen, full)] == ["frozen", "full"]
        assert {run.status for run in (frozen, full)} == {"queued"}
        assert frozen.group_id == full.group_id
        assert started == ["supervisor"]
        one, other = frozen.spec.flat(), full.spec.flat()
        assert {name for name in one if one[name] != other[name]} == {
            "strategy.name",
            "optimiser.lr",
        }
        assert (one["optimiser.lr"], other["optimiser.lr"]) == (3e-3, 3e-4)
        assert one["seed"] == 5

    def test_then_the_live_page_shows_them(self, store: Store) -> None:
        page = press_start(open_page("train"))
        full, frozen = store.all_runs()
        assert page.title[0].value == "Live"
        assert runs_in_address(page) == [frozen.id, full.id]
        assert page.multiselect[0].value == [frozen.id, full.id]

    @pytest.mark.parametrize("strategy", STRATEGIES)
    def test_one_strategy_starts_one_run(self, store: Store, strategy: str) -> None:
        press_start(choose(open_page("train"), "train.strategy", [strategy]))
        [only] = store.all_runs()
        assert only.spec.strategy.name == strategy
        assert only.spec.optimiser.lr == STRATEGIES[strategy].default_lr

    def test_all_strategies_are_one_group_in_their_own_order(self, store: Store) -> None:
        press_start(choose(open_page("train"), "train.strategy", list(reversed(STRATEGIES))))
        runs = store.all_runs()[::-1]
        assert [run.spec.strategy.name for run in runs] == list(STRATEGIES)
        assert len({run.group_id for run in runs}) == 1

    def test_drawing_the_page_again_starts_nothing_more(self, store: Store) -> None:
        page = press_start(open_page("train"))
        run(page)
        page.switch_page("app_pages/train.py")
        run(page)
        assert len(store.all_runs()) == 2

    @pytest.mark.parametrize(
        ("control", "value", "field"),
        [
            ("data.val_fraction", 0.35, "data.val_fraction"),
            ("data.split_seed", 7, "data.split_seed"),
            ("optimiser.lr.frozen", 1e-2, "optimiser.lr"),
            ("training.epochs", 3, "training.epochs"),
            ("training.batch_size", 8, "training.batch_size"),
            ("images.size", 224, "images.size"),
            ("images.fit", "pad", "images.fit"),
            ("images.augmentation", "flip", "images.augmentation"),
            ("model.dropout", 0.3, "model.dropout"),
            ("optimiser.name", "sgd", "optimiser.name"),
            ("optimiser.schedule", "constant", "optimiser.schedule"),
            ("optimiser.weight_decay", 0.01, "optimiser.weight_decay"),
            ("training.label_smoothing", 0.1, "training.label_smoothing"),
            ("training.early_stopping", 4, "training.early_stopping"),
            ("training.max_minutes", 30.0, "training.max_minutes"),
            ("training.batch_norm", "frozen", "training.batch_norm"),
            ("training.mixup", 0.2, "training.mixup"),
            ("training.cutmix", 1.0, "training.cutmix"),
            ("training.clip_norm", 1.0, "training.clip_norm"),
            ("training.ema_decay", 0.99, "training.ema_decay"),
            ("training.class_balance", "loss", "training.class_balance"),
            ("model.stochastic_depth", 0.1, "model.stochastic_depth"),
            ("optimiser.warmup", 0.1, "optimiser.warmup"),
            ("seed", 11, "seed"),
        ],
    )
    def test_what_a_control_says_is_what_is_trained(
        self, store: Store, control: str, value: Any, field: str
    ) -> None:
        page = choose(open_page("train"), "train.strategy", ["frozen"])
        press_start(choose(page, f"train.{control}", value))
        [only] = store.all_runs()
        assert only.spec.flat()[field] == pytest.approx(value)

    @pytest.mark.parametrize(
        ("strategy", "setting", "value"),
        [
            ("partial", "last_stages", 9),
            ("partial", "last_stages", 0),
            ("surgical", "block", "block5"),
            ("gradual", "unfreeze_every", 3),
            ("lp_ft", "probe_share", 0.2),
            ("wise_ft", "tune_scale", 0.5),
            ("wise_ft", "alpha", 0.75),
            ("discriminative", "lr_decay", 0.9),
            ("lora", "rank", 32),
            ("lora", "lora_alpha", 64.0),
            ("l2_sp", "pull", 0.1),
            ("l2_sp", "head_pull", 0.0),
        ],
    )
    def test_what_is_set_of_a_strategy_is_what_is_trained(
        self, store: Store, strategy: str, setting: str, value: Any
    ) -> None:
        page = choose(open_page("train"), "train.strategy", [strategy])
        press_start(choose(page, f"train.strategy.{setting}.{strategy}", value))
        [only] = store.all_runs()
        assert only.spec.flat()[f"strategy.{setting}"] == pytest.approx(value)

    def test_strategies_that_share_a_setting_have_it_each_for_itself(self, store: Store) -> None:
        page = choose(open_page("train"), "train.strategy", ["lp_ft", "wise_ft"])
        choose(page, "train.strategy.probe_share.lp_ft", 0.2)
        press_start(choose(page, "train.strategy.probe_share.wise_ft", 0.8))
        shares = {run.spec.strategy.name: run.spec.strategy.probe_share for run in store.all_runs()}
        assert shares == {"lp_ft": 0.2, "wise_ft": 0.8}

    @pytest.mark.parametrize(
        ("schedule", "settings"),
        [
            ("step", {"drop_factor": 0.5, "drop_every": 2}),
            ("plateau", {"drop_factor": 0.2, "patience": 0}),
            ("exponential", {"decay_rate": 0.5, "decay_steps": 10, "staircase": True}),
        ],
    )
    def test_a_schedule_shows_its_own_settings_and_no_others(
        self, store: Store, schedule: str, settings: dict[str, Any]
    ) -> None:
        page = choose(open_page("train"), "train.optimiser.schedule", schedule)
        every = {"drop_factor", "drop_every", "patience", "decay_rate", "decay_steps", "staircase"}
        shown = {one.key.rpartition(".")[2] for one in controls_of(page) if one.key} & every
        assert shown == set(settings)
        for name, value in settings.items():
            choose(page, f"train.optimiser.{name}", value)
        press_start(page)
        optimiser = store.all_runs()[0].spec.optimiser
        assert {name: getattr(optimiser, name) for name in settings} == settings
        assert optimiser.schedule == schedule

    def test_one_cycle_has_a_rise_of_its_own(self) -> None:
        page = choose(open_page("train"), "train.optimiser.schedule", "one_cycle")
        assert "train.optimiser.warmup" not in {one.key for one in controls_of(page)}

    def test_plateau_says_that_its_drops_are_measured(self) -> None:
        page = open_page("train")
        assert "come from what is measured" not in text_of(page)
        choose(page, "train.optimiser.schedule", "plateau")
        assert "come from what is measured" in text_of(page)
        assert "for more than 2 epochs, all rates are multiplied by 0.1" in text_of(page)

    def test_the_backbone_can_have_a_rate_of_its_own(self, store: Store) -> None:
        page = open_page("train")
        assert "train.optimiser.backbone_lr" not in {one.key for one in controls_of(page)}
        choose(page, "train.optimiser.own_backbone_lr", True)
        press_start(choose(page, "train.optimiser.backbone_lr", 2e-5))
        assert {run.spec.optimiser.backbone_lr for run in store.all_runs()} == {2e-5}

    def test_any_of_timms_optimisers_can_be_chosen_and_says_what_it_is(self, store: Store) -> None:
        page = choose(open_page("train"), "train.optimiser.name", "other")
        choose(page, "train.optimiser.other", "nadamw")
        assert OPTIMISERS["nadamw"] in text_of(page)
        press_start(choose(page, "train.optimiser.momentum", 0.8))
        optimiser = store.all_runs()[0].spec.optimiser
        assert (optimiser.name, optimiser.momentum) == ("nadamw", 0.8)

    def test_no_more_stages_can_learn_than_the_backbone_has(self, store: Store) -> None:
        page = choose(open_page("train"), "train.strategy", ["partial"])
        choose(page, "train.strategy.last_stages.partial", 9)
        choose(page, "train.model.backbone", "torchvision/resnet50.IMAGENET1K_V2")
        assert value_of(page, "train.strategy.last_stages.partial") == 5
        [(learn, total)] = learning(page)
        assert learn == total
        press_start(page)
        assert store.all_runs()[0].spec.strategy.last_stages == 5

    def test_a_block_that_another_backbone_lacks_gives_way_to_its_first(self, store: Store) -> None:
        page = choose(open_page("train"), "train.strategy", ["surgical"])
        choose(page, "train.strategy.block.surgical", "block7")
        choose(page, "train.model.backbone", "torchvision/resnet50.IMAGENET1K_V2")
        press_start(page)
        assert store.all_runs()[0].spec.strategy.block == "layer1"

    def test_runs_are_named_after_strategy_and_folder(
        self, store: Store, small_sample: Path
    ) -> None:
        press_start(open_page("train"))
        assert {run.name for run in store.all_runs()} == {
            f"Frozen · {small_sample.name}",
            f"Full · {small_sample.name}",
        }
