"""Depth frontiers: which runs they are made of, which depth is best, and what may be chance."""

import math
from collections.abc import Sequence

import pytest

from engine.errors import RunNotFoundError
from engine.events import Value
from engine.insight.chance import chance_images
from engine.insight.frontier import (
    Frontier,
    frontier,
    frontier_groups,
    frontier_specs,
    is_frontier,
)
from engine.models.catalogue import backbone_record
from engine.runs.store import Run, Store
from engine.spec import Act, RunSpec
from tests.engine.specs import tiny_spec

SMALL = "torchvision/resnet18"  # five stages
STAGES = backbone_record(SMALL).stages


def base(**settings: object) -> RunSpec:
    return tiny_spec("/photos/cats", {"model.backbone": SMALL, **settings})


def finish(
    store: Store,
    run: Run,
    accuracies: Sequence[float],
    val_images: int = 100,
    seconds: float = 2.0,
    memory: float = 300.0,
) -> None:
    """Ends a queued run, one epoch for each accuracy."""
    store.set_status(run.id, "running")
    for epoch, accuracy in enumerate(accuracies, start=1):
        values = {
            "val/accuracy": accuracy,
            "elapsed_seconds": seconds * epoch,
            "peak_memory_mib": memory + epoch,
        }
        store.append(run.id, [(0.0, "epoch", epoch, epoch, values)])
    summary = {
        "seconds": seconds * len(accuracies),
        "val_images": val_images,
        "trainable_parameters": 1000 * (1 + run.spec.strategy.last_stages),
        "fingerprint": "abc",
    }
    store.set_status(run.id, "finished", summary=summary)


def launched(store: Store, seeds: int = 1) -> list[Run]:
    return store.add_runs(frontier_specs(base(), seeds))


def finished(store: Store, accuracies: Sequence[float], val_images: int = 100) -> Frontier:
    """Returns a frontier of which depth k reached accuracies[k], deeper ones taking longer."""
    runs = launched(store)
    for depth, (run, accuracy) in enumerate(zip(runs, accuracies, strict=True)):
        finish(store, run, (accuracy / 2, accuracy), val_images, seconds=1.0 + depth)
    return frontier(store, runs[0].group_id)


@pytest.fixture
def store() -> Store:
    return Store()


# ---- specs


def test_there_is_a_spec_for_every_depth_and_nothing_else_differs() -> None:
    spec = base(**{"strategy.name": "full", "optimiser.lr": 0.002, "training.mixup": 0.2})
    specs = frontier_specs(spec)
    assert [one.strategy.last_stages for _, one in specs] == [0, 1, 2, 3, 4, 5]
    shared = spec.flat() | {"strategy.name": "partial"}
    for depth, (_, one) in enumerate(specs):
        assert one.flat() == shared | {"strategy.last_stages": depth}


def test_seeds_count_up_one_frontier_after_the_other() -> None:
    specs = frontier_specs(base(seed=7), seeds=2)
    assert [one.seed for _, one in specs] == [7] * 6 + [8] * 6
    assert [one.strategy.last_stages for _, one in specs] == [0, 1, 2, 3, 4, 5] * 2
    assert len({name for name, _ in specs}) == 12


def test_names_say_depth_and_data() -> None:
    names = [name for name, _ in frontier_specs(base())]
    assert names[:2] == ["Depth 0 of 5 · cats", "Depth 1 of 5 · cats"]
    spec = tiny_spec("/samples/clipart/base", {"model.backbone": SMALL})
    assert frontier_specs(spec)[5][0] == "Depth 5 of 5 · clipart"


def test_what_was_steered_in_the_run_to_start_from_is_left_out() -> None:
    spec = base().model_copy(update={"steering": (Act(kind="unfreeze", target="layer4"),)})
    assert all(one.steering == () for _, one in frontier_specs(spec))


# ---- which runs make up a frontier


def test_a_frontier_is_found_by_its_group(store: Store) -> None:
    store.add_runs([("alone", base())])
    runs = launched(store)
    store.add_runs([("Frozen", base()), ("Full", base(**{"strategy.name": "full"}))])
    [group] = frontier_groups(store.all_runs())
    assert {run.id for run in group} == {run.id for run in runs}


def test_frontiers_come_in_the_order_of_the_runs(store: Store) -> None:
    old, new = launched(store), launched(store)
    groups = frontier_groups(store.all_runs())
    assert [group[0].group_id for group in groups] == [new[0].group_id, old[0].group_id]


@pytest.mark.parametrize(
    ("settings", "is_one"),
    [
        ([{"strategy.last_stages": 0}, {"strategy.last_stages": 3}], True),
        ([{"strategy.last_stages": 0}, {"strategy.last_stages": 3, "seed": 4}], True),
        ([{"strategy.last_stages": 2}, {"strategy.last_stages": 2, "seed": 4}], False),
        ([{"strategy.last_stages": 0}, {"strategy.last_stages": 3, "optimiser.lr": 0.1}], False),
        ([{"strategy.last_stages": 2}], False),
    ],
)
def test_only_depth_and_seed_may_differ(
    settings: list[dict[str, object]], is_one: bool, store: Store
) -> None:
    specs = [base(**{"strategy.name": "partial", **one}) for one in settings]
    assert is_frontier(store.add_runs([("run", spec) for spec in specs])) is is_one


def test_runs_of_other_strategies_are_none(store: Store) -> None:
    specs = [base(**{"strategy.last_stages": depth}) for depth in (0, 1)]
    assert not is_frontier(store.add_runs([("Frozen", spec) for spec in specs]))


def test_an_unknown_group_is_a_sentence(store: Store) -> None:
    [run] = store.add_runs([("alone", base())])
    for group_id in ("ffffffff", run.group_id):
        with pytest.raises(RunNotFoundError, match=f"no depth frontier '{group_id}'"):
            frontier(store, group_id)


# ---- points


def test_a_point_says_what_its_depth_added_reached_and_cost(store: Store) -> None:
    one = finished(store, (0.7, 0.8, 0.85, 0.9, 0.9, 0.88))
    assert [point.depth for point in one.points] == [0, 1, 2, 3, 4, 5]
    assert [point.stage for point in one.points] == ["", *(s.label for s in reversed(STAGES))]
    third = one.points[3]
    assert (third.accuracy, third.status) == (0.9, "finished")
    assert third.seconds == 8.0
    assert third.peak_memory_mib == 302.0
    assert third.trained_parameters == 4000


def test_a_point_is_the_mean_of_its_seeds(store: Store) -> None:
    runs = launched(store, seeds=2)
    for index, run in enumerate(runs):
        finish(store, run, (0.6 + 0.1 * (run.spec.seed == 1),), memory=300.0 + index)
    point = frontier(store, runs[0].group_id).points[0]
    assert [one.run.spec.seed for one in point.reports] == [0, 1]
    assert point.accuracies == (0.6, 0.7)
    assert point.accuracy == pytest.approx(0.65)
    assert point.peak_memory_mib == 307.0


def test_a_depth_is_finished_only_when_all_its_seeds_are(store: Store) -> None:
    runs = launched(store, seeds=2)
    finish(store, runs[0], (0.9,))
    point = frontier(store, runs[0].group_id).points[0]
    assert (point.status, point.is_done, point.accuracy) == ("queued", False, 0.9)
    store.set_status(runs[6].id, "failed", "The training loss became NaN.")
    point = frontier(store, runs[0].group_id).points[0]
    assert (point.status, point.is_done) == ("failed", False)


def test_a_run_without_an_epoch_has_no_numbers_yet(store: Store) -> None:
    runs = launched(store)
    one = frontier(store, runs[0].group_id)
    point = one.points[0]
    assert (point.accuracy, point.seconds, point.peak_memory_mib) == (None, None, None)
    assert point.trained_parameters is None
    assert one.is_active
    assert (one.best, one.quickest_as_good) == (None, None)
    assert one.sentence == "No depth is finished yet."


# ---- which is best, and what may be chance


def test_the_shallowest_of_the_best_is_best(store: Store) -> None:
    best = finished(store, (0.7, 0.8, 0.9, 0.9, 0.9, 0.9)).best
    assert best is not None
    assert best.depth == 2


def test_stopped_runs_are_not_judged(store: Store) -> None:
    runs = launched(store)
    finish(store, runs[0], (0.6,))
    finish(store, runs[1], (0.7,))
    store.append(runs[2].id, [(0.0, "epoch", 1, 1, {"val/accuracy": 0.9, "elapsed_seconds": 1.0})])
    store.set_status(runs[2].id, "stopped", "stopped by hand")
    best = frontier(store, runs[0].group_id).best
    assert best is not None
    assert best.depth == 1


def test_a_small_lead_is_said_to_be_within_chance(store: Store) -> None:
    one = finished(store, (0.90, 0.91, 0.93, 0.92, 0.92, 0.91))
    # By hand: shares 91/102 and 94/102, so 2 * sqrt(102 * (0.0962 + 0.0723)) = 8.3.
    assert one.sentence == (
        "Best: the last 2 stages (k = 2), 93.0 % right. That is 3 more of the 100 validation "
        "pictures than the head alone (k = 0); up to 8 would be within chance (two standard "
        "errors), so these runs cannot tell the two apart."
    )


def test_a_large_lead_is_said_to_be_more_than_chance(store: Store) -> None:
    one = finished(store, (0.5, 0.6, 0.7, 0.8, 0.85, 0.9))
    assert "all 5 stages (k = 5), 90.0 % right. That is 40 more" in one.sentence
    assert one.sentence.endswith("so this is more than chance explains.")


def test_where_the_head_alone_is_best_it_is_compared_with_all_stages(store: Store) -> None:
    one = finished(store, (0.9, 0.8, 0.8, 0.8, 0.8, 0.6))
    assert "Best: the head alone (k = 0), 90.0 % right. That is 30 more" in one.sentence
    assert "than all 5 stages (k = 5)" in one.sentence


def test_a_draw_is_called_one(store: Store) -> None:
    said = finished(store, (0.8,) * 6).sentence
    assert said.endswith("as many of the 100 validation pictures as all 5 stages (k = 5).")


def test_while_it_goes_on_the_best_is_so_far(store: Store) -> None:
    runs = launched(store)
    finish(store, runs[0], (0.6,))
    assert frontier(store, runs[0].group_id).sentence == (
        "Best so far: the head alone (k = 0), 60.0 % right."
    )


def test_the_quickest_that_is_as_good_as_the_best_is_named(store: Store) -> None:
    quickest = finished(store, (0.6, 0.88, 0.9, 0.91, 0.9, 0.9)).quickest_as_good
    assert quickest is not None
    assert quickest.depth == 1


def test_with_more_pictures_the_same_lead_is_no_longer_chance(store: Store) -> None:
    accuracies = (0.90, 0.91, 0.93, 0.92, 0.92, 0.91)
    assert "cannot tell" in finished(store, accuracies, val_images=100).sentence
    assert "more than chance" in finished(store, accuracies, val_images=2000).sentence


@pytest.mark.parametrize("num_val", [20, 100, 1000])
@pytest.mark.parametrize("share", [0.5, 0.8, 0.95])
def test_equal_models_are_seldom_told_apart(num_val: int, share: float) -> None:
    """Counts of two models that are right equally often, by the binomial distribution itself."""
    chances = [
        math.comb(num_val, k) * share**k * (1 - share) ** (num_val - k) for k in range(num_val + 1)
    ]
    likely = [k for k, chance in enumerate(chances) if chance > 1e-6]
    told_apart = sum(
        chances[one] * chances[other]
        for one in likely
        for other in likely
        if abs(one - other) > chance_images(one / num_val, other / num_val, num_val)
    )
    assert told_apart < 0.06


def test_chance_for_few_pictures_is_wide() -> None:
    # All of 6 right against half of them: no evidence, though the plain formula says so.
    assert chance_images(1.0, 0.5, 6) > 3


# ---- warnings, and the document


def test_pictures_that_changed_in_between_are_told(store: Store) -> None:
    runs = launched(store)
    for run in runs[:2]:
        finish(store, run, (0.5,))
    store.add_to_summary(runs[1].id, {"fingerprint": "other"})
    [warning] = frontier(store, runs[0].group_id).warnings
    assert "different images or a different split" in warning


def test_a_run_that_was_steered_is_told(store: Store) -> None:
    runs = launched(store)
    finish(store, runs[0], (0.5,))
    values: dict[str, Value] = {
        "act": "unfreeze",
        "target": "layer4",
        "factor": 1.0,
        "sentence": "layer4 set free",
    }
    store.append(runs[0].id, [(0.0, "act", 1, 1, values)])
    [warning] = frontier(store, runs[0].group_id).warnings
    assert runs[0].id in warning
    assert "steered" in warning


def test_the_document_has_every_point(store: Store) -> None:
    one = finished(store, (0.6, 0.8, 0.9, 0.9, 0.9, 0.9))
    document = one.to_dict()
    assert document["best_depth"] == 2
    assert document["quickest_as_good_depth"] == 1
    assert document["sentence"] == one.sentence
    assert document["points"][1] == {
        "depth": 1,
        "stage": STAGES[-1].label,
        "status": "finished",
        "accuracy": 0.8,
        "accuracies": [0.8],
        "seconds": 4.0,
        "peak_memory_mib": 302.0,
        "trained_parameters": 2000,
        "runs": [one.points[1].reports[0].run.id],
    }
