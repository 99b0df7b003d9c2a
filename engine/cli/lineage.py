"""`thaw lineage`: run → update → update, and accuracy on every batch so far."""

from typing import Annotated, Any

import typer
from rich.table import Table

from engine.cli.app import JSON_HELP, app, console, percent, print_json
from engine.insight.forgetting import DEFINITIONS, Continual
from engine.runs.queue import tend
from engine.runs.store import Store
from engine.update.adopting import Standing, standing_of
from engine.update.lineage import Member
from engine.update.matrix import Matrix, matrix_of


@app.command("lineage")
def lineage(
    run: Annotated[str, typer.Argument(help="A run's id, or as much of it as is unique.")],
    json_output: Annotated[bool, typer.Option("--json", help=JSON_HELP)] = False,
) -> None:
    """Show where a model comes from, what became of it, and its accuracy on every batch so far.

    Of a run that updates nothing the numbers are those of its newest update.

    Example: `thaw lineage 3f9a2c1b`
    """
    store = Store()
    tend(store)
    found = store.run(run)
    standing = standing_of(store, found.id)
    family = standing.family
    last = found.id if family.members[found.id].parent else family.newest(found.id).key
    matrix = matrix_of(family.chain(last))
    if json_output:
        print_json(lineage_dict(standing, found.id, matrix))
        return
    for line in tree_lines(standing):
        console.print(line, highlight=False)
    if matrix is None:
        console.print("No model of this lineage has judged its validation images yet.")
    else:
        _print_matrix(matrix)
    for sentence in (*family.notes, *(matrix.notes if matrix is not None else ())):
        console.print(sentence, highlight=False)


def lineage_dict(standing: Standing, run_id: str, matrix: Matrix | None) -> dict[str, Any]:
    """Returns a lineage as plain data."""
    family = standing.family
    return {
        "run": run_id,
        "root": family.root.key,
        "in_use": standing.in_use,
        "members": [_member_dict(one) for one in family.members.values()],
        "matrix": None if matrix is None else matrix.to_dict(),
        "notes": list(family.notes),
    }


def _member_dict(one: Member) -> dict[str, Any]:
    run = one.run
    return {
        "id": one.key,
        "name": one.name,
        "state": one.state,
        "updates": one.parent or None,
        "status": None if run is None else run.status,
        "method": None if run is None or not one.parent else run.spec.update.method,
        "strategy": None if run is None else run.spec.strategy.name,
    }


def tree_lines(standing: Standing) -> list[str]:
    """Returns a line a model, each below the one that it updates and farther in."""
    family = standing.family
    lines: list[str] = []

    def add(one: Member, before: str, branch: str, below: str) -> None:
        lines.append(f"{before}{branch}{_words(one)}{_in_use(standing, one)}")
        children = family.children[one.key]
        for place, child in enumerate(children):
            is_last = place == len(children) - 1
            ends = ("└─ ", "   ") if is_last else ("├─ ", "│  ")
            add(child, before + below, *ends)

    add(family.root, "", "", "")
    return lines


def _in_use(standing: Standing, one: Member) -> str:
    return "  ● in use" if standing.record and standing.in_use == one.key else ""


def _words(one: Member) -> str:
    if one.run is None:
        return f"{one.name} ({'not here' if one.state == 'gone' else 'a checkpoint'})"
    method = f"  {one.run.spec.update.method}" if one.parent else ""
    status = "deleted" if one.state == "deleted" else one.run.status
    return f"{one.name} ({one.key}){method}  {status}"


def _print_matrix(matrix: Matrix) -> None:
    console.print()
    table = Table(
        "accuracy after",
        *(f"{one.name} ({one.num_val:,} images)" for one in matrix.batches),
        box=None,
    )
    for place, (model, row) in enumerate(zip(matrix.models, matrix.rows, strict=True)):
        cells = [
            f"({percent(one)})" if column > place and one is not None else percent(one)
            for column, one in enumerate(row)
        ]
        table.add_row(model.name or "not here", *cells)
    console.print(table)
    if any(one is not None for row, line in enumerate(matrix.rows) for one in line[row + 1 :]):
        console.print("In brackets: before the model learnt from that batch.")
    if (metrics := matrix.metrics) is not None:
        console.print()
        _print_metrics(metrics)


def _print_metrics(metrics: Continual) -> None:
    for definition in DEFINITIONS:
        value = getattr(metrics, definition.name)
        if value is not None:
            number = f"{100 * value:.1f} {definition.unit}"
            console.print(f"{definition.label}: {number}. {definition.meaning(value)}")
