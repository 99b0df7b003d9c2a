"""What can be found in a data set, and what can be done about it with one click."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from engine.data.remedies import Action, Remedy, relative_path

Severity = Literal["fault", "doubt", "note"]


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture that a finding is about.

    Attributes:
        path: of its file.
        label: its class; empty of a file that is in none, like those that follow.
        split: `train` or `val`.
        digest: of its content.
        suggestion: the class that it looks like, where another is meant.
    """

    path: str
    label: str = ""
    split: str = ""
    digest: str = ""
    suggestion: str = ""


@dataclass(frozen=True)
class Finding:
    """Something that was found in a data set.

    Attributes:
        kind: what it is, in one word.
        severity: `fault` makes results wrong, `doubt` may, `note` is good to know.
        sentence: what was found, and what follows from it.
        groups: the pictures that it is about; those of one group belong together.
    """

    kind: str
    severity: Severity
    sentence: str
    groups: tuple[tuple[Picture, ...], ...] = ()


@dataclass(frozen=True)
class Proposal:
    """What can be done about one group of a finding.

    Attributes:
        text: of a button.
        remedies: that it records.
        for_all: whether it can be done about all groups of the finding at once.
    """

    text: str
    remedies: tuple[Remedy, ...]
    for_all: bool = True


def remedies_for(
    pictures: Iterable[Picture], folder: Path, action: Action, detail: str = ""
) -> tuple[Remedy, ...]:
    """Returns the same remedy for each of some pictures.

    Args:
        pictures: of one data set.
        folder: the data set, to which the paths of remedies are relative.
        action: see Remedy.
        detail: see Remedy.
    """
    return tuple(
        Remedy(relative_path(one.path, folder), one.digest, action, detail) for one in pictures
    )


def proposals(finding: Finding, group: Sequence[Picture], folder: Path) -> list[Proposal]:
    """Returns what can be done about a group of a finding, the likeliest first.

    Args:
        finding: any.
        group: one of its groups.
        folder: the data set, to which the paths of remedies are relative.
    """

    def to(action: Action, pictures: Iterable[Picture], detail: str = "") -> tuple[Remedy, ...]:
        return remedies_for(pictures, folder, action, detail)

    what, _, how = finding.kind.partition("-")
    is_right = Proposal("Keep as it is", to("keep", group, finding.kind))
    leave_out = Proposal("Leave out", to("exclude", group))
    if what == "leak":
        train, val = ([one for one in group if one.split == split] for split in ("train", "val"))
        found = [
            Proposal("Keep it in training only", to("exclude", val)),
            Proposal("Keep it in validation only", to("exclude", train)),
        ]
        return found if how == "same" else [*found, is_right]
    if what in {"labels", "spelling"}:
        by_size = [label for label, _ in Counter(one.label for one in group).most_common()]
        found = [
            Proposal(
                f"All are {label!r}",
                to("relabel", [one for one in group if one.label != label], label),
                for_all=what == "spelling",
            )
            for label in by_size
        ]
        if what == "spelling":
            return found
        out = Proposal("Leave all of them out", to("exclude", group))
        return [*found, out] if how == "same" else [*found, out, is_right]
    if what == "twice":
        return [Proposal("Keep the first only", to("exclude", group[1:])), is_right]
    if what == "mislabelled":
        relabelled = tuple(
            remedy for one in group for remedy in to("relabel", [one], one.suggestion)
        )
        text = f"It is {group[0].suggestion!r}"
        return [Proposal(text, relabelled, for_all=False), leave_out, is_right]
    if what in {"small", "long", "outlier"}:
        return [leave_out, is_right]
    return []
