"""`thaw runs`, `show`, `compare`, `stop`, `resume`: what is in the store."""

import sys
from functools import partial
from typing import Annotated, Any

import typer
from rich.table import Table

from engine.cli.app import JSON_HELP, app, console, percent, print_json, seconds
from engine.cli.follow import follow
from engine.cli.marks import marks_of
from engine.errors import SpecError
from engine.insight.compare import RunReport, compare_settings, fairness_warnings, report
from engine.insight.evidence import evidence
from engine.insight.experiment import pairs_of, ways_of
from engine.insight.verdicts import cautions, verdict
from engine.runs.queue import resume as resume_run
from engine.runs.queue import retry, tend
from engine.runs.store import Run, Store

JsonOption = Annotated[bool, typer.Option("--json", help=JSON_HELP)]
RunArgument = Annotated[str, typer.Argument(help="A run's id, or as much of it as is unique.")]


@app.command("runs")
def list_runs(
    everything: Annotated[
        bool, typer.Option("--all", help="Those that were archived or deleted, too.")
    ] = False,
    tag: Annotated[str | None, typer.Option(help="Only those with this tag.")] = None,
    starred: Annotated[bool, typer.Option("--starred", help="Only those with a star.")] = False,
    json_output: JsonOption = False,
) -> None:
    """List all runs, newest first.

    Example: `thaw runs`
    """
    store = Store()
    tend(store)
    chosen = [
        run
        for run in store.all_runs(hidden=everything)
        if (tag is None or tag in run.tags) and (run.starred or not starred)
    ]
    reports = [report(store, run) for run in chosen]
    if json_output:
        print_json([_without_epochs(one) | marks_of(one.run) for one in reports])
        return
    if not reports and (tag is not None or starred):
        console.print("No run is so marked; thaw runs lists all.")
        return
    if not reports:
        console.print("No runs yet. Start with: thaw train --data DIR, or open the dashboard: thaw")
        return
    table = Table("run", "name", "status", "best val accuracy", "epoch", "time", box=None)
    shown = store.short_ids()
    for one in reports:
        table.add_row(
            shown.get(one.run.id, one.run.id),
            f"★ {one.run.name}" if one.run.starred else one.run.name,
            "deleted" if one.run.deleted_at is not None else one.run.status,
            percent(one.best_val_accuracy),
            str(one.best_epoch or "–"),
            seconds(one.seconds),
        )
    console.print(table)


def _without_epochs(one: RunReport) -> dict[str, Any]:
    return {key: value for key, value in one.to_dict().items() if key not in {"epochs", "spec"}}


@app.command()
def show(run: RunArgument, json_output: JsonOption = False) -> None:
    """Show one run: its settings, its epochs, how it ended.

    Example: `thaw show 3f9a2c1b`
    """
    store = Store()
    tend(store)
    one = report(store, store.run(run))
    if json_output:
        print_json(one.to_dict())
        return
    reason = f": {one.run.reason}" if one.run.reason else ""
    console.print(f"{one.run.name} ({one.run.id}) {one.run.status}{reason}", highlight=False)
    for note in one.memory_notes:
        console.print(note, highlight=False)
    settings = Table("setting", "value", box=None)
    for name, value in one.run.spec.flat().items():
        settings.add_row(name, str(value))
    console.print(settings)
    epochs = Table("epoch", "train loss", "train acc.", "val loss", "val acc.", "F1", box=None)
    for event in one.to_dict()["epochs"]:
        epochs.add_row(
            str(event["epoch"]),
            f"{event['train_loss']:.3f}",
            percent(event["train_accuracy"]),
            f"{event['val_loss']:.3f}",
            percent(event["val_accuracy"]),
            f"{event['val_f1']:.3f}",
        )
    console.print(epochs)


@app.command()
def compare(
    runs: Annotated[list[str], typer.Argument(help="Two runs or more, by id.")],
    json_output: JsonOption = False,
) -> None:
    """Put runs side by side: results first, then the settings that differ.

    Example: `thaw compare 3f9a2c1b 77d01e52`
    """
    if len(runs) < 2:
        raise typer.BadParameter("give at least two runs; `thaw runs` lists them")
    store = Store()
    tend(store)
    reports = [report(store, store.run(run)) for run in runs]
    settings = compare_settings([one.run for one in reports])
    warnings = fairness_warnings(reports)
    ways = ways_of(reports)
    pairs = pairs_of(ways)
    if json_output:
        differing = {row.name: list(row.values) for row in settings if row.differs}
        documents = [one.to_dict() for one in reports]
        print_json(
            {
                "runs": documents,
                "differing_settings": differing,
                "warnings": warnings,
                **evidence(store, reports),
            }
        )
        return
    for warning in warnings:
        console.print(warning, style="yellow")
    table = Table("", *(f"{one.run.name} ({one.run.id})" for one in reports), box=None)
    table.add_row("status", *(one.run.status for one in reports))
    table.add_row("best val accuracy", *(percent(one.best_val_accuracy) for one in reports))
    table.add_row("in epoch", *(str(one.best_epoch or "–") for one in reports))
    table.add_row("time to it", *(seconds(one.seconds_to_best) for one in reports))
    table.add_row("time in all", *(seconds(one.seconds) for one in reports))
    trained = (one.run.summary.get("trainable_parameters") for one in reports)
    table.add_row("parameters trained", *(f"{n:,}" if n is not None else "–" for n in trained))
    for row in settings:
        if row.differs:
            table.add_row(row.name, *(str(value) for value in row.values))
    console.print(table)
    for sentence in (*(verdict(pair) for pair in pairs), *cautions(ways)):
        console.print(sentence, highlight=False, markup=False)


@app.command()
def stop(run: RunArgument, json_output: JsonOption = False) -> None:
    """Stop a run after its present step; its best epoch is kept.

    Example: `thaw stop 3f9a2c1b`
    """
    store = Store()
    tend(store)
    found = store.run(run)
    unended = found.is_active or found.status == "paused"
    if unended:
        store.request_stop(found.id)
    if json_output:
        print_json({"run_id": found.id, "status": store.run(found.id).status})
    elif not unended:
        console.print(f"Run {found.id} has already ended: {found.status}.")
    else:
        console.print(f"Run {found.id} was asked to stop.")


@app.command()
def pause(run: RunArgument, json_output: JsonOption = False) -> None:
    """Pause a run after its present step and free the machine; `thaw resume` goes on there.

    It goes on with the next step, to the same numbers as if it had not been paused.

    Example: `thaw pause 3f9a2c1b`
    """
    store = Store()
    tend(store)
    found = store.run(run)
    if not store.request_pause(found.id):
        raise SpecError(
            f"Run {found.id} is {store.run(found.id).status}; only a run that waits or goes on can "
            "be paused."
        )
    status = store.run(found.id).status
    if json_output:
        print_json({"run_id": found.id, "status": status})
    elif status == "paused":
        console.print(f"Run {found.id} is paused; it does not start until it is resumed.")
    else:
        console.print(f"Run {found.id} was asked to pause.")


@app.command()
def resume(run: RunArgument, json_output: JsonOption = False) -> None:
    """Take a run up again that was paused, stopped, interrupted or failed, and follow it.

    It goes on after the last step that it kept, to the same numbers as if it had never ended.

    Example: `thaw resume 3f9a2c1b`
    """
    store = Store()
    tend(store)
    ended = follow(store, partial(_taken_up, store, store.run(run).id), quiet=json_output)
    if json_output:
        print_json(report(store, ended).to_dict())
    sys.exit(0 if ended.status == "finished" else 1)


def _taken_up(store: Store, run_id: str) -> Run:
    """Puts a run that ended before its time in the queue again.

    Raises:
        SpecError: it did not.
    """
    if not resume_run(store, run_id):
        raise SpecError(
            f"Run {run_id} is {store.run(run_id).status}; only a run that was paused, stopped, "
            "interrupted or failed can be resumed."
        )
    return store.run(run_id)


@app.command("retry")
def try_again(run: RunArgument, json_output: JsonOption = False) -> None:
    """Train a new run with the settings of another, from the beginning, and follow it to its end.

    With other settings: `thaw train --from RUN --epochs 20`.

    Example: `thaw retry 3f9a2c1b`
    """
    store = Store()
    tend(store)
    found = store.run(run)
    ended = follow(store, lambda: retry(store, found), quiet=json_output)
    if json_output:
        print_json(report(store, ended).to_dict())
    sys.exit(0 if ended.status == "finished" else 1)
