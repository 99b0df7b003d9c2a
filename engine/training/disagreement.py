"""Which labels contradict what the other pictures teach, and which pictures stand apart.

Source: confident learning (Northcutt, Jiang & Chuang 2021, by cleanlab); outliers by the distance
to the nearest neighbours (Ramaswamy, Rastogi & Shim 2000; for features of networks Sun et al. 2022,
Kuan & Mueller 2022).

Shapes: N pictures, D features, K classes.
"""

from collections.abc import Callable

import numpy as np
from cleanlab.filter import find_label_issues
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.neighbors import NearestNeighbors
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

# The rule was tried on 13 sets of 162 to 1,754 pictures in 2 to 15 classes: clip art, insects,
# clothes and digits, whole and in part, one of them with classes of 150 down to 8 pictures, with
# features of EfficientNet-Lite0 at 224 px. Of labels that were made wrong at random, five times:
#
#   made wrong               those called wrong that are     those wrong that are called so
#   1 % of the labels        77 % (clothes 94, digits 27)    46 %
#   5 % of the labels        91 % (60 to 100)                45 % (22 to 83)
#   5 %, to similar classes  91 % (60 to 100)                37 %
#   15 % of the labels       95 % (81 to 100)                36 %
#
# At 5 % that is 68 and 26 % on the clip art that comes with Thaw, of which the features tell 72 %
# apart; 98 and 48 % on clothes (82 %); 100 and 78 % on insects (96 %). Where nothing was made wrong
# 0.2 % of the labels are called so (at most 0.8 %): two of the clip art, one of them a butterfly on
# flowers among the birds. Confident learning alone would call 6 % of the clip art wrong and 3 % of
# the clothes, and at 5 % made wrong, 35 % (clip art) and 69 % (clothes) of its words would be true.
NUM_FOLDS = 5
# Other folds each time, and the mean of all: how they fall matters less. With one, 89 % are true.
NUM_ROUNDS = 3
# Of classes with 2 pictures, 30 to 70 % of right labels would be called wrong; with 4, 7 to 20 %;
# with 8, 2 to 6 %. Fewer folds do not help them.
LEAST_IN_CLASS = 8
# Of the classifier. Its pull to zero is made alike for any number of features, and falls slowly
# with the number of pictures. With a tenth of the pull 74 % are true, and 74 % are found.
STRENGTH = 28.0
# A label is called wrong where its class is less likely than this share of chance, which is 1 / K,
GIVEN_SHARE = 0.5
# and another is so many times as likely as chance, or more likely than all others together.
SUGGESTED_TIMES, SUGGESTED_MOST = 2.5, 0.5

NUM_NEIGHBOURS = 10
LEAST_PICTURES = 20
# On 13 such sets 0.5 % of the pictures are called odd (at most 2 %: digits); of single pictures
# from another set 93 % (27 to 100), of blank pages, noise, text and landscapes 92 %: not so a white
# page among drawings on white. Of five from one other set 77 %, of twenty 26 %: they are alike.
ODD_SCORE = 2.3


def out_of_fold(
    features_ND: np.ndarray,
    labels_N: np.ndarray,
    contents_N: np.ndarray,
    advance: Callable[[int], None] = lambda done: None,
) -> np.ndarray:
    """Returns the probability of each class for each picture, by models that never saw it (N, K).

    Each class counts the same, however many pictures it has.

    Args:
        features_ND: of the pictures.
        labels_N: 0 to K - 1, each on `LEAST_IN_CLASS` contents or more.
        contents_N: a number for each content: what is there twice would give its label away.
        advance: called with 1 after each of `NUM_ROUNDS` times `NUM_FOLDS` models.
    """
    probabilities_NK = np.zeros((len(labels_N), int(labels_N.max()) + 1))
    for seed in range(NUM_ROUNDS):
        folds = StratifiedGroupKFold(NUM_FOLDS, shuffle=True, random_state=seed)
        for seen, held_back in folds.split(features_ND, labels_N, contents_N):
            model = _classifier(*features_ND.shape).fit(features_ND[seen], labels_N[seen])
            found = model.predict_proba(features_ND[held_back])
            probabilities_NK[np.ix_(held_back, model.classes_)] += found
            advance(1)
    return probabilities_NK / NUM_ROUNDS


def _classifier(num_pictures: int, num_features: int) -> Pipeline:
    strength = STRENGTH / (num_features * num_pictures**0.5)
    regression = LogisticRegression(C=strength, class_weight="balanced", max_iter=1000)
    return make_pipeline(StandardScaler(), regression)


def contradicted(probabilities_NK: np.ndarray, labels_N: np.ndarray) -> np.ndarray:
    """Returns the positions of labels that are likely wrong, the least likely label first.

    Confident learning says how many there may be; of those only such are taken that are less
    likely than chance, with another class that is likely.
    """
    num_classes = probabilities_NK.shape[1]
    given_N = probabilities_NK[np.arange(len(labels_N)), labels_N]
    suggested_N = probabilities_NK.max(axis=1)
    # In one process: a fork beside threads can hang.
    counted_N = find_label_issues(
        labels_N, probabilities_NK, filter_by="low_self_confidence", n_jobs=1
    )
    wrong_N = (
        counted_N
        & (given_N < GIVEN_SHARE / num_classes)
        & (suggested_N >= min(SUGGESTED_TIMES / num_classes, SUGGESTED_MOST))
    )
    places = np.flatnonzero(wrong_N)
    return places[np.argsort(given_N[places], kind="stable")]


def standing_apart(features_ND: np.ndarray) -> np.ndarray:
    """Returns how far each picture is from those that are most like it (N,).

    That is the mean cosine distance to its nearest neighbours, less the median of all pictures, in
    units of what one picture in ten exceeds that by.

    Args:
        features_ND: no content is there twice.
    """
    lengths_N1 = np.linalg.norm(features_ND, axis=1, keepdims=True)
    directions_ND = features_ND / np.maximum(lengths_N1, np.finfo(features_ND.dtype).tiny)
    neighbours = NearestNeighbors(n_neighbors=NUM_NEIGHBOURS).fit(directions_ND)
    distances_NJ, _ = neighbours.kneighbors()
    cosine_N = (distances_NJ**2 / 2).mean(axis=1)
    middle, ninth = np.quantile(cosine_N, (0.5, 0.9))
    return np.asarray((cosine_N - middle) / max(ninth - middle, 1e-9))
