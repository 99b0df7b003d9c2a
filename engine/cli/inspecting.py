"""`thaw inspect`: what a folder of images holds, and what is wrong with it."""

from pathlib import Path
from typing import Annotated

import typer
from rich.progress import Progress
from rich.table import Table

from engine.cli.app import JSON_HELP, app, console, print_json
from engine.data.entry_names import shown_name
from engine.data.remedies import current_remedies
from engine.data.report import DataReport, inspect_folder

MARKS = {"fault": "✗", "doubt": "?", "note": "·"}
FILES_SHOWN = 3


@app.command("inspect")
def inspect(
    folder: Annotated[Path, typer.Argument(help="Folder with one folder a class, or a table.")],
    json_output: Annotated[bool, typer.Option("--json", help=JSON_HELP)] = False,
) -> None:
    """Look at a folder of images: classes, sizes, and what would spoil a result.

    Faults that are looked for: unreadable files, pictures that are there twice, in training and
    validation, or under two labels, whether copied or scaled and recompressed; classes with few
    pictures or spelled in two ways; odd sizes. No file is changed; `thaw correct` records what
    is to be left out, moved or given another class.

    Example: `thaw inspect photos`
    """
    folder = folder.absolute()
    remedies = current_remedies(folder)
    if json_output:
        print_json(inspect_folder(folder, remedies=remedies).to_dict())
        return
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task("looking at pictures", total=None)
        report = inspect_folder(
            folder,
            lambda done, total: progress.update(task, completed=done, total=total),
            remedies,
        )
    _print(report)


def _print(report: DataReport) -> None:
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
    if not report.findings:
        console.print("Nothing was found that would spoil a result.")
    for finding in report.findings:
        console.print(f"{MARKS[finding.severity]} {finding.sentence}")
        for group in finding.groups[:FILES_SHOWN]:
            paths = "  =  ".join(shown_name(one.path) for one in group[:FILES_SHOWN])
            console.print(f"    {paths}", soft_wrap=True)
        if len(finding.groups) > FILES_SHOWN:
            console.print(f"    and {len(finding.groups) - FILES_SHOWN:,} more (--json lists all)")
