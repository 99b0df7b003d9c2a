"""The plain loop, tuned by hand: weights and pictures in channels_last."""

import torch

from tests.benchmarks.contenders import Task, Timing, plain_contender


def train(task: Task) -> Timing:
    """Trains as the plain loop does."""
    return plain_contender.train(task, torch.channels_last)
