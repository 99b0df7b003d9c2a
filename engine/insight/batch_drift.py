"""What is said of a new batch of images held against those that a run was trained on. No torch.

Not to be taken for `engine.training.drift`, which is about weights that move while a run trains.
"""

from dataclasses import asdict, dataclass
from typing import Any, Literal, Self

from engine.insight.intervals import Estimate
from engine.insight.norm_shift import NormShift
from engine.insight.two_samples import Alikeness

# `differs` and `alike` are said where both looks agree, `unclear` where they do not.
Finding = Literal["differs", "unclear", "alike", "too few"]
# A set differs where p, after Holm among several, is at most this, and the AUC's 95 % interval
# lies above CHANCE; it is like the other where neither holds.
LARGEST_P = 0.05
CHANCE = 0.5


@dataclass(frozen=True)
class ClassDrift:
    """A class that the model knows, old images against new ones.

    Attributes:
        name: of the model.
        folder: what the new images call it.
        num_old: images that are compared.
        num_new: likewise.
        alikeness: None where either are too few.
        p: of `alikeness`, allowing for the number of classes (Holm); None where there is none.
        finding: what follows.
        old_shift: how far the old images lie from what the backbone was pre-trained on; see
            NormShift. None where that is not known.
        new_shift: how far the new ones do.
    """

    name: str
    folder: str
    num_old: int
    num_new: int
    alikeness: Alikeness | None
    p: float | None
    finding: Finding
    old_shift: float | None = None
    new_shift: float | None = None


@dataclass(frozen=True)
class NewClass:
    """A class that the model does not know.

    Attributes:
        name: of the new images.
        num: images that are compared.
        nearest: known classes with the share of its images that lie nearest to each one's mean,
            the largest first, at most three.
        alikeness: of the images of the first of them and of this one; None where either are too
            few.
        finding: what follows from that alone.
        shift: how far its images lie from what the backbone was pre-trained on.
    """

    name: str
    num: int
    nearest: tuple[tuple[str, float], ...]
    alikeness: Alikeness | None
    finding: Finding
    shift: float | None = None


@dataclass(frozen=True)
class FarImage:
    """A new image of a known class, and how far from the class's old images it lies.

    Attributes:
        path: of the file.
        label: class of the model.
        times: its mean distance to the nearest old images of its class, in what is usual (the
            median) among those themselves.
        beyond: share of the class's old images that lie nearer to the rest of them.
        nearest: path of the old image of its class that is most like it.
    """

    path: str
    label: str
    times: float
    beyond: float
    nearest: str


@dataclass(frozen=True)
class BatchDrift:
    """What is said of a new batch.

    Attributes:
        run_id: whose images are the old ones.
        folder: of the new ones.
        backbone: label of the one whose features are compared.
        started_from: its weights, in plain words.
        num_old: old images that were looked at, each content once.
        num_new: new ones.
        overall: old and new images in the same shares of known classes; None where they are too
            few.
        num_shared: known classes that both have.
        overall_finding: what follows.
        whole: all images, of whatever class; what tells classes apart tells them apart, too.
        classes: known ones that have new images, in the model's order.
        absent: known ones that have none.
        new_classes: those that the model does not know.
        norms: how far both lie from what the backbone was pre-trained on; None where that is not
            known.
        why_no_norms: why not, in a sentence; else empty.
        far: new images of known classes, the farthest first.
        usual: paths of the most usual old images of each class that `far` names.
        notes: what was left out, and what is to be kept in mind, a sentence each.
        seconds: that it took.
    """

    run_id: str
    folder: str
    backbone: str
    started_from: str
    num_old: int
    num_new: int
    overall: Alikeness | None
    num_shared: int
    overall_finding: Finding
    whole: Alikeness | None
    classes: tuple[ClassDrift, ...]
    absent: tuple[str, ...]
    new_classes: tuple[NewClass, ...]
    norms: NormShift | None
    why_no_norms: str
    far: tuple[FarImage, ...]
    usual: dict[str, tuple[str, ...]]
    notes: tuple[str, ...]
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        """Returns it as plain data for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Returns what `to_dict` gave, also by way of JSON.

        Raises:
            KeyError: something is missing.
            TypeError: it is of another kind.
        """
        parts = {
            "overall": _alikeness(values["overall"]),
            "whole": _alikeness(values["whole"]),
            "classes": tuple(
                ClassDrift(**one | {"alikeness": _alikeness(one["alikeness"])})
                for one in values["classes"]
            ),
            "absent": tuple(values["absent"]),
            "new_classes": tuple(_new_class(one) for one in values["new_classes"]),
            "norms": None if values["norms"] is None else NormShift.from_dict(values["norms"]),
            "far": tuple(FarImage(**one) for one in values["far"]),
            "usual": {name: tuple(paths) for name, paths in values["usual"].items()},
            "notes": tuple(values["notes"]),
        }
        return cls(**values | parts)


def finding_of(alikeness: Alikeness | None, p: float | None = None) -> Finding:
    """Returns what follows from how alike two sets are.

    Args:
        alikeness: None where images are too few.
        p: to go by in place of its own.
    """
    if alikeness is None:
        return "too few"
    is_unlikely = (alikeness.p if p is None else p) <= LARGEST_P
    is_told_apart = alikeness.auc.low > CHANCE
    if is_unlikely != is_told_apart:
        return "unclear"
    return "differs" if is_unlikely else "alike"


def _alikeness(values: dict[str, Any] | None) -> Alikeness | None:
    if values is None:
        return None
    first, second = values["num"]
    return Alikeness(values["mmd"], values["p"], Estimate(**values["auc"]), (first, second))


def _new_class(values: dict[str, Any]) -> NewClass:
    nearest = tuple((str(name), float(share)) for name, share in values["nearest"])
    return NewClass(**values | {"nearest": nearest, "alikeness": _alikeness(values["alikeness"])})
