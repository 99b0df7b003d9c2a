"""A data set taken in: found, opened picture by picture, corrected and split as a spec says."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from engine.data.check import Progress, Verdict, check_pictures
from engine.data.folders import find_images
from engine.data.found import LEAST_CLASSES, ImageFolder, LeftOut, listed_classes
from engine.data.remedies import apply_remedies, load_remedies
from engine.data.splits import Split, fold_split, nested_share, stratified_split
from engine.data.twins import twin_groups
from engine.errors import DataError
from engine.spec import DataSpec


@dataclass(frozen=True)
class Intake:
    """The files of a data set, each opened.

    Attributes:
        found: by class, as corrected; those that cannot be read among them.
        verdicts: on every file, those that a correction leaves out among them.
        left_out: files that are not used, with the reason, in the order of their paths.
        kept: for each kind of finding the paths of which a person said that they are right.
        num_remedies: corrections that the spec names.
        num_unfit: those of pictures that are gone or have changed since.
    """

    found: ImageFolder
    verdicts: dict[Path, Verdict]
    left_out: tuple[LeftOut, ...]
    kept: frozenset[tuple[str, str]]
    num_remedies: int = 0
    num_unfit: int = 0

    @property
    def notes(self) -> tuple[str, ...]:
        """How the data was read and corrected, a sentence each."""
        return (*self.found.notes, *_remedy_notes(self.num_remedies, self.num_unfit))


def files_of(spec: DataSpec, least_classes: int = LEAST_CLASSES) -> ImageFolder:
    """Returns the files that a spec names, before any of them is opened.

    Raises:
        DataError: the data cannot be used; see find_images.
    """
    val_folder = Path(spec.val_folder) if spec.val_folder else None
    return find_images(Path(spec.folder), val_folder, least_classes)


def take_in(
    spec: DataSpec,
    progress: Progress = lambda done, total: None,
    found: ImageFolder | None = None,
    least_classes: int = LEAST_CLASSES,
) -> Intake:
    """Returns the files of a spec, each opened, with its corrections applied.

    Args:
        spec: names the data.
        progress: called with the number of pictures opened so far and the number to open.
        found: the files, where they were looked for before.
        least_classes: that there have to be.

    Raises:
        DataError: the data cannot be used; see find_images, load_remedies and apply_remedies.
    """
    folder = Path(spec.folder)
    remedies = load_remedies(spec.remedies)
    if found is None:
        found = files_of(spec, least_classes)
    files = [path for group in (*found.train, *(found.val or ())) for path in group]
    verdicts = check_pictures(folder, files, progress)
    remedied = apply_remedies(found, verdicts, folder, remedies)
    bad = (LeftOut(str(path), verdict.reason) for path, verdict in verdicts.items())
    # One that cannot be read is left out anyhow.
    excluded = (one for one in remedied.excluded if not verdicts[Path(one.path)].reason)
    left_out = (*found.left_out, *(one for one in bad if one.reason), *excluded)
    return Intake(
        found=remedied.found,
        verdicts=verdicts,
        left_out=tuple(sorted(left_out, key=lambda file: file.path)),
        kept=remedied.kept,
        num_remedies=len(remedies),
        num_unfit=remedied.num_unfit,
    )


def require_images(spec: DataSpec) -> None:
    """Raises DataError where a look at the folder, without opening a file, shows it will not do."""
    found = files_of(spec)
    _require_foldable(spec, found)
    load_remedies(spec.remedies)


def split_as(spec: DataSpec, intake: Intake) -> tuple[Split, tuple[str, ...]]:
    """Returns the readable files as the spec splits them, and what is to be said of that.

    Raises:
        DataError: a class has too few pictures, no validation picture can be read, or folds are
            asked for where the data has a split of its own.
    """
    split, notes = _split_whole(spec, intake)
    if spec.train_fraction == 1.0:
        return split, notes
    verdicts = intake.verdicts
    train = nested_share(
        split.train, spec.train_fraction, spec.split_seed, lambda path: verdicts[path].digest
    )
    spare = tuple(
        tuple(path for path in group if path not in set(kept))
        for group, kept in zip(split.train, train, strict=True)
    )
    num_kept, num_all = (sum(map(len, files)) for files in (train, split.train))
    note = (
        f"{num_kept:,} of {num_all:,} images are learnt from: {100 * spec.train_fraction:g} % of "
        "each class, and at least one. The validation images are those of all other shares."
    )
    return replace(split, train=train, spare=spare), (*notes, note)


def _split_whole(spec: DataSpec, intake: Intake) -> tuple[Split, tuple[str, ...]]:
    """Returns the split before a share of the training images is drawn; see split_as."""
    found, verdicts = intake.found, intake.verdicts
    good = _readable(found.train, verdicts)
    _require_enough(spec, found, good, least=1 if found.val is not None else 2)
    if found.val is not None:
        _require_foldable(spec, found)
        val = _readable(found.val, verdicts)
        if not any(val):
            raise DataError(f"No validation picture of {spec.folder} can be read; replace them.")
        return Split(good, val), ()
    groups = _look_alikes(good, verdicts) if spec.keep_alike_together else []
    if spec.folds:
        split = fold_split(good, spec.folds, spec.fold, spec.split_seed, groups)
        if not any(split.val) or not all(split.train):
            raise DataError(
                f"{spec.folder} has too few pictures for {spec.folds} folds; set data.folds to "
                "less."
            )
    else:
        split = stratified_split(good, spec.val_fraction, spec.split_seed, groups)
    return split, tuple(_split_notes(found, groups, split))


def _require_foldable(spec: DataSpec, found: ImageFolder) -> None:
    if spec.folds and found.val is not None:
        raise DataError(
            f"{spec.folder} has validation pictures of its own, so there are no folds to draw; set "
            "data.folds to 0."
        )


def _readable(
    files_by_class: Sequence[Sequence[Path]], verdicts: dict[Path, Verdict]
) -> list[list[Path]]:
    return [[path for path in group if not verdicts[path].reason] for group in files_by_class]


def _require_enough(
    spec: DataSpec, found: ImageFolder, good: Sequence[Sequence[Path]], least: int
) -> None:
    for name, group, all_files in zip(found.classes, good, found.train, strict=True):
        if len(group) < least:
            unreadable = len(all_files) - len(group)
            note = f" ({unreadable} cannot be read)" if unreadable else ""
            raise DataError(
                f"The class {name!r} in {spec.folder} has {len(group)} usable "
                f"picture{'' if len(group) == 1 else 's'}{note} and needs at least {least}; add "
                "pictures, or remove the class folder."
            )


def _look_alikes(
    good: Sequence[Sequence[Path]], verdicts: dict[Path, Verdict]
) -> list[tuple[Path, ...]]:
    paths = [path for group in good for path in group]
    groups = twin_groups(paths, [verdicts[path] for path in paths])
    return [tuple(paths[place] for place in group) for group in groups]


def _remedy_notes(count: int, num_unfit: int) -> list[str]:
    notes = []
    if count:
        corrections = f"{count} correction{'' if count == 1 else 's'} of yours"
        notes.append(f"{corrections} {'is' if count == 1 else 'are'} applied; no file is changed.")
    if num_unfit:
        notes.append(unfit_sentence(num_unfit))
    return notes


def unfit_sentence(count: int) -> str:
    """Returns what is to be said of corrections that no longer fit."""
    return f"{count} of them no longer fit: the pictures are gone or have changed."


def _split_notes(
    found: ImageFolder, groups: Sequence[Sequence[Path]], split: Split
) -> Sequence[str]:
    notes = []
    if groups:
        pictures = sum(map(len, groups))
        notes.append(
            f"{pictures:,} pictures that look alike, in {len(groups):,} "
            f"group{'' if len(groups) == 1 else 's'}, are kept on one side of the split."
        )
    if split.parted:
        names = listed_classes([found.classes[index] for index in split.parted])
        notes.append(
            f"Look-alikes of {names} are on both sides of the split all the same: there is little "
            "else."
        )
    return notes
