"""Old images held against new ones by their features: class by class, and over all classes.

No torch here. What is compared is compared within classes, since a batch of other classes, or of
the same in other shares, would look new however alike its images are.

Shapes: N images of one side, M of the other, D features.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine.insight.batch_drift import ClassDrift, FarImage, NewClass, finding_of
from engine.insight.differences import holm
from engine.insight.two_samples import LEAST, PERMUTATIONS, Alikeness, alikeness

# Of one side: with more, MMD and classifier would take minutes, and tell the same.
MOST_TESTED = 1000
NEIGHBOURS = 5
FAR_KEPT = 48
USUAL_KEPT = 3
NEAREST_NAMED = 3
# So many times the smallest p that Holm still calls small among all classes.
PERMUTATIONS_A_CLASS = 40


@dataclass(frozen=True)
class Side:
    """The old images or the new ones, each content once, in an order drawn from contents.

    Attributes:
        paths: of the files.
        labels: name of each one's class.
        directions_ND: features of length 1.
    """

    paths: tuple[str, ...]
    labels: tuple[str, ...]
    directions_ND: NDArray[np.float64]

    def places(self, label: str) -> NDArray[np.intp]:
        """Returns the positions of the images of a class."""
        return np.flatnonzero(np.array(self.labels, dtype=object) == label)

    def of(self, label: str) -> NDArray[np.float64]:
        """Returns the features of the images of a class."""
        return self.directions_ND[self.places(label)]


class Told(NamedTuple):
    """What features say of a new batch; see BatchDrift."""

    overall: Alikeness | None
    num_shared: int
    whole: Alikeness | None
    classes: tuple[ClassDrift, ...]
    new_classes: tuple[NewClass, ...]


def compare(
    old: Side,
    new: Side,
    known: Mapping[str, str],
    fresh: Sequence[str],
    advance: Callable[[int], None],
) -> Told:
    """Returns what features say of new images.

    Args:
        old: images of the run; labels are the model's.
        new: images of the batch; labels are the model's where it knows the class.
        known: the model's class of each folder that is one.
        fresh: classes that the model does not know.
        advance: is told of each class that is done.
    """
    folder_of = {name: _listed(known, name) for name in sorted(set(known.values()))}
    names = [name for name in folder_of if len(new.places(name))]
    permutations = max(PERMUTATIONS, PERMUTATIONS_A_CLASS * len(names) - 1)
    drifts: list[ClassDrift] = []
    for name in names:
        drifts.append(_class_drift(name, folder_of[name], old, new, permutations))
        advance(1)
    new_classes = []
    for name in fresh:
        new_classes.append(_new_class(name, old, new))
        advance(1)
    shared = [name for name in names if len(old.places(name))]
    taken = _in_same_shares(old, new, shared)
    overall = _alike(*taken) if taken is not None else None
    whole = _alike(old.directions_ND, new.directions_ND)
    advance(1)
    return Told(overall, len(shared), whole, _with_holm(drifts), tuple(new_classes))


def _listed(known: Mapping[str, str], name: str) -> str:
    """Returns what the new images call a class of the model."""
    return ", ".join(sorted(folder for folder, meant in known.items() if meant == name))


def num_steps(known: Mapping[str, str], fresh: Sequence[str]) -> int:
    """Returns how often `compare` tells of something done, at most."""
    return len(set(known.values())) + len(fresh) + 1


def _alike(
    first_ND: NDArray[np.float64], second_MD: NDArray[np.float64], permutations: int = PERMUTATIONS
) -> Alikeness | None:
    """Returns how alike two sets are, by a draw of MOST_TESTED; None where one is too small."""
    if min(len(first_ND), len(second_MD)) < LEAST:
        return None
    return alikeness(first_ND[:MOST_TESTED], second_MD[:MOST_TESTED], permutations)


def _class_drift(name: str, folder: str, old: Side, new: Side, permutations: int) -> ClassDrift:
    old_ND, new_MD = old.of(name), new.of(name)
    found = _alike(old_ND, new_MD, permutations)
    return ClassDrift(name, folder, len(old_ND), len(new_MD), found, None, finding_of(found))


def _with_holm(drifts: Sequence[ClassDrift]) -> tuple[ClassDrift, ...]:
    """Returns classes with what follows from all of them together."""
    tested = [one.alikeness.p for one in drifts if one.alikeness is not None]
    adjusted = iter(holm(tested))
    return tuple(
        one
        if one.alikeness is None
        else replace(one, p=(p := next(adjusted)), finding=finding_of(one.alikeness, p))
        for one in drifts
    )


def _in_same_shares(
    old: Side, new: Side, shared: Sequence[str]
) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """Returns as many old images of each class as new ones; None of no class."""
    nums = {name: min(len(old.places(name)), len(new.places(name))) for name in shared}
    total = sum(nums.values())
    if not total:
        return None
    share = min(1.0, MOST_TESTED / total)
    kept = {name: max(1, int(share * num)) for name, num in nums.items()}
    first, second = (
        np.concatenate([side.of(name)[:num] for name, num in kept.items()]) for side in (old, new)
    )
    return first, second


def _new_class(name: str, old: Side, new: Side) -> NewClass:
    """Returns which known classes the images of a new one lie nearest to."""
    new_MD = new.of(name)
    names = sorted(set(old.labels))
    means_KD = np.stack([_mean_direction(old.of(one)) for one in names])
    nearest_M = (new_MD @ means_KD.T).argmax(axis=1)
    shares_K = np.bincount(nearest_M, minlength=len(names)) / max(len(new_MD), 1)
    order = [place for place in np.argsort(-shares_K, kind="stable") if shares_K[place] > 0.0]
    found = _alike(old.of(names[order[0]]), new_MD) if order else None
    return NewClass(
        name,
        len(new_MD),
        tuple((names[place], float(shares_K[place])) for place in order[:NEAREST_NAMED]),
        found,
        finding_of(found),
    )


def _mean_direction(directions_ND: NDArray[np.float64]) -> NDArray[np.float64]:
    mean_D = directions_ND.mean(axis=0)
    direction_D: NDArray[np.float64] = mean_D / max(float(np.linalg.norm(mean_D)), 1e-12)
    return direction_D


def farthest(old: Side, new: Side, names: Sequence[str]) -> tuple[FarImage, ...]:
    """Returns the new images of some classes that lie farthest from the old ones of theirs.

    How far is the mean distance (1 - cosine) to the NEIGHBOURS nearest; classes of which there are
    less than two old images are left out.
    """
    found = [image for name in names for image in _far_of_class(name, old, new)]
    return tuple(sorted(found, key=lambda one: (-one.times, one.path))[:FAR_KEPT])


def _far_of_class(name: str, old: Side, new: Side) -> list[FarImage]:
    old_places, new_places = old.places(name), new.places(name)
    num = min(NEIGHBOURS, len(old_places) - 1)
    if num < 1:
        return []
    old_ND = old.directions_ND[old_places]
    among_NN = 1.0 - old_ND @ old_ND.T
    np.fill_diagonal(among_NN, np.inf)
    usual_N = _nearest_mean(among_NN, num)
    away_MN = 1.0 - new.directions_ND[new_places] @ old_ND.T
    median = max(float(np.median(usual_N)), 1e-12)
    return [
        FarImage(
            new.paths[place],
            name,
            float(away / median),
            float((usual_N < away).mean()),
            old.paths[old_places[row_N.argmin()]],
        )
        for place, away, row_N in zip(new_places, _nearest_mean(away_MN, num), away_MN, strict=True)
    ]


def _nearest_mean(away_MN: NDArray[np.float64], num: int) -> NDArray[np.float64]:
    nearest_M: NDArray[np.float64] = np.sort(away_MN, axis=1)[:, :num].mean(axis=1)
    return nearest_M


def usual_images(old: Side, names: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Returns the old images of some classes that lie nearest to their class's mean."""
    found = {}
    for name in names:
        places = old.places(name)
        near_N = old.directions_ND[places] @ _mean_direction(old.directions_ND[places])
        order = np.argsort(-near_N, kind="stable")[:USUAL_KEPT]
        found[name] = tuple(old.paths[places[one]] for one in order)
    return found
