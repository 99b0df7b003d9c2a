"""Bars, reliability and thresholds as figures: what is drawn is what was worked out."""

import numpy as np
import pytest

from dashboard.class_charts import ReliableRun, ScoredRun, class_figure, reliability_figure
from dashboard.threshold_charts import RankedRun, precision_recall_figure, roc_figure
from engine.insight.calibration import reliability
from engine.insight.classes import class_scores
from engine.insight.thresholds import ranking
from tests.engine.test_thresholds import made

COUNTS = np.array([[8, 2, 0], [1, 3, 0], [0, 0, 0]])
NAMES = ("birds", "<fruit>", "boats")


def scored() -> ScoredRun:
    return ScoredRun("<run>", "#123456", {one.name: one for one in class_scores(NAMES, COUNTS)})


def test_bars_are_as_long_as_the_measure_with_wilsons_intervals() -> None:
    [bars] = class_figure([scored()], NAMES, "recall").data
    assert list(bars.x) == [0.8, 0.75, None]
    recall = scored().scores["birds"].recall
    assert recall is not None
    assert bars.x[0] + bars.error_x.array[0] == pytest.approx(recall.high)
    assert bars.x[0] - bars.error_x.arrayminus[0] == pytest.approx(recall.low)
    assert bars.customdata[0].startswith("8 of 10: 80.0%")
    assert bars.customdata[2] == "no image of it"
    assert bars.y[1] == "&lt;fruit&gt;"
    assert bars.name == "&lt;run&gt;"


def test_precision_is_of_what_was_named_and_f1_has_no_interval() -> None:
    [precision] = class_figure([scored()], NAMES, "precision").data
    assert list(precision.x) == [pytest.approx(8 / 9), pytest.approx(3 / 5), None]
    assert precision.customdata[2] == "none was named so"
    [f1] = class_figure([scored()], NAMES, "F1").data
    assert f1.x[0] == pytest.approx(16 / 19)
    assert f1.error_x.array is None


def test_a_class_that_one_run_does_not_know_has_no_bar() -> None:
    [bars] = class_figure([scored()], ["hats"], "F1").data
    assert list(bars.x) == [None]
    assert list(bars.customdata) == ["not a class of this run"]


def test_more_classes_and_runs_make_a_taller_chart() -> None:
    one = class_figure([scored()], NAMES, "recall")
    two = class_figure([scored(), scored()], NAMES, "recall")
    assert two.layout.height > one.layout.height
    assert two.layout.xaxis.title.text
    assert two.layout.yaxis.title.text


def test_reliability_is_drawn_with_its_counts_and_error() -> None:
    judged = made()
    found = reliability(judged.probabilities_NK, judged.labels_N)
    figure = reliability_figure([ReliableRun("run", "#123456", found)])
    line, points, bars = figure.data
    assert list(line.x) == list(line.y) == [0, 1]
    assert np.array_equal(points.y, found.accuracy_B)
    assert np.array_equal(bars.y, found.counts_B)
    assert points.name == f"run, ECE {100 * found.error:.1f} %"
    assert max(points.marker.size) <= 19


def test_the_threshold_is_marked_on_both_curves() -> None:
    found = ranking(made(), "dog")
    assert found is not None
    runs = [RankedRun("run", "#123456", found)]
    verdict = found.at(0.4)
    assert verdict.precision is not None
    assert verdict.recall is not None
    curve, mark = precision_recall_figure(runs, 0.4).data
    assert (mark.x[0], mark.y[0]) == (verdict.recall.value, verdict.precision.value)
    assert f"AP {found.average_precision:.3f}" in curve.name
    curve, mark, chance = roc_figure(runs, 0.4).data
    alarms = verdict.false_positives / (verdict.false_positives + verdict.true_negatives)
    assert (mark.x[0], mark.y[0]) == (alarms, verdict.recall.value)
    assert f"AUC {found.roc_auc:.3f}" in curve.name
    assert chance.name == "chance"


def test_a_threshold_that_none_reaches_has_no_mark() -> None:
    found = ranking(made(), "dog")
    assert found is not None
    assert len(precision_recall_figure([RankedRun("run", "#123", found)], 1.01).data) == 1
