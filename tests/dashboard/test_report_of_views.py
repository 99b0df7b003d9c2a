"""What views of the Compare page found is in the report, too, as far as it was worked out."""

from typing import Any

import numpy as np

from dashboard.report.blocks import Chart, Section, Table, Words
from dashboard.report.comparison import Comparison, Detail
from dashboard.report.costs import learning_section
from dashboard.report.sections import sections_of
from engine.data.corruptions import CORRUPTIONS
from engine.home import run_folder
from engine.insight.compare import RunReport, report
from engine.insight.shift_answers import Answers, answers_file
from engine.insight.shift_tests import corruption_test
from engine.runs.store import Run, Store
from tests.dashboard.made import CLASSES, NUM_VAL, add_pair, add_run, finish
from tests.engine.made_ways import made_run

STAGES = ("stem", *(f"block{i}" for i in range(1, 8)), "top")


def pair(store: Store) -> list[Run]:
    one, other = add_pair(store)
    return [finish(store, one, (0.5, 0.7)), finish(store, other, (0.4, 0.9))]


def comparison_of(store: Store, reports: list[RunReport]) -> Comparison:
    return Comparison(store, tuple(reports), None, 0.0, Detail(1000, 12, 12))


def of_runs(store: Store, runs: list[Run]) -> dict[str, Section]:
    """Returns the sections of a report by their titles."""
    made = comparison_of(store, [report(store, run) for run in runs])
    return {section.title: section for section in sections_of(made)}


def words(section: Section) -> str:
    return "\n".join(block.text for block in section.blocks if isinstance(block, Words))


def tables(section: Section) -> list[Table]:
    blocks: list[Any] = [
        block.table if isinstance(block, Chart) else block for block in section.blocks
    ]
    return [block for block in blocks if isinstance(block, Table)]


def test_what_was_not_worked_out_has_no_section(store: Store) -> None:
    assert not {"Under shift", "Layers", "Embedding", "Learning curves"} & set(
        of_runs(store, pair(store))
    )


def test_cost_is_a_chart_a_table_and_a_sentence(store: Store) -> None:
    section = of_runs(store, pair(store))["Cost"]
    assert "On the front are Frozen" in words(section)
    table = next(one for one in tables(section) if "parameters trained" in one.title)
    assert [row[2] for row in table.rows] == ["3,843", "3.375e+06"]
    assert table.rows[0][1].startswith("70.0 % (")


def test_layers_are_maps_with_where_each_stage_came_to(store: Store) -> None:
    values = [
        {"cka_images": 60, **{f"drift/{name}": 0.25 * epoch for name in STAGES}} for epoch in (1, 2)
    ]
    run = finish(store, add_run(store, "full"), (0.5, 0.6), layers=values)
    section = of_runs(store, [run])["Layers"]
    drift, change = tables(section)
    assert {row[2] for row in drift.rows} == {"0.5"}
    assert len(drift.rows) == len(change.rows) == len(STAGES)
    charts = [block for block in section.blocks if isinstance(block, Chart)]
    assert all(chart.figure.data for chart in charts)


def test_learning_curves_say_who_overtakes_whom(store: Store) -> None:
    rows = {"frozen": (0.7, 0.75), "full": (0.3, 0.95)}
    reports = [
        made_run(store, name, accuracy, seed, {"data.train_fraction": fraction})
        for name, accuracies in rows.items()
        for fraction, accuracy in zip((0.1, 1.0), accuracies, strict=True)
        for seed in range(3)
    ]
    section = learning_section(comparison_of(store, reports))
    assert section is not None
    assert "Full overtakes Frozen" in words(section)
    [table] = tables(section)
    assert [row[0] for row in table.rows] == ["Frozen", "Frozen", "Full", "Full"]


def test_shift_is_told_as_far_as_it_was_judged(store: Store) -> None:
    runs = pair(store)
    for run, share in zip(runs, (0.7, 0.9), strict=True):
        (run_folder(run.id) / "best.safetensors").write_bytes(run.id.encode())
        answer(run, share)
    section = of_runs(store, runs)["Under shift"]
    assert "lead" in words(section) or "better" in words(section)
    [table] = tables(section)
    assert [row[1].partition(" %")[0] for row in table.rows] == ["70.0", "90.0"]


def answer(run: Run, share: float) -> None:
    """Lets a run get a share of the images right as they are, and half of it corrupted."""
    test = corruption_test(run)
    labels_N = np.array([item.label for item in test.items])
    shares_V1 = np.array([share, *[share / 2] * (5 * len(CORRUPTIONS))])[:, None]
    right_VN = np.arange(NUM_VAL) / NUM_VAL < shares_V1
    predicted_VN = np.where(right_VN, labels_N, (labels_N + 1) % len(CLASSES)).astype(np.int32)
    Answers(
        names=test.names,
        labels=test.labels,
        predicted_VN=predicted_VN,
        probability_VN=np.full(predicted_VN.shape, 0.9, np.float32),
        gone=(),
        seconds=2.0,
    ).save(answers_file(run, test))
