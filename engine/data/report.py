"""What a person should know of a data set before training on it.

Everything is found from the verdicts that a run needs anyway; no file of the person is touched.
"""

import statistics
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from engine.data.check import Progress, Verdict
from engine.data.findings import Finding, Picture, Severity
from engine.data.found import ImageFolder, LeftOut
from engine.data.intake import Intake, take_in, unfit_sentence
from engine.data.manifest import fingerprint
from engine.data.remedies import EXCLUDED
from engine.data.twins import alike_pairs, grouped, same_pairs
from engine.spec import DataSpec

FEW = 10
IMBALANCE = 5.0
SMALL_SIDE = 64
LONG_SHAPE = 3.0


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
        remedies: name of the list of corrections that were applied; empty where none were.
        pictures: all that can be used, by split and class.
        kept: kinds of finding, each with a path, of which a person said that it is right.
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
    remedies: str
    pictures: tuple[Picture, ...]
    kept: frozenset[tuple[str, str]]
    seconds: float
    num_fresh: int

    @property
    def num_pictures(self) -> int:
        """Pictures that can be used."""
        return sum(train + val for _, train, val in self.classes)

    def to_dict(self) -> dict[str, Any]:
        """Returns it as plain data for JSON, but for the lists of all pictures."""
        values = asdict(replace(self, pictures=(), kept=frozenset()))
        return {name: value for name, value in values.items() if name not in ("pictures", "kept")}


@dataclass(frozen=True)
class _Seen:
    """A picture that can be used."""

    path: Path
    picture: Picture
    verdict: Verdict


def inspect_folder(
    folder: Path,
    progress: Progress = lambda done, total: None,
    remedies: str = "",
    files: ImageFolder | None = None,
) -> DataReport:
    """Returns what was found in a folder of classes, or in a table.

    Args:
        folder: with `train/<class>/` and `val/<class>/`, or `<class>/`; or a table's file.
        progress: called with the number of pictures opened so far and the number to open.
        remedies: name of the list of corrections to apply.
        files: of the folder, where they were looked for before.

    Raises:
        DataError: the folder cannot be used; see take_in.
    """
    started = time.perf_counter()
    opened = 0

    def count(done: int, total: int) -> None:
        nonlocal opened
        opened = done
        progress(done, total)

    intake = take_in(DataSpec(folder=str(folder), remedies=remedies), count, files)
    found, verdicts = intake.found, intake.verdicts
    seen = list(_seen(found, verdicts))
    sides = [side for one in seen for side in (one.verdict.width, one.verdict.height)]
    shorter = [min(one.verdict.width, one.verdict.height) for one in seen]
    counts = Counter((one.picture.label, one.picture.split) for one in seen)
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
        findings=_findings(intake, seen),
        remedies=remedies,
        pictures=tuple(one.picture for one in seen),
        kept=intake.kept,
        seconds=time.perf_counter() - started,
        num_fresh=opened,
    )


def _seen(found: ImageFolder, verdicts: dict[Path, Verdict]) -> Iterable[_Seen]:
    for split, groups in (("train", found.train), ("val", found.val or ())):
        for label, paths in zip(found.classes, groups, strict=False):
            for path in paths:
                verdict = verdicts[path]
                if not verdict.reason:
                    yield _Seen(path, Picture(str(path), label, split, verdict.digest), verdict)


def _findings(intake: Intake, seen: Sequence[_Seen]) -> tuple[Finding, ...]:
    found = intake.found
    findings = [
        *_unreadable(intake.verdicts),
        *_twins(seen, found.val is not None, intake.kept),
        *_case_twins(found.classes, seen),
        *_few(found, seen),
        *_odd_pictures(seen, intake.kept),
        *_other_files(found, intake.left_out),
        *_unfit(intake),
    ]
    order: tuple[Severity, ...] = ("fault", "doubt", "note")
    return tuple(sorted(findings, key=lambda one: order.index(one.severity)))


def _unreadable(verdicts: dict[Path, Verdict]) -> Iterable[Finding]:
    by_reason: dict[str, list[Picture]] = defaultdict(list)
    for path, verdict in verdicts.items():
        if verdict.reason:
            by_reason[verdict.reason].append(Picture(str(path), digest=verdict.digest))
    for reason, pictures in sorted(by_reason.items()):
        yield Finding(
            "unreadable",
            "fault",
            f"{_pictures(len(pictures))} cannot be used ({reason}): left out of every run.",
            tuple((picture,) for picture in pictures),
        )


def _twins(
    seen: Sequence[_Seen], has_split: bool, kept: frozenset[tuple[str, str]]
) -> Iterable[Finding]:
    """Yields pictures that are there twice, by what that does: leak, contradict, count double."""
    verdicts = [one.verdict for one in seen]
    near = alike_pairs([one.path for one in seen], verdicts)
    for kind, pairs, how in (
        ("same", same_pairs(verdicts), "the same"),
        ("alike", near, "nearly the same"),
    ):
        leaks, labels, rest = [], [], []
        for group in grouped(pairs):
            pictures = tuple(seen[index].picture for index in group)
            leaks_out = len({one.split for one in pictures}) > 1
            differs = len({one.label for one in pictures}) > 1
            if leaks_out:
                leaks.append(pictures)
            if differs:
                labels.append(pictures)
            if not leaks_out and not differs:
                rest.append(pictures)
        severity: Severity = "fault" if kind == "same" else "doubt"
        split_later = "" if has_split else " A split that is drawn keeps them on one side."
        told: tuple[tuple[str, Severity, str, list[tuple[Picture, ...]]], ...] = (
            (
                f"leak-{kind}",
                severity,
                f"{how} picture is both in training and in validation: accuracy is measured on "
                "pictures that were learnt.",
                leaks,
            ),
            (
                f"labels-{kind}",
                severity,
                f"{how} picture is in two classes: one of the labels is wrong.",
                labels,
            ),
            (f"twice-{kind}", "note", f"{how} picture is there more than once.{split_later}", rest),
        )
        for name, grade, sentence, groups in told:
            yield from _about(name, grade, sentence, _not_kept(groups, name, kept))


def _not_kept(
    groups: Iterable[tuple[Picture, ...]], kind: str, kept: frozenset[tuple[str, str]]
) -> list[tuple[Picture, ...]]:
    return [group for group in groups if any((kind, one.path) not in kept for one in group)]


def _about(
    kind: str, severity: Severity, sentence: str, groups: Sequence[tuple[Picture, ...]]
) -> Iterable[Finding]:
    if groups:
        times = "Once" if len(groups) == 1 else f"{len(groups)} times"
        yield Finding(kind, severity, f"{times} {sentence}", tuple(groups))


def _case_twins(classes: Sequence[str], seen: Sequence[_Seen]) -> Iterable[Finding]:
    by_spelling: dict[str, list[str]] = defaultdict(list)
    for name in classes:
        by_spelling["".join(name.casefold().split()).replace("_", "").replace("-", "")].append(name)
    for names in by_spelling.values():
        if len(names) < 2:
            continue
        listed = " and ".join(repr(name) for name in names)
        yield Finding(
            "spelling",
            "doubt",
            f"The classes {listed} differ in spelling only: are they one?",
            (tuple(one.picture for one in seen if one.picture.label in names),),
        )


def _few(found: ImageFolder, seen: Sequence[_Seen]) -> Iterable[Finding]:
    counts = Counter(one.picture.label for one in seen if one.picture.split == "train")
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


def _odd_pictures(seen: Sequence[_Seen], kept: frozenset[tuple[str, str]]) -> Iterable[Finding]:
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
        odd = [
            one
            for one in seen
            if is_odd(one.verdict.width, one.verdict.height) and (kind, str(one.path)) not in kept
        ]
        # Where most are so, that is how these pictures are.
        if odd and len(odd) <= len(seen) / 2:
            are = "is" if len(odd) == 1 else "are"
            yield Finding(
                kind,
                "note",
                f"{_pictures(len(odd))} {are} {meaning}.",
                tuple((one.picture,) for one in odd),
            )


def _other_files(found: ImageFolder, left_out: Sequence[LeftOut]) -> Iterable[Finding]:
    for note in found.notes:
        yield Finding("layout", "note", note)
    by_reason: dict[str, list[str]] = defaultdict(list)
    by_name = set(found.left_out)
    for file in left_out:
        if file in by_name or file.reason == EXCLUDED:
            by_reason[file.reason].append(file.path)
    for reason, paths in sorted(by_reason.items()):
        count = f"{len(paths)} file{'' if len(paths) == 1 else 's'}"
        yield Finding(
            "other-files",
            "note",
            f"{count} left out ({reason}).",
            tuple((Picture(path),) for path in paths),
        )


def _unfit(intake: Intake) -> Iterable[Finding]:
    if intake.num_unfit:
        sentence = unfit_sentence(intake.num_unfit).replace("them", "your corrections")
        yield Finding("unfit", "note", sentence)


def _pictures(count: int) -> str:
    return f"{count} picture{'' if count == 1 else 's'}"
