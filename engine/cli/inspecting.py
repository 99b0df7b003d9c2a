"""`thaw inspect`: what a folder of images holds, and what is wrong with it."""

from pathlib import Path
from typing import Annotated

import typer
from rich.progress import Progress
from rich.table import Table

from engine.cli.app import JSON_HELP, app, console, percent, print_json
from engine.data.entry_names import shown_name
from engine.data.findings import Finding, Picture
from engine.data.found import listed_classes
from engine.data.remedies import current_remedies
from engine.data.report import DataReport, inspect_folder
from engine.errors import SpecError
from engine.training.doubts_record import Doubts, doubt_findings

MARKS = {"fault": "✗", "doubt": "?", "note": "·"}
FILES_SHOWN = 3


@app.command("inspect")
def inspect(
    folder: Annotated[Path, typer.Argument(help="Folder with one folder a class, or a table.")],
    doubts: Annotated[
        bool,
        typer.Option(
            "--doubts",
            help="Also look for labels that are likely wrong and for pictures that are like no "
            "other, by what a pre-trained backbone sees; at first that takes a while.",
        ),
    ] = False,
    backbone: Annotated[
        str | None, typer.Option(help="Which backbone, as thaw models lists it; for --doubts.")
    ] = None,
    json_output: Annotated[bool, typer.Option("--json", help=JSON_HELP)] = False,
) -> None:
    """Look at a folder of images: classes, sizes, and what would spoil a result.

    Faults that are looked for: unreadable files, pictures that are there twice, in training and
    validation, or under two labels, whether copied or scaled and recompressed; classes with few
    pictures or spelled in two ways; odd sizes; with --doubts, labels that are likely wrong and
    pictures that are like no other. No file is changed; `thaw correct` records what is to be left
    out, moved or given another class.

    Example: `thaw inspect photos --doubts`
    """
    if backbone and not doubts:
        raise SpecError("--backbone says who looks for doubts; give --doubts, too.")
    folder = folder.absolute()
    report = _look(folder, quiet=json_output)
    doubtful = _doubts(report, backbone, quiet=json_output) if doubts else None
    if json_output:
        found = {} if doubtful is None else {"doubts": doubtful.to_dict()}
        print_json(report.to_dict() | found)
        return
    _print(report, () if doubtful is None else doubt_findings(doubtful))
    if doubtful is not None:
        _print_judged(doubtful)


def _look(folder: Path, quiet: bool) -> DataReport:
    with Progress(console=console, transient=True, disable=quiet) as progress:
        task = progress.add_task("looking at pictures", total=None)
        return inspect_folder(
            folder,
            lambda done, total: progress.update(task, completed=done, total=total),
            current_remedies(folder),
        )


def _doubts(report: DataReport, backbone: str | None, quiet: bool) -> Doubts:
    """Returns the doubts about a data set, but for those of which a person said they are none."""
    from engine.cli.bar import bar_reporter
    from engine.models.catalogue import DEFAULT_BACKBONE
    from engine.runs.doubts import doubts_key, keep_doubts, known_doubts
    from engine.spec import DataSpec

    data = DataSpec(folder=report.folder, remedies=report.remedies)
    name = backbone or DEFAULT_BACKBONE
    key = doubts_key(data, name)
    found = known_doubts(key)
    if found is None:
        with bar_reporter(quiet) as reporter:
            from engine.training.doubts import find_doubts

            found = find_doubts(data, name, reporter)
        keep_doubts(key, found)
    return found.without(report.kept)


def _print(report: DataReport, doubtful: tuple[Finding, ...]) -> None:
    columns = ("class", "train", "val") if report.has_split else ("class", "pictures")
    table = Table(*columns)
    for name, train, val in report.classes:
        table.add_row(shown_name(name), f"{train:,}", *([f"{val:,}"] if report.has_split else []))
    console.print(table)
    formats = ", ".join(f"{count:,} {name}" for name, count in report.formats.items())
    console.print(
        f"{report.num_pictures:,} pictures ({formats}), sides from {report.least_side} to "
        f"{report.largest_side} px, half of the shorter ones above {report.median_side}. "
        f"Fingerprint {report.fingerprint}."
    )
    if report.remedies:
        console.print("Your corrections are applied; see them with: thaw correct, and the folder.")
    if not report.findings and not doubtful:
        console.print("Nothing was found that would spoil a result.")
    for finding in (*report.findings, *doubtful):
        console.print(f"{MARKS[finding.severity]} {finding.sentence}")
        for group in finding.groups[:FILES_SHOWN]:
            paths = "  =  ".join(_named(one) for one in group[:FILES_SHOWN])
            console.print(f"    {paths}", soft_wrap=True)
        if len(finding.groups) > FILES_SHOWN:
            console.print(f"    and {len(finding.groups) - FILES_SHOWN:,} more (--json lists all)")


def _named(picture: Picture) -> str:
    return shown_name(picture.path) + (
        f"  is it {picture.suggestion!r}?" if picture.suggestion else ""
    )


def _print_judged(doubts: Doubts) -> None:
    """Prints how far the search for doubts can be trusted."""
    if doubts.num_judged:
        console.print(
            f"{doubts.num_judged:,} labels were judged by what {doubts.backbone} sees in the other "
            f"pictures; of them it would have guessed {percent(doubts.accuracy)}."
        )
    if doubts.small_classes:
        named = listed_classes(doubts.small_classes)
        console.print(f"Too few pictures to judge a label by are in {named}.")
