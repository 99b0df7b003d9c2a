"""Two classes: curves, areas and verdicts, against scikit-learn on made data and by hand."""

import numpy as np
import pytest
from sklearn.metrics import auc, f1_score, precision_score, recall_score, roc_auc_score

from engine.insight.classes import Judgement
from engine.insight.thresholds import Ranking, ranking


def made(num: int = 300, seed: int = 0) -> Judgement:
    """Two classes whose probabilities overlap, some of them equal."""
    drawn = np.random.default_rng(seed)
    labels = drawn.integers(0, 2, num)
    scores = np.clip(drawn.normal(0.35 + 0.3 * labels, 0.2), 0, 1).round(2)
    probabilities = np.stack([1 - scores, scores], axis=1).astype(np.float32)
    return Judgement(("cat", "dog"), labels, probabilities)


def dogs(judged: Judgement, positive: str = "dog") -> Ranking:
    found = ranking(judged, positive)
    assert found is not None
    return found


@pytest.mark.parametrize("threshold", [0.0, 0.3, 0.5, 0.91])
def test_a_threshold_gives_scikit_learns_scores(threshold: float) -> None:
    one = dogs(made())
    named = one.scores_N >= threshold
    verdict = one.at(threshold)
    assert verdict.precision is not None
    assert verdict.recall is not None
    assert verdict.precision.value == pytest.approx(precision_score(one.positive_N, named))
    assert verdict.recall.value == pytest.approx(recall_score(one.positive_N, named))
    assert verdict.f1 == pytest.approx(f1_score(one.positive_N, named))
    assert verdict.accuracy.value == pytest.approx((named == one.positive_N).mean())
    assert verdict.recall.low <= verdict.recall.value <= verdict.recall.high


def test_each_point_of_the_curves_is_what_its_threshold_gives() -> None:
    one = dogs(made(80))
    for recall, precision, threshold in zip(*vars(one.precision_recall()).values(), strict=True):
        verdict = one.at(threshold)
        assert (0.0 if verdict.recall is None else verdict.recall.value) == pytest.approx(recall)
        assert (1.0 if verdict.precision is None else verdict.precision.value) == pytest.approx(
            precision
        )
    roc = one.roc()
    for alarms, found, threshold in zip(roc.x_T, roc.y_T, roc.thresholds_T, strict=True):
        verdict = one.at(threshold)
        assert verdict.true_positives / one.positive_N.sum() == pytest.approx(found)
        assert verdict.false_positives / (~one.positive_N).sum() == pytest.approx(alarms)


def test_the_areas_belong_to_the_curves() -> None:
    one = dogs(made())
    roc, curve = one.roc(), one.precision_recall()
    assert one.roc_auc == pytest.approx(auc(roc.x_T, roc.y_T))
    assert one.roc_auc == pytest.approx(roc_auc_score(one.positive_N, one.scores_N))
    steps = np.diff(curve.x_T) * curve.y_T[1:]
    assert one.average_precision == pytest.approx(steps.sum())


def test_which_class_counts_as_positive_turns_it_round() -> None:
    judged = made()
    dog, cat = dogs(judged), dogs(judged, "cat")
    assert cat.positive_N.sum() == (~dog.positive_N).sum()
    assert cat.roc_auc == pytest.approx(dog.roc_auc)
    assert cat.share_of_positive == pytest.approx(1 - dog.share_of_positive)
    assert cat.at(0.5).true_positives == pytest.approx(dog.at(0.5001).true_negatives)


def test_the_best_f1_is_the_best_there_is() -> None:
    one = dogs(made(60, 3))
    best = one.best_f1()
    assert best.f1 == max(one.at(float(score)).f1 for score in one.scores_N)
    assert best.f1 >= one.at(0.5).f1
    assert one.to_dict()["best_f1"]["threshold"] == best.threshold


def test_a_threshold_that_none_reaches_names_none() -> None:
    verdict = dogs(made()).at(1.01)
    assert (verdict.precision, verdict.f1) == (None, 0.0)
    assert verdict.recall is not None
    assert verdict.recall.value == 0.0
    assert verdict.to_dict()["precision"] is None


def test_there_must_be_two_classes_with_images_of_both() -> None:
    judged = made()
    assert ranking(judged, "fish") is None
    three = np.full((4, 3), 1 / 3, dtype=np.float32)
    assert ranking(Judgement(("a", "b", "c"), np.arange(4) % 3, three), "a") is None
    only_cats = Judgement(judged.classes, np.zeros(300, dtype=np.int64), judged.probabilities_NK)
    assert ranking(only_cats, "cat") is None
    assert ranking(only_cats, "dog") is None
