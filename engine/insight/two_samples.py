"""Whether two sets of images are alike, told from their features. No torch here.

Two looks, since each sees what the other may not: whether the sets differ at all (maximum mean
discrepancy, Gretton et al. 2012), and how well a stranger could tell them apart, image by image
(a classifier's AUC on images that it has not seen, Lopez-Paz & Oquab 2017).

Shapes: N images of one set, M of the other, P of both, D features, R ways to part them in two.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.insight.intervals import Estimate, auc_estimate

SEED = 0
PERMUTATIONS = 999
FOLDS = 5
# Fewer images of a set tell nothing.
LEAST = 2 * FOLDS
# Weight decay of the classifier: there are mostly more features than images.
INVERSE_DECAY = 0.1


@dataclass(frozen=True)
class Alikeness:
    """How alike two sets are.

    Attributes:
        mmd: squared maximum mean discrepancy; about 0 for sets from one source.
        p: how often sets as different would be drawn from one source.
        auc: how often a classifier says of an image of either set, and one of the other, which is
            which (0.5 is chance), with its 95 % interval.
        num: images of the first and of the second set.
    """

    mmd: float
    p: float
    auc: Estimate
    num: tuple[int, int]


def alikeness(
    first_ND: NDArray[np.floating],
    second_MD: NDArray[np.floating],
    permutations: int = PERMUTATIONS,
) -> Alikeness:
    """Returns how alike two sets of images are by their features, which are brought to length 1.

    The same sets give the same numbers.

    Args:
        first_ND: features of the one.
        second_MD: of the other.
        permutations: for p, which is at least one in one more than these.

    Raises:
        ValueError: one of them has fewer than LEAST images.
    """
    if min(len(first_ND), len(second_MD)) < LEAST:
        raise ValueError(f"{min(len(first_ND), len(second_MD))} images are too few")
    both_PD = _unit(np.concatenate([first_ND, second_MD]).astype(np.float64))
    is_second_P = np.arange(len(both_PD)) >= len(first_ND)
    mmd, p = _discrepancy(both_PD, is_second_P, permutations)
    return Alikeness(mmd, p, _told_apart(both_PD, is_second_P), (len(first_ND), len(second_MD)))


def _unit(features_PD: NDArray[np.float64]) -> NDArray[np.float64]:
    lengths_P1 = np.linalg.norm(features_PD, axis=1, keepdims=True)
    unit_PD: NDArray[np.float64] = features_PD / np.maximum(lengths_P1, 1e-12)
    return unit_PD


def _discrepancy(
    both_PD: NDArray[np.float64], is_second_P: NDArray[np.bool_], permutations: int
) -> tuple[float, float]:
    """Returns the unbiased squared MMD under a Gaussian kernel, and its p by permutation.

    The kernel is as wide as the median distance between images.
    """
    squared_PP = np.maximum(2.0 - 2.0 * both_PD @ both_PD.T, 0.0)
    median = float(np.median(squared_PP[np.triu_indices(len(both_PD), 1)]))
    kernel_PP = np.exp(-squared_PP / max(median, 1e-12))
    np.fill_diagonal(kernel_PP, 0.0)
    random = np.random.default_rng(SEED)
    drawn_RP = random.permuted(np.tile(is_second_P, (permutations, 1)), axis=1)
    observed, *under_null = _unbiased(kernel_PP, np.concatenate([[is_second_P], drawn_RP]))
    as_large = int(np.sum(np.asarray(under_null) >= observed - 1e-12))
    return float(observed), (1 + as_large) / (1 + permutations)


def _unbiased(
    kernel_PP: NDArray[np.float64], is_second_RP: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Returns the statistic for each way of parting the images in two."""
    second_RP = is_second_RP.astype(np.float64)
    first_RP = 1.0 - second_RP
    num_M, num_N = second_RP[0].sum(), first_RP[0].sum()
    to_second_RP, to_first_RP = second_RP @ kernel_PP, first_RP @ kernel_PP
    within_first_R = (to_first_RP * first_RP).sum(axis=1) / (num_N * (num_N - 1))
    within_second_R = (to_second_RP * second_RP).sum(axis=1) / (num_M * (num_M - 1))
    across_R = (to_first_RP * second_RP).sum(axis=1) / (num_N * num_M)
    found_R: NDArray[np.float64] = within_first_R + within_second_R - 2.0 * across_R
    return found_R


def _told_apart(both_PD: NDArray[np.float64], is_second_P: NDArray[np.bool_]) -> Estimate:
    """Returns the AUC of a classifier on images that it has not learnt from.

    The interval is that of other images judged by the same classifiers.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    classifier = make_pipeline(
        StandardScaler(),
        LogisticRegression(C=INVERSE_DECAY / both_PD.shape[1], class_weight="balanced"),
    )
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=SEED)
    score_P = cross_val_predict(
        classifier, both_PD, is_second_P, cv=folds, method="decision_function"
    )
    return auc_estimate(score_P[~is_second_P], score_P[is_second_P])
