"""`thaw fetch`: data sets by name."""

import contextlib
import sys
from collections.abc import Callable, Iterator
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.filesize import decimal
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from engine.cli.app import JSON_HELP, app, console, print_json
from engine.data.fetching import FETCHABLE, Fetched, fetch, fetched_before

MIB = 2**20


@app.command("fetch")
def fetch_by_name(
    name: Annotated[
        str, typer.Argument(help="Of the list; or hf:owner/name[:config], or hf:/path.")
    ] = "",
    image_column: Annotated[
        str, typer.Option(help="That holds the pictures, of a data set from the hub.")
    ] = "",
    label_column: Annotated[
        str, typer.Option(help="That holds the classes, of a data set from the hub.")
    ] = "",
    json_output: Annotated[bool, typer.Option("--json", help=JSON_HELP)] = False,
) -> None:
    """Take in a known data set by its name, or one of the Hugging Face Hub; without one, list them.

    They are downloaded once by torchvision, or by Hugging Face's library, and laid out as folders
    where Thaw keeps data sets: all of it, or nothing. What torchvision has downloaded stays in
    `downloads` beside them, and may be removed.

    Example: `thaw fetch flowers102`, `thaw fetch hf:owner/name`
    """
    if not name:
        _list(json_output)
        return
    with contextlib.redirect_stdout(sys.stderr), _shown(json_output) as tell:
        fetched = fetch(name, tell, image_column, label_column)
    if json_output:
        print_json(_as_dict(fetched))
        return
    if not fetched.is_new:
        console.print("It is there already; remove its folder to fetch it anew.")
    console.print(f"{fetched.num_pictures:,} pictures in {fetched.folder}", soft_wrap=True)
    for note in fetched.notes:
        console.print(note, soft_wrap=True)
    console.print(f"Look at it with: thaw inspect {str(fetched.folder)!r}", soft_wrap=True)


def _as_dict(fetched: Fetched) -> dict[str, Any]:
    return {
        "folder": str(fetched.folder),
        "pictures": fetched.num_pictures,
        "notes": fetched.notes,
        "is_new": fetched.is_new,
    }


def _list(json_output: bool) -> None:
    here = {name: fetched_before(name) for name in FETCHABLE}
    if json_output:
        print_json(
            [
                {
                    "name": one.name,
                    "label": one.label,
                    "sentence": one.sentence,
                    "note": one.note,
                    "download_mib": one.download_mib,
                    "folder": str(found.folder) if (found := here[one.name]) else None,
                }
                for one in FETCHABLE.values()
            ]
        )
        return
    table = Table(box=None)
    table.add_column("name", no_wrap=True)
    table.add_column("what it shows")
    table.add_column("download", justify="right", no_wrap=True)
    table.add_column("here", no_wrap=True)
    for one in FETCHABLE.values():
        size = decimal(one.download_mib * MIB)
        table.add_row(one.name, one.sentence, size, "yes" if here[one.name] else "no")
    console.print(table)
    console.print("Take one in with: thaw fetch NAME, or from the hub: thaw fetch hf:owner/name")


@contextlib.contextmanager
def _shown(quiet: bool) -> Iterator[Callable[[str, int, int], None]]:
    """Gives a function that shows on stderr how far it is."""
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.fields[amount]}"),
        TimeElapsedColumn(),
    )
    where = Console(stderr=True, quiet=quiet, markup=False)
    is_hidden = quiet or not where.is_terminal
    with Progress(*columns, console=where, transient=True, disable=is_hidden) as progress:
        bar = progress.add_task("looking", total=None, amount="")

        def tell(task: str, done: int, total: int) -> None:
            progress.update(
                bar,
                description=task,
                completed=done,
                total=total or None,
                amount=_amount(task, done, total),
            )

        yield tell


def _amount(task: str, done: int, total: int) -> str:
    if not done:
        return ""
    if task == "downloading":
        return f"{decimal(done)} of {decimal(total)}" if total else decimal(done)
    return f"{done:,} of {total:,} pictures"
