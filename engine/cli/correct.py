"""`thaw correct`: pictures left out, moved or given another class, without touching a file."""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from engine.cli.app import JSON_HELP, app, console, print_json
from engine.data.findings import Finding, Picture, proposals
from engine.data.intake import take_in
from engine.data.remedies import (
    Action,
    Remedy,
    can_take_back,
    current_remedies,
    load_remedies,
    record_remedies,
    relative_path,
    take_back_remedies,
)
from engine.data.report import inspect_folder
from engine.errors import DataError
from engine.spec import DataSpec

PathsOption = Annotated[list[str] | None, typer.Option(help="Leave this picture out.")]


@app.command("correct")
def correct(
    folder: Annotated[Path, typer.Argument(help="Folder with one folder a class, or a table.")],
    exclude: PathsOption = None,
    relabel: Annotated[
        list[str] | None, typer.Option(help="PATH=CLASS: this picture is of that class.")
    ] = None,
    move: Annotated[
        list[str] | None, typer.Option(help="PATH=train or PATH=val: it belongs there.")
    ] = None,
    finding: Annotated[
        str | None,
        typer.Option(help="Mend all of a kind that `thaw inspect --json` names, as leak-same."),
    ] = None,
    undo: Annotated[bool, typer.Option("--undo", help="Take the last correction back.")] = False,
    clear: Annotated[bool, typer.Option("--clear", help="Take all corrections back.")] = False,
    json_output: Annotated[bool, typer.Option("--json", help=JSON_HELP)] = False,
) -> None:
    """Correct a data set: leave pictures out, move them, or give them another class.

    No file is changed: the corrections are kept beside the data set, runs that start from now on
    apply them, and each run remembers which applied to it. Without options, lists them. Paths are
    as `thaw inspect` prints them, or relative to the folder.

    Example: `thaw correct photos --finding leak-same --exclude cats/blurred.jpg`
    """
    folder = folder.absolute()
    wanted = [
        *((text, "exclude", "") for text in exclude or ()),
        *_pairs(relabel, "relabel"),
        *_pairs(move, "move"),
    ]
    if undo or clear:
        if wanted or finding or (undo and clear):
            raise DataError("--undo and --clear stand alone; give corrections in a second command.")
        if not can_take_back(folder):
            raise DataError(f"{folder} has no corrections to take back.")
        take_back_remedies(folder, everything=clear)
    elif wanted or finding:
        more = [*_of_finding(folder, finding), *_of_paths(folder, wanted)]
        record_remedies(folder, more)
    _tell(folder, json_output)


def _pairs(texts: Iterable[str] | None, option: str) -> Iterable[tuple[str, str, str]]:
    for text in texts or ():
        path, equals, value = text.rpartition("=")
        if not equals or not path:
            raise DataError(f"--{option} {text} names no target; write --{option} PATH=TARGET.")
        if option == "move" and value not in ("train", "val"):
            raise DataError(f"--move {text}: a picture can be moved to train or to val.")
        yield path, option, value


def _of_paths(folder: Path, wanted: Iterable[tuple[str, str, str]]) -> list[Remedy]:
    wanted = list(wanted)
    if not wanted:
        return []
    intake = take_in(DataSpec(folder=str(folder)))
    digests = {
        relative_path(path, folder): verdict.digest for path, verdict in intake.verdicts.items()
    }
    found = []
    for text, option, value in wanted:
        path = Path(text)
        if not path.is_absolute() and text not in digests:
            path = path.absolute()
        name = relative_path(path, folder) if path.is_absolute() else text
        if name not in digests:
            raise DataError(f"{folder} has no picture {text}; see its paths with thaw inspect.")
        if option == "relabel" and value not in intake.found.classes:
            classes = ", ".join(intake.found.classes)
            raise DataError(f"There is no class {value!r}; choose one of {classes}.")
        if option == "move" and intake.found.val is None:
            raise DataError(
                f"{folder} has no split of its own, so {text} cannot be moved; runs draw one."
            )
        action: Action = "val" if value == "val" else "train"
        if option != "move":
            action = "exclude" if option == "exclude" else "relabel"
        found.append(Remedy(name, digests[name], action, value if option == "relabel" else ""))
    return found


def _of_finding(folder: Path, kind: str | None) -> list[Remedy]:
    if kind is None:
        return []
    report = inspect_folder(folder, remedies=current_remedies(folder))
    findings = [one for one in report.findings if one.kind == kind]
    if not findings:
        kinds = ", ".join(sorted({one.kind for one in report.findings})) or "nothing"
        raise DataError(f"Nothing of the kind {kind!r} was found in {folder}, but {kinds}.")
    return [
        remedy
        for finding in findings
        for group in finding.groups
        for remedy in _first_for_all(finding, group, folder)
    ]


def _first_for_all(
    finding: Finding, group: tuple[Picture, ...], folder: Path
) -> tuple[Remedy, ...]:
    proposal = next((one for one in proposals(finding, group, folder) if one.for_all), None)
    if proposal is None:
        raise DataError(f"There is no one remedy for all of {finding.kind!r}; see thaw inspect.")
    return proposal.remedies


def _tell(folder: Path, json_output: bool) -> None:
    name = current_remedies(folder)
    remedies = load_remedies(name)
    if json_output:
        print_json(
            {
                "folder": str(folder),
                "name": name,
                "remedies": [
                    {"path": one.path, "action": one.action, "detail": one.detail}
                    for one in remedies
                ],
            }
        )
        return
    if not remedies:
        console.print("No corrections apply; all pictures are used as they lie there.")
        return
    table = Table("picture", "correction", "", box=None)
    for one in remedies:
        table.add_row(one.path, one.action, one.detail)
    console.print(table)
    console.print(f"{len(remedies)} corrections, kept as {name}; --undo takes the last back.")
