"""Which class of the new images is which of the model's. No torch here."""

import difflib
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from engine.errors import DataError

# Of the letters of two names, which share has to be the same in the same order for a question.
CLOSE = 0.8
# What an answer says of a class that the model does not have.
NEW = ""


@dataclass(frozen=True)
class Matching:
    """What became of the names of the new images' classes.

    Attributes:
        known: the model's class of each that it has.
        new: those that it does not have, in their order.
        open: those of which a person has to say it, each with the names that are close.
    """

    known: dict[str, str]
    new: tuple[str, ...]
    open: dict[str, tuple[str, ...]]

    def settled(self) -> "Matching":
        """Returns itself.

        Raises:
            DataError: a name is close to one of the model's, and nobody has said whether it is it.
        """
        if self.open:
            name, close = next(iter(self.open.items()))
            others = f" (and {len(self.open) - 1} more)" if len(self.open) > 1 else ""
            raise DataError(
                f"The class {name!r} of the new images is close to {_listed(close)} of the "
                f"model{others}; say whether it is the same with --same {name}={close[0]}, or that "
                f"it is a new one with --new {name}."
            )
        return self


def match_classes(
    model: Sequence[str], folders: Sequence[str], answers: Mapping[str, str] | None = None
) -> Matching:
    """Returns which class of new images is which of a model's.

    Names that are equal are the same class. Where one is close to others, somebody has to say.

    Args:
        model: names of the classes that the model has.
        folders: names of the new images' classes.
        answers: what somebody said: the model's class of a name, or NEW.

    Raises:
        DataError: an answer names a class that is not there.
    """
    answers = dict(answers or {})
    _require_there(model, folders, answers)
    known: dict[str, str] = {}
    new: list[str] = []
    unsettled: dict[str, tuple[str, ...]] = {}
    for name in folders:
        if name in answers:
            if answers[name] == NEW:
                new.append(name)
            else:
                known[name] = answers[name]
        elif name in model:
            known[name] = name
        elif close := _close(name, model):
            unsettled[name] = close
        else:
            new.append(name)
    return Matching(known, tuple(new), unsettled)


def _require_there(
    model: Sequence[str], folders: Sequence[str], answers: Mapping[str, str]
) -> None:
    for name, meant in answers.items():
        if name not in folders:
            raise DataError(
                f"There is no class {name!r} in the new images; they have {_listed(folders)}."
            )
        if meant != NEW and meant not in model:
            raise DataError(f"The model has no class {meant!r}; it has {_listed(model)}.")
        if meant == NEW and name in model:
            raise DataError(
                f"The model has a class {name!r} already, so it cannot be a new one; give the "
                "folder another name."
            )


def _close(name: str, model: Sequence[str]) -> tuple[str, ...]:
    """Returns the names that may be meant, the closest first."""
    plain = _plain(name)
    ratio = {other: difflib.SequenceMatcher(None, plain, _plain(other)).ratio() for other in model}
    near = [other for other in model if ratio[other] >= CLOSE]
    return tuple(sorted(near, key=lambda other: -ratio[other]))


def _plain(name: str) -> str:
    """Returns a name without what people write differently: case, accents, signs between words."""
    letters = unicodedata.normalize("NFKD", name).casefold()
    return re.sub(r"[\W_]+", "", "".join(c for c in letters if not unicodedata.combining(c)))


def _listed(names: Sequence[str], most: int = 12) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
