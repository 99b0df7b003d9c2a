"""What a person should know of a data set before training on it.

Everything is found from the verdicts that a run needs anyway; no file of the person is touched.
"""

import statistics
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from engine.data.check import Progress, Verdict, check_pictures
from engine.data.folders import ImageFolder, find_images
from engine.data.likeness import find_alike
from engine.data.manifest import fingerprint

FEW = 10
IMBALANCE = 5.0
SMALL_SIDE = 64
LONG_SHAPE = 3.0

Severity = Literal["fault", "doubt", "note"]


@dataclass(frozen=True)
class Finding:
    """Something that was found in a data set.

    Attributes:
        kind: what it is, in one word.
        severity: `fault` makes results wrong, `doubt` may, `note` is good to know.
        sentence: what was found, and what follows from it.
        groups: the files that it is about; those of one group belong together.
    """

    kind: str
    severity: Severity
    sentence: str
    groups: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True)
class DataReport:
    """A data set as it was found.

    Attributes:
        folder: where it lies.
        classes: name, pictures to train on and to validate on, of each; where the folder has no
            split of its own all are to train on.
        has_split: whether it has.
        formats: pictures by file format.
        least_side: px, of the shorter sides.
        median_side: px, of the shorter sides.
        largest_side: px, of the longer sides.
        fingerprint: of contents, classes and split; equal for copies.
        findings: the worst first.
        seconds: that looking at it took.
        num_fresh: pictures that had to be opened; the others were known from before.
    """

    folder: str
    classes: tuple[tuple[str, int, int], ...]
    has_split: bool
    formats: dict[str, int]
    least_side: int
    median_side: int
    largest_side: int
    fingerprint: str
    findings: tuple[Finding, ...]
    seconds: float
    num_fresh: int

    @property
    def num_pictures(self) -> int:
        """Pictures that can be used."""
        return sum(train + val for _, train, val in self.classes)

    def to_dict(self) -> dict[str, Any]:
        """Returns it as plain data for JSON."""
        return asdict(self)


@dataclass(frozen=True)
class _Seen:
    """A picture that can be used."""

    path: Path
    label: str
    split: str
    verdict: Verdict


def inspect_folder(folder: Path, progress: Progress = lambda done, total: None) -> DataReport:
    """Returns what was found in a folder of classes.

    Args:
        folder: with `train/<class>/` and `val/<class>/`, or `<class>/`.
        progress: called with the number of pictures opened so far and the number to open.

    Raises:
        DataError: the folder cannot be used; see find_images.
    """
    started = time.perf_counter()
    opened = 0

    def count(done: int, total: int) -> None:
        nonlocal opened
        opened = done
        progress(done, total)

    found = find_images(folder)
    files = [path for group in (*found.train, *(found.val or ())) for path in group]
    verdicts = check_pictures(folder, files, count)
    seen = list(_seen(found, verdicts))
    sides = [side for one in seen for side in (one.verdict.width, one.verdict.height)]
    shorter = [min(one.verdict.width, one.verdict.height) for one in seen]
    counts = Counter((one.label, one.split) for one in seen)
    train, val = (
        [[p for p in group if not verdicts[p].reason] for group in split]
        for split in (found.train, found.val or [()] * len(found.classes))
    )
    return DataReport(
        folder=str(folder),
        classes=tuple((name, counts[name, "train"], counts[name, "val"]) for name in found.classes),
        has_split=found.val is not None,
        formats=dict(Counter(one.verdict.format for one in seen).most_common()),
        least_side=min(shorter, default=0),
        median_side=round(statistics.median(shorter)) if shorter else 0,
        largest_side=max(sides, default=0),
        fingerprint=fingerprint(found.classes, train, val, verdicts),
        findings=_findings(found, verdicts, seen),
        seconds=time.perf_counter() - started,
        num_fresh=opened,
    )


def _seen(found: ImageFolder, verdicts: dict[Path, Verdict]) -> Iterable[_Seen]:
    for split, groups in (("train", found.train), ("val", found.val or ())):
        for label, paths in zip(found.classes, groups, strict=False):
            for path in paths:
                if not verdicts[path].reason:
                    yield _Seen(path, label, split, verdicts[path])


def _findings(
    found: ImageFolder, verdicts: dict[Path, Verdict], seen: Sequence[_Seen]
) -> tuple[Finding, ...]:
    findings = [
        *_unreadable(verdicts),
        *_twins(seen, found.val is not None),
        *_case_twins(found.classes),
        *_few(found, seen),
        *_odd_pictures(seen),
        *_other_files(found),
    ]
    order = ("fault", "doubt", "note")
    return tuple(sorted(findings, key=lambda one: order.index(one.severity)))


def _unreadable(verdicts: dict[Path, Verdict]) -> Iterable[Finding]:
    by_reason: dict[str, list[str]] = defaultdict(list)
    for path, verdict in verdicts.items():
        if verdict.reason:
            by_reason[verdict.reason].append(str(path))
    for reason, paths in sorted(by_reason.items()):
        yield Finding(
            "unreadable",
            "fault",
            f"{_pictures(len(paths))} cannot be used ({reason}): left out of every run.",
            tuple((path,) for path in paths),
        )


def _twins(seen: Sequence[_Seen], has_split: bool) -> Iterable[Finding]:
    """Yields pictures that are there twice, by what that does: leak, contradict, count double."""
    by_content: dict[str, list[int]] = defaultdict(list)
    for index, one in enumerate(seen):
        by_content[one.verdict.digest].append(index)
    exact = [(group[0], other) for group in by_content.values() for other in group[1:]]
    near = find_alike(
        [one.path for one in seen],
        [one.verdict.likeness for one in seen],
        [one.verdict.digest for one in seen],
    )
    split_later = "" if has_split else " A random split may put one of them on each side."
    for pairs, kind, how in ((exact, "same", "the same"), (near, "alike", "nearly the same")):
        groups = _grouped(pairs)
        labels = [group for group in groups if len({seen[i].label for i in group}) > 1]
        leaks = [group for group in groups if len({seen[i].split for i in group}) > 1]
        rest = [group for group in groups if group not in labels and group not in leaks]
        is_exact = kind == "same"
        for chosen, name, severity, sentence in (
            (
                leaks,
                f"leak-{kind}",
                "fault" if is_exact else "doubt",
                f"{how} picture is both in training and in validation: accuracy is measured on "
                "pictures that were learnt.",
            ),
            (
                labels,
                f"labels-{kind}",
                "fault" if is_exact else "doubt",
                f"{how} picture is in two classes: one of the labels is wrong.",
            ),
            (
                rest,
                f"twice-{kind}",
                "note",
                f"{how} picture is there more than once.{split_later}",
            ),
        ):
            if chosen:
                yield _about(seen, chosen, name, severity, sentence)


def _about(
    seen: Sequence[_Seen],
    groups: Sequence[Sequence[int]],
    kind: str,
    severity: str,
    sentence: str,
) -> Finding:
    times = "Once" if len(groups) == 1 else f"{len(groups)} times"
    files = tuple(tuple(str(seen[i].path) for i in group) for group in groups)
    return Finding(kind, severity, f"{times} {sentence}", files)  # type: ignore[arg-type]


def _grouped(pairs: Iterable[tuple[int, int]]) -> list[tuple[int, ...]]:
    """Returns what hangs together by pairs, each group in order."""
    group_of: dict[int, set[int]] = {}
    for one, other in pairs:
        merged = group_of.get(one, {one}) | group_of.get(other, {other})
        for member in merged:
            group_of[member] = merged
    unique = {id(group): tuple(sorted(group)) for group in group_of.values()}
    return sorted(unique.values())


def _case_twins(classes: Sequence[str]) -> Iterable[Finding]:
    by_spelling: dict[str, list[str]] = defaultdict(list)
    for name in classes:
        by_spelling["".join(name.casefold().split()).replace("_", "").replace("-", "")].append(name)
    twins = [names for names in by_spelling.values() if len(names) > 1]
    for names in twins:
        listed = " and ".join(repr(name) for name in names)
        yield Finding(
            "spelling", "doubt", f"The classes {listed} differ in spelling only: are they one?"
        )


def _few(found: ImageFolder, seen: Sequence[_Seen]) -> Iterable[Finding]:
    counts = Counter(one.label for one in seen if one.split == "train")
    few = [name for name in found.classes if counts[name] < FEW]
    if few:
        listed = ", ".join(f"{name!r} ({counts[name]})" for name in few[:5])
        more = f" and {len(few) - 5} more" if len(few) > 5 else ""
        yield Finding(
            "few",
            "doubt",
            f"Fewer than {FEW} pictures to train on in {listed}{more}: results on "
            f"{'it' if len(few) == 1 else 'them'} are mostly chance.",
        )
    most, least = max(counts.values(), default=0), min(counts.values(), default=0)
    if least and most / least >= IMBALANCE:
        large, small = (
            next(name for name in found.classes if counts[name] == number)
            for number in (most, least)
        )
        yield Finding(
            "imbalance",
            "note",
            f"{large!r} has {most / least:.0f} times as many pictures as {small!r}: look at macro "
            "F1 beside accuracy, or balance the classes.",
        )


def _odd_pictures(seen: Sequence[_Seen]) -> Iterable[Finding]:
    tests: tuple[tuple[str, str, Callable[[int, int], bool]], ...] = (
        (
            "small",
            f"smaller than {SMALL_SIDE} px on a side: enlarged, they are blurred",
            lambda width, height: min(width, height) < SMALL_SIDE,
        ),
        (
            "long",
            f"more than {LONG_SHAPE:.0f} times as long as wide: cropping loses most of them",
            lambda width, height: max(width, height) > LONG_SHAPE * min(width, height),
        ),
    )
    for kind, meaning, is_odd in tests:
        odd = [one for one in seen if is_odd(one.verdict.width, one.verdict.height)]
        # Where most are so, that is how these pictures are.
        if odd and len(odd) <= len(seen) / 2:
            are = "is" if len(odd) == 1 else "are"
            yield Finding(
                kind,
                "note",
                f"{_pictures(len(odd))} {are} {meaning}.",
                tuple((str(one.path),) for one in odd),
            )


def _other_files(found: ImageFolder) -> Iterable[Finding]:
    for note in found.notes:
        yield Finding("layout", "note", note)
    by_reason: dict[str, list[str]] = defaultdict(list)
    for file in found.left_out:
        by_reason[file.reason].append(file.path)
    for reason, paths in sorted(by_reason.items()):
        count = f"{len(paths)} file{'' if len(paths) == 1 else 's'}"
        yield Finding(
            "other-files",
            "note",
            f"{count} left out ({reason}).",
            tuple((path,) for path in paths),
        )


def _pictures(count: int) -> str:
    return f"{count} picture{'' if count == 1 else 's'}"
