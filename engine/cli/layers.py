"""`thaw layers`: how far each stage of a run moved."""

from typing import Annotated

import typer
from rich.table import Table

from engine.cli.app import JSON_HELP, app, console, print_json
from engine.errors import SpecError
from engine.insight.compare import RunReport, report
from engine.insight.layers import gradient_histories, layer_history, layers_document
from engine.runs.queue import tend
from engine.runs.store import Store


@app.command()
def layers(
    run: Annotated[str, typer.Argument(help="A run's id, or as much of it as is unique.")],
    json_output: Annotated[bool, typer.Option("--json", help=JSON_HELP)] = False,
) -> None:
    """Show how far each stage of a run moved from its first weights, and how much else it sees.

    After the last epoch; with `--json` after each.

    Example: `thaw layers 3f9a2c1b`
    """
    store = Store()
    tend(store)
    one = report(store, store.run(run))
    document = layers_document(store, one)
    if document is None:
        raise SpecError(_why_not(one))
    if json_output:
        print_json(document)
        return
    _print(store, one)


def _why_not(one: RunReport) -> str:
    if not one.epochs:
        return f"Run {one.run.id} has not completed an epoch yet; its stages are measured then."
    return (
        f"Run {one.run.id} was trained by an earlier Thaw, which did not measure its stages; "
        f"`thaw retry {one.run.id}` trains it again."
    )


def _print(store: Store, one: RunReport) -> None:
    history = layer_history(one)
    assert history is not None
    epoch = history.epochs[-1]
    table = Table("stage", "weights moved", "statistics moved", "1 - CKA", "gradient", box=None)
    means = {
        found.name: dict(zip(told["epochs"], told["mean"], strict=True)).get(epoch)
        for found in gradient_histories(store, one.run)
        for told in [found.to_dict()]
    }
    for stage in history.stages:
        table.add_row(
            stage.label,
            _share(stage.drift[-1]),
            _share(stage.statistics[-1]),
            _change(stage.change[-1]),
            _norm(means.get(stage.name)),
        )
    table.add_row("Head", "", "", "", _norm(means.get("head")))
    told = f"{one.run.name} ({one.run.id}), after epoch {epoch}"
    console.print(told, highlight=False, markup=False)
    console.print(table)
    console.print(
        f"Weights and BatchNorm statistics: distance from the first ones, as a share of their "
        f"length. CKA on {history.num_images} validation images. Gradient: mean norm in the epoch.",
        highlight=False,
    )


def _share(share: float | None) -> str:
    if share is None:
        return "–"
    return "0" if share == 0.0 else f"{100 * share:.3g} %"


def _change(change: float | None) -> str:
    if change is None:
        return "–"
    return "0" if change == 0.0 else f"{change:.4f}"


def _norm(norm: float | None) -> str:
    return "none" if norm is None else f"{norm:.3g}"
