"""Corrections of a data set: pictures that are left out, moved or given another class.

They are a list of their own; no file of the person is touched. A list never changes: each is kept
under a name made of its content, which a run's spec carries, so that the run means the same later.
Which list is a folder's present one, and which were before it, is kept beside them.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import astuple, dataclass, replace
from pathlib import Path
from typing import Literal

from filelock import FileLock

from engine.data.check import Verdict
from engine.data.found import ImageFolder, LeftOut
from engine.errors import DataError
from engine.files import write_text
from engine.home import thaw_home

Action = Literal["exclude", "relabel", "train", "val", "keep"]
EXCLUDED = "left out by you"


@dataclass(frozen=True, slots=True)
class Remedy:
    """What a person decided on one picture.

    Attributes:
        path: of the file, relative to the data set where it lies in it.
        digest: of its content then; a file that was replaced since is another picture.
        action: `exclude`, `relabel`, to `train` or to `val`; `keep` says that a finding is none.
        detail: the new class of `relabel`, the kind of finding of `keep`.
    """

    path: str
    digest: str
    action: Action
    detail: str = ""


def current_remedies(folder: Path) -> str:
    """Returns the name of a data set's present list; empty where there is none."""
    history = _history(_pointer(folder))
    return history[-1] if history else ""


def load_remedies(name: str) -> tuple[Remedy, ...]:
    """Returns a list by its name; the empty name is the empty list.

    Raises:
        DataError: there is no such list, or it cannot be read.
    """
    if not name:
        return ()
    file = _folder() / f"{name}.json"
    try:
        return tuple(Remedy(*entry) for entry in json.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise DataError(
            f"The corrections {name} of the images are not in {file}; copy the file there, or set "
            "data.remedies to nothing to do without."
        ) from error


def record_remedies(folder: Path, more: Iterable[Remedy]) -> str:
    """Lays further corrections over those of a data set; returns the new list's name.

    Raises:
        DataError: the list cannot be written.
    """
    with _changing(folder) as history:
        known = {_subject(one): one for one in load_remedies(history[-1] if history else "")}
        # The last word on a picture counts.
        known |= {_subject(one): one for one in more}
        history.append(_keep(tuple(known[key] for key in sorted(known))))
        return history[-1]


def take_back_remedies(folder: Path, everything: bool = False) -> str:
    """Makes the list before the present one the present one; returns its name.

    Args:
        folder: the data set.
        everything: go back to no corrections at all, which can itself be taken back.

    Raises:
        DataError: it cannot be written.
    """
    with _changing(folder) as history:
        if everything:
            history.append("")
        elif history:
            history.pop()
        return history[-1] if history else ""


def can_take_back(folder: Path) -> bool:
    """Returns whether there is a list before the present one."""
    return bool(_history(_pointer(folder)))


def relative_path(path: str | Path, folder: Path) -> str:
    """Returns a picture's path as corrections name it, the same in every copy of a data set."""
    root = folder.parent if folder.is_file() else folder
    path = Path(path)
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)


@dataclass(frozen=True)
class Remedied:
    """A data set with corrections applied.

    Attributes:
        found: its files by class; a class that lost all of its pictures is gone.
        excluded: files that were left out.
        kept: for each kind of finding the paths of which a person said that they are right.
        num_unfit: corrections of files that are gone or have changed since.
    """

    found: ImageFolder
    excluded: tuple[LeftOut, ...]
    kept: frozenset[tuple[str, str]]
    num_unfit: int


def apply_remedies(
    found: ImageFolder, verdicts: dict[Path, Verdict], folder: Path, remedies: Sequence[Remedy]
) -> Remedied:
    """Returns the files of a data set as corrected.

    Raises:
        DataError: nothing is left of training or validation, or a class is named that is not there.
    """
    if not remedies:
        return Remedied(found, (), frozenset(), 0)
    by_path: dict[str, list[Remedy]] = {}
    for one in remedies:
        by_path.setdefault(one.path, []).append(one)
    # In order, and each file once: a table may name one under two labels.
    places: dict[str, list[dict[Path, None]]] = {
        "train": [{} for _ in found.classes],
        "val": [{} for _ in found.classes],
    }
    excluded: list[LeftOut] = []
    kept: set[tuple[str, str]] = set()
    fitting: Counter[str] = Counter()
    for split, label, path in _all(found):
        target = split, label
        is_out = False
        for one in by_path.get(relative_path(path, folder), ()):
            if one.digest != verdicts[path].digest:
                continue
            fitting[one.path] += 1
            if one.action == "exclude":
                is_out = True
            elif one.action == "keep":
                kept.add((one.detail, str(path)))
            elif one.action == "relabel":
                target = target[0], _class(found, one)
            elif found.val is not None:
                target = one.action, target[1]
        if is_out:
            excluded.append(LeftOut(str(path), EXCLUDED))
        else:
            places[target[0]][target[1]][path] = None
    return Remedied(
        found=_without_empty(found, places["train"], places["val"]),
        excluded=tuple(excluded),
        kept=frozenset(kept),
        num_unfit=sum(path not in fitting for path in by_path),
    )


def _all(found: ImageFolder) -> Iterator[tuple[str, int, Path]]:
    for split, groups in (("train", found.train), ("val", found.val or ())):
        for label, paths in enumerate(groups):
            for path in paths:
                yield split, label, path


def _class(found: ImageFolder, remedy: Remedy) -> int:
    if remedy.detail not in found.classes:
        raise DataError(
            f"A correction makes {remedy.path} a {remedy.detail!r}, a class that is not there any "
            "more; take the corrections back."
        )
    return found.classes.index(remedy.detail)


def _without_empty(
    found: ImageFolder, train: Sequence[Iterable[Path]], val: Sequence[Iterable[Path]]
) -> ImageFolder:
    """Returns what is left; of a class that was merged into another nothing is."""
    left = [i for i in range(len(found.classes)) if train[i] or val[i]]
    if len(left) < 2:
        raise DataError(
            "With the corrections fewer than two classes have pictures; take some of them back."
        )
    return replace(
        found,
        classes=tuple(found.classes[i] for i in left),
        train=tuple(tuple(train[i]) for i in left),
        val=None if found.val is None else tuple(tuple(val[i]) for i in left),
    )


def _subject(remedy: Remedy) -> tuple[str, str]:
    """Returns what a later decision takes the place of: one on the picture, one a kind of `keep`.

    What becomes of a picture is one decision; that a finding is none is another.
    """
    return remedy.path, remedy.detail if remedy.action == "keep" else ""


def _folder() -> Path:
    folder = thaw_home() / "remedies"
    folder.mkdir(exist_ok=True)
    return folder


def _pointer(folder: Path) -> Path:
    named = hashlib.sha256(str(folder.resolve()).encode("utf-8", "surrogateescape")).hexdigest()
    return _folder() / f"of-{named[:24]}.json"


def _history(pointer: Path) -> list[str]:
    try:
        values = json.loads(pointer.read_text(encoding="utf-8"))
        return [str(name) for name in values["lists"]]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"Which corrections a data set has cannot be read from {pointer}; remove the file to "
            "begin anew."
        ) from error


def _keep(remedies: Sequence[Remedy]) -> str:
    text = json.dumps([astuple(one) for one in remedies], indent=0)
    name = hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:16]
    write_text(_folder() / f"{name}.json", text)
    return name


@contextmanager
def _changing(folder: Path) -> Iterator[list[str]]:
    pointer = _pointer(folder)
    try:
        with FileLock(f"{pointer}.lock"):
            history = _history(pointer)
            yield history
            text = json.dumps({"folder": str(folder.resolve()), "lists": history})
            write_text(pointer, text)
    except OSError as error:
        raise DataError(
            f"Corrections cannot be written to {pointer.parent} ({error.strerror or error}); free "
            "some room, or mend its permissions."
        ) from error
