"""The instant head on the Train page: what it asks, what it shows, what it says instead."""

from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

import dashboard.instant_section
from engine.caching import ArrayCache, cache_limit
from engine.runs.instant import Answer
from engine.runs.store import Store
from engine.spec import RunSpec
from tests.dashboard.pages import choose, open_page, run, text_of

pytestmark = pytest.mark.usefixtures("small_sample")

EPOCHS = tuple(
    {
        "epoch": epoch,
        "lr": 1e-3,
        "train/loss": 1.0 / epoch,
        "train/accuracy": 0.5,
        "val/loss": 1.2 / epoch,
        "val/accuracy": 0.25 * epoch,
        "val/f1": 0.4,
    }
    for epoch in (1, 2, 3)
)
HEAD = {
    "classes": ["birds", "fruit", "vehicles"],
    "best_epoch": 3,
    "best_val_accuracy": 0.75,
    "confusion_KK": [[2, 0, 0], [1, 1, 0], [0, 0, 2]],
    "num_train": 18,
    "num_val": 6,
    "seconds": 0.21,
}
FEATURES = {
    "features_before": "head",
    "features_images": 24,
    "features_found": True,
    "features_mib": 0.25,
    "features_seconds": 11.0,
    "features_note": "",
}
DONE = Answer(1, "done", epochs=EPOCHS, head=HEAD, features=FEATURES)


class Helper:
    """Stands for the warm process: keeps what it is asked, and gives the answer it is told."""

    def __init__(self) -> None:
        self.asked: list[RunSpec] = []
        self.forgot = 0
        self.answer = DONE

    def ask(self, who: str, spec: RunSpec) -> Answer:
        if not self.asked or self.asked[-1] != spec:
            self.asked.append(spec)
        return self.answer

    def wait(self, who: str, seconds: float) -> Answer:
        return self.answer

    def forget(self, who: str) -> None:
        self.forgot += 1


@pytest.fixture
def helper(monkeypatch: pytest.MonkeyPatch) -> Helper:
    one = Helper()
    monkeypatch.setattr(dashboard.instant_section, "helper", lambda: one)
    return one


def switched_on() -> AppTest:
    page = open_page("train")
    [toggle] = [one for one in page.toggle if one.key == "train.instant"]
    assert toggle.help
    toggle.set_value(True)
    return run(page)


def charts(page: AppTest) -> list[str]:
    return [one.proto.id for one in page.get("plotly_chart") if "instant" in one.proto.id]


def test_it_is_off_until_a_person_wants_it(helper: Helper) -> None:
    page = open_page("train")
    assert helper.asked == []
    assert "to a frozen backbone's head while you move them" in text_of(page)


def test_it_asks_for_the_frozen_run_of_the_page_and_shows_what_came(helper: Helper) -> None:
    page = switched_on()
    [spec] = helper.asked
    assert spec.strategy.name == "frozen"
    [metric] = [one for one in page.metric if one.label == "Best validation accuracy"]
    assert metric.value == "75.0 %"
    said = text_of(page)
    assert "Epoch 3 of 10, trained in 0.2 s." in said
    assert "Features were found in the cache: 0.2 MiB for 24 pictures, which saved 11 s." in said
    assert len(charts(page)) == 3


@pytest.mark.parametrize(
    ("control", "value", "path"),
    [
        ("train.training.epochs", 30, "training.epochs"),
        ("train.model.dropout", 0.3, "model.dropout"),
        ("train.training.label_smoothing", 0.1, "training.label_smoothing"),
        ("train.model.head", "mlp", "model.head"),
        ("train.optimiser.lr.frozen", 0.01, "optimiser.lr"),
        ("train.optimiser.weight_decay", 0.1, "optimiser.weight_decay"),
    ],
)
def test_each_move_of_a_slider_asks_anew(
    helper: Helper, control: str, value: Any, path: str
) -> None:
    page = switched_on()
    choose(page, control, value)
    assert len(helper.asked) == 2
    assert helper.asked[1].flat()[path] == value


@pytest.mark.parametrize(
    ("control", "value", "sentence"),
    [
        ("train.strategy", ["full"], "Choose the strategy Frozen"),
        ("train.images.augmentation", "flip", "Features differ from epoch to epoch"),
        ("train.training.mixup", 0.2, "Features differ from epoch to epoch"),
    ],
)
def test_where_it_cannot_be_it_says_what_to_choose(
    helper: Helper, control: str, value: Any, sentence: str
) -> None:
    page = switched_on()
    choose(page, control, value)
    assert any(sentence in one.value for one in page.info)
    assert len(helper.asked) == 1
    assert helper.forgot > 0
    assert charts(page) == []


def test_with_some_views_augmentation_is_instant_too(helper: Helper) -> None:
    page = switched_on()
    choose(page, "train.images.augmentation", "flip")
    choose(page, "train.images.views", 3)
    assert helper.asked[-1].images.views == 3
    assert charts(page)


def test_while_it_is_busy_it_says_with_what(helper: Helper) -> None:
    helper.answer = Answer(1, "working", "computing features", 120, 386)
    page = switched_on()
    assert "Computing features: 120 of 386" in [one.proto.text for one in page.get("progress")]
    assert "Once for these pictures and this backbone" in text_of(page)


def test_a_failure_is_one_sentence(helper: Helper) -> None:
    helper.answer = Answer(1, "failed", reason="The weights are not here; fetch them.")
    page = switched_on()
    assert "The weights are not here; fetch them." in [one.value for one in page.error]


def test_it_is_kept_as_a_run_of_the_same_spec(helper: Helper, store: Store) -> None:
    page = switched_on()
    [button] = [one for one in page.button if one.label == "Keep as a run"]
    button.click()
    run(page)
    [kept] = store.all_runs()
    assert kept.spec == helper.asked[-1]
    assert kept.status == "queued"
    assert f"Kept as run {kept.id[:4]}: see it on Live" in [
        one.proto.label for one in page.get("page_link")
    ]
    choose(page, "train.training.epochs", 12)
    assert not any("Kept as run" in one.proto.label for one in page.get("page_link"))
    assert len(store.all_runs()) == 1


# ---- the cache


def test_the_cache_can_be_bounded_and_thrown_away(helper: Helper) -> None:
    def fill(array: Any) -> None:
        array[:] = 1

    ArrayCache("features").get({"a": 1}, "ones", (2**18, 8), "float32", fill)
    page = open_page("train")
    assert "Holds **8 MiB**." in text_of(page)
    [limit] = [one for one in page.number_input if one.key == "train.cache.limit"]
    limit.set_value(3.0)
    run(page)
    assert cache_limit() == 3 * 2**30
    [clear] = [one for one in page.button if one.key == "train.cache.clear"]
    clear.click()
    run(page)
    assert ArrayCache("features").entries() == []
    assert "Holds **0 MiB**." in text_of(page)
