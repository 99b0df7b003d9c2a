"""`thaw mark`, `delete`, `restore`, `next`: what a person says of runs, and which go away."""

from collections.abc import Callable
from typing import Annotated, Any

import typer

from engine.cli.app import JSON_HELP, app, console, print_json
from engine.errors import SpecError
from engine.runs.queue import tend
from engine.runs.store import Run, Store

JsonOption = Annotated[bool, typer.Option("--json", help=JSON_HELP)]
RunArgument = Annotated[str, typer.Argument(help="A run's id, or as much of it as is unique.")]
RunsArgument = Annotated[list[str], typer.Argument(help="Ids of runs, or the starts of them.")]


@app.command("mark")
def mark(
    run: RunArgument,
    name: Annotated[str | None, typer.Option(help="A new name.")] = None,
    note: Annotated[str | None, typer.Option(help="What is to be remembered of it.")] = None,
    tag: Annotated[list[str] | None, typer.Option(help="Give it this tag.")] = None,
    untag: Annotated[list[str] | None, typer.Option(help="Take this tag away.")] = None,
    star: Annotated[bool | None, typer.Option("--star/--no-star", help="Mark it.")] = None,
    archive: Annotated[
        bool | None,
        typer.Option("--archive/--no-archive", help="Keep it out of the usual lists."),
    ] = None,
    json_output: JsonOption = False,
) -> None:
    """Name a run, note something about it, give it tags, mark it, or put it away.

    Example: `thaw mark 3f9a2c1b --name "the one in the paper" --tag paper --star`
    """
    store = Store()
    found = store.run(run)
    marks: dict[str, Any] = {"note": note, "starred": star, "archived": archive}
    if name is not None:
        if not name.strip():
            raise SpecError("A run needs a name; give --name some letters.")
        marks["name"] = name.strip()
    if tag or untag:
        marks["tags"] = (set(found.tags) | set(tag or ())) - set(untag or ())
    marks = {key: value for key, value in marks.items() if value is not None}
    if marks:
        store.mark(found.id, **marks)
    _tell([store.run(found.id)], json_output)


@app.command("delete")
def delete(runs: RunsArgument, json_output: JsonOption = False) -> None:
    """Throw runs away; for seven days `thaw restore` brings them back.

    Example: `thaw delete 3f9a2c1b`
    """
    store = Store()
    tend(store)
    found = [store.run(one) for one in runs]
    if going_on := [run for run in found if run.is_active]:
        first = going_on[0]
        raise SpecError(f"Run {first.id} is {first.status}; stop it first: thaw stop {first.id}.")
    _tell(_each(store, found, store.delete), json_output)
    held = store.models_held()
    for run in found:
        if run.id in held and not json_output:
            console.print(
                f"{run.name} is a model in use, or one that could be gone back to: it is kept "
                "until that is undone; see: thaw adopted.",
                highlight=False,
            )


@app.command("restore")
def restore(runs: RunsArgument, json_output: JsonOption = False) -> None:
    """Bring runs back that were thrown away.

    Example: `thaw restore 3f9a2c1b`
    """
    store = Store()
    _tell(_each(store, [store.run(one) for one in runs], store.restore), json_output)


@app.command("next")
def start_next(
    run: RunArgument,
    last: Annotated[bool, typer.Option("--last", help="Let all others go before it.")] = False,
    json_output: JsonOption = False,
) -> None:
    """Let a waiting run start before all others that wait.

    Example: `thaw next 3f9a2c1b`
    """
    store = Store()
    tend(store)
    found = store.run(run)
    if not (store.put_last if last else store.put_first)(found.id):
        raise SpecError(f"Run {found.id} is {found.status}; only a run that waits has a place.")
    _tell([store.run(found.id)], json_output)


def _each(store: Store, runs: list[Run], change: Callable[[str], bool]) -> list[Run]:
    for run in runs:
        change(run.id)
    return [store.run(run.id) for run in runs]


def _tell(runs: list[Run], json_output: bool) -> None:
    if json_output:
        print_json([marks_of(run) for run in runs])
        return
    for run in runs:
        words = [run.status, *run.tags]
        words += ["starred"] if run.starred else []
        words += ["archived"] if run.archived else []
        words += ["deleted"] if run.deleted_at is not None else []
        console.print(f"{run.name} ({run.id}): {', '.join(words)}", highlight=False)
        if run.note:
            console.print(f"  {run.note}", highlight=False)


def marks_of(run: Run) -> dict[str, Any]:
    """Returns what a person said of a run, as plain data."""
    return {
        "run_id": run.id,
        "name": run.name,
        "status": run.status,
        "note": run.note,
        "tags": list(run.tags),
        "starred": run.starred,
        "archived": run.archived,
        "deleted": run.deleted_at is not None,
    }
