"""`thaw report`: a comparison of runs as one file."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from engine.cli.app import JSON_HELP, app, console, print_json
from engine.errors import RunFileError
from engine.runs.queue import tend
from engine.runs.store import Store

KINDS: dict[str, Literal["html", "md"]] = {".html": "html", ".htm": "html", ".md": "md"}


@app.command("report")
def write(
    runs: Annotated[list[str], typer.Argument(help="Runs, by id.")],
    out: Annotated[
        Path | None,
        typer.Option(help="File to write: .html or .md. A file named after the runs, if none."),
    ] = None,
    images: Annotated[
        bool, typer.Option("--images/--no-images", help="Whether small pictures go into it.")
    ] = True,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
    json_output: Annotated[bool, typer.Option("--json", help=JSON_HELP)] = False,
) -> None:
    """Write a comparison of runs to one HTML or Markdown file that works anywhere, offline too.

    It holds the verdict, results with intervals, curves, confusion matrices, small pictures, every
    setting, versions, and the commands that train the runs anew.

    Example: `thaw report 3f9a2c1b 77d01e52 --out frozen-or-full.html`
    """
    # The engine draws no figures.
    from dashboard.report.build import make_report, report_file_name, write_report

    store = Store()
    tend(store)
    found = list({run.id: run for run in (store.run(one) for one in runs)}.values())
    file = out if out is not None else Path(report_file_name(found, "html"))
    kind = KINDS.get(file.suffix.lower())
    if kind is None:
        raise RunFileError(f"{file} is no name for a report; end it in .html or .md.")
    if file.exists() and not force:
        raise RunFileError(f"{file} is there already; give another name, or --force.")
    made = make_report(store, found, kind, (lambda path: True) if images else None)
    write_report(made, file)
    if json_output:
        print_json(
            {
                "runs": [run.id for run in found],
                "file": str(file.absolute()),
                "bytes": made.num_bytes,
                "pictures": made.num_pictures,
            }
        )
        return
    size = f"{made.num_bytes / 1e6:,.1f} MB" if made.num_bytes > 1e5 else f"{made.num_bytes:,} B"
    console.print(
        f"The report is in {file.absolute()} ({size}, with {made.num_pictures} pictures).",
        soft_wrap=True,
        highlight=False,
    )
