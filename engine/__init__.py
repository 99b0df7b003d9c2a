"""Thaw's engine: how a pre-trained model is updated with a person's images.

The layers, each of which may use only what stands to its left:
data, models -> strategies -> training -> runs -> insight -> cli.
"""

__version__ = "0.1.0"
