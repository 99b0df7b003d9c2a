"""`thaw shift`: runs on images unlike those of their training."""

from typing import Annotated

import typer
from rich.table import Table

from engine.cli.app import app, console, print_json
from engine.cli.bar import bar_reporter
from engine.cli.runs import JsonOption
from engine.data.corruptions import CORRUPTIONS
from engine.errors import DataError, ThawError
from engine.insight.compare import report
from engine.insight.intervals import Estimate
from engine.insight.shift import Shift, shift_of
from engine.insight.shift_tests import maker_of_tests
from engine.insight.shift_verdicts import shift_verdict
from engine.runs.queue import tend
from engine.runs.store import Store


@app.command()
def shift(
    runs: Annotated[list[str], typer.Argument(help="Runs with a kept best epoch, by id.")],
    data: Annotated[
        str | None,
        typer.Option(help="A folder of other images with the same class names to judge on."),
    ] = None,
    images: Annotated[
        int,
        typer.Option(min=0, help="Judge on so many images, drawn at random; 0 takes all."),
    ] = 0,
    json_output: JsonOption = False,
) -> None:
    """Judge runs on corrupted validation images, or on another folder, and say if the order holds.

    The validation images are shown as they are and in 25 worse versions: noise, blur, contrast,
    JPEG and fog at five severities. What was judged is kept; Ctrl-C loses nothing.

    Example: `thaw shift 3f9a2c1b 77d01e52`
    """
    store = Store()
    tend(store)
    chosen = [store.run(run) for run in dict.fromkeys(runs)]
    test_of = maker_of_tests(data or "")  # so that what is refused does not wait for PyTorch
    from engine.insight.shifted import judge_runs

    failure: ThawError | None = None
    with bar_reporter(json_output) as reporter:
        try:
            judge_runs(chosen, test_of, images, reporter)
        except ThawError as error:
            failure = error
    found = shift_of([report(store, run) for run in chosen], data or "")
    if found is None:
        raise failure or DataError("None of these runs could be judged.")
    if json_output:
        verdicts = [shift_verdict(pair, bool(data)) for pair in found.pairs]
        print_json(found.to_dict() | {"verdicts": verdicts})
        return
    _print(found)


def _print(found: Shift) -> None:
    kinds = [] if found.folder else list(CORRUPTIONS)
    last = "other folder" if found.folder else "mean of 25"
    table = Table("run", "as they are", *kinds, last, "change", box=None)
    for one in found.runs:
        by_kind = one.by_kind()
        means = [
            sum(point.value for severity, point in by_kind[kind] if severity)
            / len(by_kind[kind][1:])
            for kind in kinds
        ]
        table.add_row(
            f"{one.report.run.name} ({one.report.run.id})",
            _percent(one.clean),
            *(f"{100 * mean:.1f} %" for mean in means),
            _percent(one.shifted),
            f"{-100 * one.drop:+.1f}",
        )
    console.print(table)
    for pair in found.pairs:
        console.print(shift_verdict(pair, bool(found.folder)), highlight=False, markup=False)
    for note in found.notes:
        console.print(note, style="yellow", highlight=False, markup=False)


def _percent(one: Estimate) -> str:
    return f"{100 * one.value:.1f} % ({100 * one.low:.1f} to {100 * one.high:.1f})"
