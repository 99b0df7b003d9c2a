"""`thaw embed`: validation images of runs on a plane, before and after training."""

from typing import Annotated, Any

import typer
from rich.table import Table

from engine.cli.app import app, console, percent, print_json
from engine.cli.bar import bar_reporter
from engine.cli.runs import JsonOption
from engine.errors import SpecError
from engine.insight.embedding import (
    METHODS,
    Embedding,
    Method,
    Plane,
    embedding_key,
    known_embedding,
)
from engine.insight.intervals import Estimate
from engine.runs.queue import tend
from engine.runs.store import Run, Store


@app.command("embed")
def embed(
    runs: Annotated[list[str], typer.Argument(help="Runs that have ended, by id.")],
    method: Annotated[
        str, typer.Option(help="How features become two numbers: pca or tsne.")
    ] = "pca",
    json_output: JsonOption = False,
) -> None:
    """Lay a run's validation images out on a plane, as its backbone sees them before and after.

    Beside the coordinates (--json) it says what no plane can bend: how many images lie among their
    own class in the space of all features, and how far classes lie apart. What was found is kept.

    Example: `thaw embed 3f9a2c1b 77d01e52 --method tsne --json`
    """
    how = next((one for one in METHODS if one == method), None)
    if how is None:
        raise SpecError(f"--method is {method!r}; it is one of {', '.join(METHODS)}.")
    store = Store()
    tend(store)
    chosen = [store.run(run) for run in dict.fromkeys(runs)]
    for run in chosen:
        embedding_key(run, how)  # so that what is refused does not wait for others
    found = [_embedding(run, how, quiet=json_output) for run in chosen]
    if json_output:
        print_json([_document(run, one) for run, one in zip(chosen, found, strict=True)])
        return
    _print(chosen, found)


def _embedding(run: Run, method: Method, quiet: bool) -> Embedding:
    known = known_embedding(run, method)
    if known is not None:
        return known
    with bar_reporter(quiet) as reporter:
        from engine.insight.embed import embed_run

        return embed_run(run, method, reporter)


def _document(run: Run, one: Embedding) -> dict[str, Any]:
    return {"name": run.name, "strategy": run.spec.strategy.name} | one.to_dict()


def _print(runs: list[Run], found: list[Embedding]) -> None:
    table = Table("", "among their own class", "silhouette", "on the plane", box=None)
    for run, one in zip(runs, found, strict=True):
        table.add_row(f"{run.name} ({run.id}), before", *_cells(one.before, one.method))
        table.add_row(f"{run.name} ({run.id}), after", *_cells(one.after, one.method))
        points = _interval(one.more_neighbours, 100.0, ".1f", "+")
        table.add_row("  what training adds", points, _signed(one.more_silhouette), "")
    console.print(table)
    for run, one in zip(runs, found, strict=True):
        still = "" if one.has_moved else " Its backbone is as it was before."
        shown = f"{len(one.images):,} of {one.num_val:,} validation images"
        console.print(f"{run.id}: {shown}.{still}", highlight=False)
    console.print("The coordinates are in --json.", highlight=False)


def _cells(plane: Plane, method: Method) -> tuple[str, str, str]:
    among = plane.neighbours
    shares = " and ".join(percent(share) for share in plane.shares)
    told = f"{shares} of the variance" if method == "pca" else f"from {shares} of the variance"
    within = f"{percent(among.value)} ({100 * among.low:.1f} to {100 * among.high:.1f})"
    return within, _signed(plane.silhouette), told


def _signed(estimate: Estimate | None) -> str:
    return "–" if estimate is None else _interval(estimate, 1.0, ".3f", "+")


def _interval(estimate: Estimate, scale: float, form: str, sign: str) -> str:
    value, low, high = (
        format(scale * number, f"{sign}{form}")
        for number in (estimate.value, estimate.low, estimate.high)
    )
    return f"{value} ({low} to {high})"
