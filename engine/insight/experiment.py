"""Ways of training, each with one seed or several, on the same images. No torch here.

A way is a spec without its seed: runs that differ in nothing else are its samples.

Shapes: N validation images, K classes, S seeds.
"""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.data.manifest import MANIFEST_FILE, Manifest
from engine.errors import DataError
from engine.home import run_folder
from engine.insight.compare import RunReport
from engine.insight.differences import (
    Difference,
    difference_of_runs,
    difference_of_strategies,
    holm,
)
from engine.insight.intervals import (
    Estimate,
    estimate_over_seeds,
    mean_accuracy_estimate,
    mean_estimate,
)
from engine.insight.resampled import Resampled, calibration_error_of_samples, f1_of_samples
from engine.spec import field_info
from engine.strategies import STRATEGIES
from engine.training.predictions import Predictions

# What tells samples of one way from each other.
SAMPLES = ("seed", "data.fold")


@dataclass(frozen=True)
class Way:
    """One way of training, and what its runs came to.

    Attributes:
        label: what a person reads; tells it from the other ways.
        reports: its runs, by seed and fold.
    """

    label: str
    reports: tuple[RunReport, ...]

    @cached_property
    def samples(self) -> dict[int, "Sample"]:
        """What its runs say of the validation images, by seed, all folds one after the other.

        Seeds of which a run or a fold is missing are left out.
        """
        by_seed: dict[int, list[Sample | None]] = {}
        for one in self.reports:
            by_seed.setdefault(one.run.spec.seed, []).append(_sample_of(one))
        most = max((len(parts) for parts in by_seed.values()), default=0)
        return {
            seed: _joined([part for part in parts if part is not None])
            for seed, parts in by_seed.items()
            if len(parts) == most and all(part is not None for part in parts)
        }

    @property
    def images(self) -> tuple[str, ...]:
        """What stands for the images of its samples; empty where there is none."""
        return next((sample.images for sample in self.samples.values()), ())

    @property
    def seeds(self) -> tuple[int, ...]:
        """Seeds of which there are predictions."""
        return tuple(self.samples)

    @cached_property
    def right_SN(self) -> NDArray[np.bool_]:
        """Which images each seed's run gets right."""
        return np.array([one.predicted_N == one.labels_N for one in self._predictions], dtype=bool)

    @cached_property
    def accuracy(self) -> Estimate | None:
        """Mean accuracy over seeds, a fraction; None where there are no predictions."""
        return mean_accuracy_estimate(self.right_SN) if self.samples else None

    @cached_property
    def f1(self) -> Estimate | None:
        """Mean macro F1 over seeds, a fraction."""
        return self._estimate(
            [f1_of_samples(one.predicted_N, one.labels_N) for one in self._predictions]
        )

    @cached_property
    def calibration_error(self) -> Estimate | None:
        """Mean expected calibration error over seeds, a fraction; see calibration."""
        return self._estimate(
            [
                calibration_error_of_samples(one.probabilities_NK, one.labels_N)
                for one in self._predictions
            ]
        )

    @property
    def seconds(self) -> Estimate | None:
        """Mean seconds of a run."""
        return mean_estimate([one.seconds for one in self.reports if one.seconds is not None])

    @property
    def seconds_uncached(self) -> Estimate | None:
        """Mean seconds that a run takes where nothing is found in the cache.

        The first run on some images computes what frozen stages make of them, and others find it:
        what they saved counts as theirs too. Of what was computed in several places, as gradual
        unfreezing does, the last counts.
        """
        return mean_estimate([s for one in self.reports if (s := _uncached(one)) is not None])

    @property
    def trained_parameters(self) -> int | None:
        """Learnable numbers that it moves."""
        found = [one.run.summary.get("trainable_parameters") for one in self.reports]
        return max((number for number in found if number is not None), default=None)

    @property
    def peak_memory_mib(self) -> float | None:
        """Most memory that one of its runs held."""
        peaks = [
            float(event.values["peak_memory_mib"] or 0.0)
            for one in self.reports
            for event in one.epochs[-1:]
        ]
        return max(peaks, default=None)

    @property
    def memory_mib(self) -> Estimate | None:
        """Mean of the most memory that each of its runs held."""
        peaks = [
            float(one.epochs[-1].values["peak_memory_mib"] or 0.0)
            for one in self.reports
            if one.epochs
        ]
        return mean_estimate(peaks)

    @property
    def _predictions(self) -> list[Predictions]:
        return [sample.predictions for sample in self.samples.values()]

    def _estimate(self, statistics: Sequence[Resampled]) -> Estimate | None:
        return estimate_over_seeds(statistics, len(self.images)) if statistics else None

    def to_dict(self) -> dict[str, Any]:
        """Returns it as plain data."""
        estimates = {
            "accuracy": self.accuracy,
            "f1": self.f1,
            "calibration_error": self.calibration_error,
            "seconds": self.seconds,
            "seconds_uncached": self.seconds_uncached,
            "memory_mib": self.memory_mib,
        }
        return {
            "label": self.label,
            "runs": [one.run.id for one in self.reports],
            "seeds": list(self.seeds),
            "images": len(self.images) or None,
            **{name: one.to_dict() if one else None for name, one in estimates.items()},
            "trained_parameters": self.trained_parameters,
            "peak_memory_mib": self.peak_memory_mib,
        }


@dataclass(frozen=True)
class Sample:
    """What one seed's run says of images.

    Attributes:
        images: what stands for each: its content, or its path in runs of an early Thaw.
        predictions: in that order, which does not depend on what files are called.
    """

    images: tuple[str, ...]
    predictions: Predictions


def _uncached(one: RunReport) -> float | None:
    if one.seconds is None:
        return None
    found = one.run.summary.get("features_found")
    return one.seconds + (float(one.run.summary["features_seconds"]) if found else 0.0)


def _sample_of(one: RunReport) -> Sample | None:
    found = one.predictions()
    if found is None:
        return None
    try:
        manifest = Manifest.from_file(run_folder(one.run.id) / MANIFEST_FILE)
    except DataError:
        # The page of the run says so; which images these were is not known.
        return None
    names = np.array([item.digest or item.path for item in manifest.val])
    order = np.argsort(names, kind="stable")
    ordered = Predictions(found.labels_N[order], found.probabilities_NK[order], found.epoch)
    return Sample(tuple(names[order].tolist()), ordered)


def _joined(parts: Sequence[Sample]) -> Sample:
    if len(parts) == 1:
        return parts[0]
    told = [part.predictions for part in parts]
    return Sample(
        tuple(name for part in parts for name in part.images),
        Predictions(
            labels_N=np.concatenate([one.labels_N for one in told]),
            probabilities_NK=np.concatenate([one.probabilities_NK for one in told]),
            epoch=max(one.epoch for one in told),
        ),
    )


@dataclass(frozen=True)
class Pair:
    """Two ways held against each other.

    Attributes:
        first: the more accurate one.
        second: the other.
        difference: of their accuracies.
        adjusted_p: p-value that allows for the number of pairs.
        seeds: how many of each were looked at.
    """

    first: Way
    second: Way
    difference: Difference
    adjusted_p: float
    seeds: tuple[int, int]

    @property
    def is_real(self) -> bool:
        """Whether chance alone would hardly make such a difference."""
        return self.adjusted_p < 0.05

    def to_dict(self) -> dict[str, Any]:
        """Returns it as plain data."""
        return {
            "first": self.first.label,
            "second": self.second.label,
            "difference": self.difference.estimate.to_dict(),
            "method": self.difference.method,
            "p_value": self.difference.p_value,
            "adjusted_p_value": self.adjusted_p,
            "is_real": self.is_real,
            "images": self.difference.num_images,
            "only_first": self.difference.only_first,
            "only_second": self.difference.only_second,
            "images_to_tell": self.difference.images_to_tell,
            "seeds": list(self.seeds),
        }


def ways_of(reports: Iterable[RunReport]) -> list[Way]:
    """Returns the ways that runs were trained in, in the order in which they first come."""
    groups: dict[tuple[tuple[str, Any], ...], list[RunReport]] = {}
    for one in reports:
        groups.setdefault(settings_of(one), []).append(one)
    labels = labels_of([dict(settings) for settings in groups])
    return [
        Way(label, tuple(sorted(group, key=_sample)))
        for label, group in zip(labels, groups.values(), strict=True)
    ]


def settings_of(one: RunReport) -> tuple[tuple[str, Any], ...]:
    """Returns the settings that make a run's way: all but those that tell its samples apart."""
    return tuple((name, v) for name, v in one.run.spec.flat().items() if name not in SAMPLES)


def _sample(one: RunReport) -> tuple[int, int, float]:
    spec = one.run.spec
    return spec.seed, spec.data.fold, one.run.created_at


def labels_of(ways: Sequence[Mapping[str, Any]]) -> list[str]:
    """Returns a label a way: its strategy, and what tells it from others with that strategy."""
    found = []
    for settings in ways:
        name = settings["strategy.name"]
        alike = [other for other in ways if other["strategy.name"] == name]
        telling = [path for path, v in settings.items() if any(v != o[path] for o in alike)]
        words = [f"{_label(path)} {settings[path]}" for path in telling]
        found.append(" · ".join([STRATEGIES[name].label, *words]))
    return found


def _label(path: str) -> str:
    return str((field_info(path).json_schema_extra or {})["label"]).lower()


def pairs_of(ways: Sequence[Way]) -> list[Pair]:
    """Holds every two ways against each other whose runs were judged on the same images.

    With several seeds of both, images and seeds are taken as samples; else one run of each is held
    against the other, with the same seed if there is one.
    """
    found = []
    for one, other in itertools.combinations(ways, 2):
        if not one.samples or not _same_images(one, other):
            continue
        difference, seeds = _difference(one, other)
        if difference.estimate.value < 0:
            one, other, seeds = other, one, seeds[::-1]
            difference, _ = _difference(one, other)
        found.append((one, other, difference, seeds))
    adjusted = holm([difference.p_value for _, _, difference, _ in found])
    return [
        Pair(one, other, difference, p_value, seeds)
        for (one, other, difference, seeds), p_value in zip(found, adjusted, strict=True)
    ]


def _difference(one: Way, other: Way) -> tuple[Difference, tuple[int, int]]:
    if min(len(one.seeds), len(other.seeds)) > 1:
        seeds = (len(one.seeds), len(other.seeds))
        return difference_of_strategies(one.right_SN, other.right_SN), seeds
    shared = [seed for seed in one.seeds if seed in other.seeds]
    places = [way.seeds.index(shared[0]) if shared else 0 for way in (one, other)]
    return difference_of_runs(one.right_SN[places[0]], other.right_SN[places[1]]), (1, 1)


def _same_images(one: Way, other: Way) -> bool:
    """Returns whether two ways were judged on the same images, with the same labels and split."""
    prints = [{report.run.summary.get("fingerprint") for report in w.reports} for w in (one, other)]
    return prints[0] == prints[1] and one.images == other.images
