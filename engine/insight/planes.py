"""Images on a plane, from their features; and how well classes lie apart, of which no plane tells.

Each image's features are brought to length one first: what then counts is the direction, as with
the nearest neighbours of Wu et al. 2018. On the validation images of the sample (97 in 8 classes,
EfficientNet-Lite0 at 96 px) neighbours then speak for the right class of 40 %; with features as
they are, or each brought to one spread, of 13 %, since long ones lie far from all others. One
spread for each on top of it changes little (43 %), and makes much of what says next to nothing.

UMAP is left out: it would bring a compiler (numba, llvmlite) along, for a map that is to be read
with the same care as that of t-SNE.

Shapes: N images, D features, K classes.
"""

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import orthogonal_procrustes
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE
from sklearn.metrics import silhouette_samples
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import normalize
from threadpoolctl import threadpool_limits

Method = Literal["pca", "tsne"]

NUM_NEIGHBOURS = 5
# What t-SNE starts from, as its authors advise: it takes out noise, and time.
NUM_COMPONENTS = 50
MOST_PERPLEXITY = 30.0
# So the numbers do not depend on how many there are.
ONE_THREAD = 1


def directions(features_ND: NDArray[np.floating]) -> NDArray[np.float64]:
    """Returns features (N, D) of length one; those that are all zero stay so."""
    return np.asarray(normalize(np.asarray(features_ND, dtype=np.float64)))


def on_plane(
    directions_ND: NDArray[np.float64], method: Method, seed: int = 0
) -> tuple[NDArray[np.float64], tuple[float, ...]]:
    """Returns where images lie on a plane (N, 2), and shares of the variance.

    Those are, with PCA, the share along each axis; with t-SNE the one that its neighbours are
    found in. PCA has the image that lies furthest out on the positive side of each axis.

    Args:
        directions_ND: of at least four images.
        method: how.
        seed: of what t-SNE draws.

    Source: van der Maaten & Hinton 2008 (t-SNE); started from PCA as in Kobak & Berens 2019.
    """
    if not np.ptp(directions_ND, axis=0).any():
        return np.zeros((len(directions_ND), 2)), (0.0,) * (2 if method == "pca" else 1)
    with threadpool_limits(ONE_THREAD):
        if method == "pca":
            components_N2, shares = _components(directions_ND, 2, seed)
            return _sided(components_N2), tuple(shares.tolist())
        components_NC, shares = _components(directions_ND, NUM_COMPONENTS, seed)
        perplexity = min(MOST_PERPLEXITY, (len(directions_ND) - 1) / 3)
        tsne = TSNE(perplexity=perplexity, init="pca", random_state=seed)
        return np.asarray(tsne.fit_transform(components_NC), np.float64), (float(shares.sum()),)


def _components(
    directions_ND: NDArray[np.float64], most: int, seed: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Returns the first components of images, at least two, and the share of each."""
    pca = PCA(min(most, *directions_ND.shape), random_state=seed)
    components_NC = pca.fit_transform(directions_ND)
    shares_C = pca.explained_variance_ratio_
    if components_NC.shape[1] == 1:
        components_NC = np.pad(components_NC, ((0, 0), (0, 1)))
        shares_C = np.pad(shares_C, (0, 1))
    return components_NC, shares_C


def _sided(points_N2: NDArray[np.float64]) -> NDArray[np.float64]:
    furthest = np.abs(points_N2).argmax(axis=0)
    return np.asarray(points_N2 * np.where(points_N2[furthest, [0, 1]] < 0.0, -1.0, 1.0))


def turned_like(
    points_N2: NDArray[np.float64], other_N2: NDArray[np.float64], method: Method
) -> NDArray[np.float64]:
    """Returns a map turned so that its images lie as near as may be to where another has them.

    An axis of PCA is turned round at most, since it has a meaning. Those of t-SNE have none, so its
    map is turned and mirrored as it fits best; no distance within it changes.

    Source: Schönemann 1966 (orthogonal Procrustes).
    """
    if method == "pca":
        return np.asarray(points_N2 * np.where((points_N2 * other_N2).sum(axis=0) < 0.0, -1.0, 1.0))
    turn, _ = orthogonal_procrustes(points_N2, other_N2)
    return np.asarray(points_N2 @ turn)


def neighbours_say(
    directions_ND: NDArray[np.float64], labels_N: NDArray[np.integer]
) -> NDArray[np.intp]:
    """Returns the class that each image's nearest neighbours, it excepted, speak for (N,).

    Each of them counts by how like the image it is (cosine), so that there are hardly any ties.

    Source: Wu et al. 2018 (weighted nearest neighbours).
    """
    num = len(labels_N)
    with threadpool_limits(ONE_THREAD):
        found = NearestNeighbors(n_neighbors=min(NUM_NEIGHBOURS, num - 1)).fit(directions_ND)
        distances_NJ, places_NJ = found.kneighbors()
    # From 0, opposite, to 2, the same; of images without any feature, 1.
    likeness_NJ = np.maximum(2.0 - distances_NJ**2 / 2, 0.0)
    votes_NK = np.zeros((num, int(labels_N.max()) + 1))
    np.add.at(votes_NK, (np.arange(num)[:, None], labels_N[places_NJ]), likeness_NJ)
    return np.asarray(votes_NK.argmax(axis=1))


def silhouettes(
    directions_ND: NDArray[np.float64], labels_N: NDArray[np.integer]
) -> NDArray[np.float64] | None:
    """Returns how much nearer each image is to its own class than to the next (N,), from -1 to 1.

    None where there are no two classes, or every image is one of its own.

    Source: Rousseeuw 1987.
    """
    if not 2 <= len(np.unique(labels_N)) < len(labels_N):
        return None
    with threadpool_limits(ONE_THREAD):
        return np.asarray(silhouette_samples(directions_ND, labels_N))
