"""How alike two representations of the same images are; training measures it, too."""

from engine.training.similarity import LEAST_IMAGES, linear_cka

__all__ = ["LEAST_IMAGES", "linear_cka"]
