"""How alike two representations of the same images are. No torch here.

Shapes: N images, D and E features.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

LEAST_IMAGES = 4


@dataclass(frozen=True)
class Kernel:
    """Products of centred features of each two images: all that CKA needs of a representation.

    Attributes:
        products_NN: with zeros on the diagonal; of features that were scaled to at most 1.
        own: its independence criterion with itself.
    """

    products_NN: NDArray[np.float64]
    own: float

    @classmethod
    def of(cls, features_ND: NDArray[np.floating]) -> "Kernel | None":
        """Returns the kernel of features; None of fewer than LEAST_IMAGES images."""
        if len(features_ND) < LEAST_IMAGES:
            return None
        products_NN = _products(features_ND)
        return cls(products_NN, _hsic(products_NN, products_NN))

    def alignment(self, other: "Kernel") -> float | None:
        """Returns linear CKA with features of the same images; see linear_cka."""
        scale = self.own * other.own
        return float(_hsic(self.products_NN, other.products_NN) / scale**0.5) if scale > 0 else None


def linear_cka(one_ND: NDArray[np.floating], other_NE: NDArray[np.floating]) -> float | None:
    """Returns centred kernel alignment of features of the same images: 1 where they are alike.

    Turning the features, or scaling all of them, does not change it. The estimate is free of the
    bias that makes any two representations with more features than images seem alike, so where two
    have nothing to do with each other it lies around 0, and may lie a little below. None where one
    of them is the same for all images, or there are fewer than LEAST_IMAGES.

    Args:
        one_ND: features of the one.
        other_NE: features of the other, image by image.

    Source: Kornblith et al. 2019 (Similarity of neural network representations revisited); for the
    estimate Song et al. 2012, as in Nguyen et al. 2021.
    """
    one, other = Kernel.of(one_ND), Kernel.of(other_NE)
    return None if one is None or other is None else one.alignment(other)


def _products(features_ND: NDArray[np.floating]) -> NDArray[np.float64]:
    centred_ND = features_ND - features_ND.mean(axis=0, dtype=np.float64)
    largest = np.abs(centred_ND).max()
    centred_ND /= largest if largest > 0.0 else 1.0
    products_NN = centred_ND @ centred_ND.T
    np.fill_diagonal(products_NN, 0.0)
    return np.asarray(products_NN)


def _hsic(one_NN: NDArray[np.float64], other_NN: NDArray[np.float64]) -> float:
    """Returns the Hilbert-Schmidt independence criterion of kernels whose diagonal is zero."""
    num = len(one_NN)
    both = (one_NN * other_NN).sum()
    apart = one_NN.sum() * other_NN.sum() / ((num - 1) * (num - 2))
    crossed = 2.0 * one_NN.sum(axis=0) @ other_NN.sum(axis=0) / (num - 2)
    return float((both + apart - crossed) / (num * (num - 3)))
