"""What casts doubt on pictures of a data set, as it is kept and shown. No torch here."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from typing import Any, Self

from engine.data.findings import Finding, Picture

MISLABELLED, OUTLIER = "mislabelled", "outlier"


@dataclass(frozen=True, slots=True)
class WrongLabel:
    """A picture that looks like another class than its own.

    Attributes:
        picture: with the class that it looks like as its suggestion.
        given: probability of its own class, by a model that never saw it.
        suggested: probability of the other.
    """

    picture: Picture
    given: float
    suggested: float


@dataclass(frozen=True, slots=True)
class Outlier:
    """A picture that is like no other.

    Attributes:
        picture: any.
        score: how far it is from those that are most like it; half of all pictures have less than
            0, and one in ten has more than 1.
    """

    picture: Picture
    score: float


@dataclass(frozen=True)
class Doubts:
    """The pictures of a data set that a person should look at.

    Attributes:
        backbone: whose features decide.
        num_pictures: that were looked at; those that are there twice count twice.
        num_judged: of those, how many have a label that could be judged.
        small_classes: classes with too few pictures for that.
        accuracy: share of labels that a model guesses from the other pictures; None where none
            could be judged.
        wrong_labels: the least likely first.
        outliers: the oddest first.
        seconds: that finding them took.
    """

    backbone: str
    num_pictures: int
    num_judged: int
    small_classes: tuple[str, ...]
    accuracy: float | None
    wrong_labels: tuple[WrongLabel, ...]
    outliers: tuple[Outlier, ...]
    seconds: float

    def without(self, kept: Iterable[tuple[str, str]]) -> Self:
        """Returns them without those of which a person said that they are none.

        Args:
            kept: kinds of finding, each with a path.
        """
        kept = frozenset(kept)
        return replace(
            self,
            wrong_labels=tuple(
                one for one in self.wrong_labels if (MISLABELLED, one.picture.path) not in kept
            ),
            outliers=tuple(one for one in self.outliers if (OUTLIER, one.picture.path) not in kept),
        )

    def to_dict(self) -> dict[str, Any]:
        """Returns them as plain data for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Returns what `to_dict` gave.

        Raises:
            KeyError: something is missing.
            TypeError: it is of another kind.
        """
        wrong = (one | {"picture": Picture(**one["picture"])} for one in values["wrong_labels"])
        odd = (one | {"picture": Picture(**one["picture"])} for one in values["outliers"])
        parts = {
            "small_classes": tuple(values["small_classes"]),
            "wrong_labels": tuple(WrongLabel(**one) for one in wrong),
            "outliers": tuple(Outlier(**one) for one in odd),
        }
        return cls(**values | parts)


def doubt_findings(doubts: Doubts) -> tuple[Finding, ...]:
    """Returns the doubts in the form of what else is found in a data set: none, one or two."""
    found = []
    if groups := tuple((one.picture,) for one in doubts.wrong_labels):
        what = (
            "picture looks like another class than its own: look at it, such a label is"
            if len(groups) == 1
            else "pictures look like another class than their own: look at each, such labels are"
        )
        sentence = f"{len(groups)} {what} often wrong, not always."
        found.append(Finding(MISLABELLED, "doubt", sentence, groups))
    if groups := tuple((one.picture,) for one in doubts.outliers):
        what = (
            "picture is like no other here: does it"
            if len(groups) == 1
            else "pictures are like no other here: do they"
        )
        sentence = f"{len(groups)} {what} belong to these data?"
        found.append(Finding(OUTLIER, "note", sentence, groups))
    return tuple(found)
