"""`thaw export`, `thaw import`: runs that go from one machine to another, a file each."""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from engine.cli.app import JSON_HELP, app, console, print_json
from engine.errors import RunFileError, ThawError
from engine.runs.exporting import export_run, target_of
from engine.runs.importing import Imported, import_file
from engine.runs.queue import tend
from engine.runs.store import Store

JsonOption = Annotated[bool, typer.Option("--json", help=JSON_HELP)]


@app.command("export")
def export(
    run: Annotated[str, typer.Argument(help="A run's id, or as much of it as is unique.")],
    file: Annotated[
        Path, typer.Argument(help="File to write, or the folder to put it into.")
    ] = Path(),
    states: Annotated[
        bool, typer.Option("--states", help="With what the run can be resumed from.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
    json_output: JsonOption = False,
) -> None:
    """Write a run to one file, with its checkpoint, to be opened on another machine.

    Curves, settings, predictions, notes and tags go along; logs and where Thaw lies here do not.

    Example: `thaw export 3f9a2c1b --states && thaw import full-photos-3f9a2c1b.thaw`
    """
    store = Store()
    tend(store)
    found = store.run(run)
    target = target_of(found, file)
    if target.exists() and not force:
        raise RunFileError(f"{target} is there already; give another name, or --force.")
    written = export_run(store, found, file, with_states=states).absolute()
    num_bytes = written.stat().st_size
    if json_output:
        print_json({"run_id": found.id, "file": str(written), "bytes": num_bytes})
        return
    size = f"{num_bytes / 2**20:,.1f} MB"
    console.print(f"{found.name} ({found.id}) is in {written} ({size})", soft_wrap=True)


@app.command("import")
def import_(
    files: Annotated[list[Path], typer.Argument(help="Files that `thaw export` wrote.")],
    json_output: JsonOption = False,
) -> None:
    """Bring in runs from files that `thaw export` wrote, each whole or not at all.

    A run keeps its id unless another one has it here; one that is here already is left as it is.

    Example: `thaw import full-photos-3f9a2c1b.thaw`
    """
    store = Store()
    came: list[dict[str, Any]] = []
    faults: list[str] = []
    for file in files:
        try:
            imported = import_file(store, file)
        except ThawError as error:
            faults.append(str(error))
            continue
        came.append(_told(file, imported))
        if not json_output:
            console.print(imported.sentence, highlight=False, soft_wrap=True)
    if json_output:
        print_json(came)
    for fault in faults:
        print(f"thaw: {fault}", file=sys.stderr)
    sys.exit(1 if faults else 0)


def _told(file: Path, imported: Imported) -> dict[str, Any]:
    return {
        "file": str(file),
        "run_id": imported.run.id,
        "id_in_file": imported.file_id,
        "outcome": imported.outcome,
        "status": imported.run.status,
        "checkpoint": imported.run.summary.get("checkpoint"),
    }
