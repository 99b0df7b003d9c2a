"""`thaw frontier`: one model at every depth of fine-tuning."""

import sys
from collections.abc import Mapping
from typing import Annotated, Any

import typer
from rich.table import Table

from engine.cli.app import JSON_HELP, app, console, percent, print_json, seconds
from engine.cli.follow import follow_all
from engine.cli.settings import (
    RecipeOption,
    SetOption,
    SpecOption,
    assignments,
    build_spec,
    recipe_settings,
    setting_option,
)
from engine.data.intake import require_images
from engine.insight.frontier import DepthPoint, Frontier, frontier, frontier_specs
from engine.runs.queue import enqueue
from engine.runs.store import Store
from engine.strategies import STRATEGIES


@app.command("frontier")
def run_frontier(
    data: Annotated[str | None, setting_option("data.folder", "--data")] = None,
    val: Annotated[str | None, setting_option("data.val_folder", "--val")] = None,
    backbone: Annotated[str | None, setting_option("model.backbone")] = None,
    weights: Annotated[str | None, setting_option("model.weights")] = None,
    epochs: Annotated[int | None, setting_option("training.epochs")] = None,
    image_size: Annotated[int | None, setting_option("images.size", "--image-size")] = None,
    fit: Annotated[str | None, setting_option("images.fit")] = None,
    augmentation: Annotated[str | None, setting_option("images.augmentation")] = None,
    batch_size: Annotated[int | None, setting_option("training.batch_size")] = None,
    lr: Annotated[
        float | None,
        typer.Option(
            help="Learning rate, the same at all depths. Default: "
            f"{STRATEGIES['partial'].default_lr:g}, or that of the recipe or spec."
        ),
    ] = None,
    seed: Annotated[int | None, setting_option("seed")] = None,
    seeds: Annotated[int, typer.Option(min=1, max=20, help="Runs at each depth.")] = 1,
    settings: SetOption = None,
    recipe: RecipeOption = None,
    spec: SpecOption = None,
    json_output: Annotated[bool, typer.Option("--json", help=JSON_HELP)] = False,
) -> None:
    """Train the same model with its last 0, 1, 2, ... and all of its stages learning.

    All else is shared, the learning rate too: accuracy, time and memory against depth show where
    fine-tuning deeper stops paying. Ctrl-C stops what is left; what was finished is printed.

    Example: `thaw frontier --data photos --epochs 5 --image-size 128`
    """
    options: dict[str, Any] = {
        "data.folder": data,
        "data.val_folder": val,
        "model.backbone": backbone,
        "model.weights": weights,
        "training.epochs": epochs,
        "images.size": image_size,
        "images.fit": fit,
        "images.augmentation": augmentation,
        "training.batch_size": batch_size,
        "optimiser.lr": lr,
        "seed": seed,
    }
    given = {path: value for path, value in options.items() if value is not None}
    given |= assignments(settings) | {"strategy.name": "partial"}
    base = build_spec(spec, recipe_settings(recipe, given) | given)
    require_images(base.data)
    store = Store()
    specs = frontier_specs(base, seeds)
    runs = follow_all(store, lambda: enqueue(store, specs), quiet=json_output)
    found = frontier(store, runs[0].group_id)
    if json_output:
        print_json(found.to_dict())
    else:
        _show(found)
    sys.exit(0 if all(run.status == "finished" for run in found.runs) else 1)


def _show(found: Frontier) -> None:
    table = Table("k", "stage added", box=None)
    for heading in ("val accuracy", "time", "peak memory", "parameters trained"):
        table.add_column(heading, justify="right")
    for heading in ("status", "runs"):
        table.add_column(heading)
    shown = Store().short_ids()
    for point in found.points:
        table.add_row(*_row(found, point, shown))
    console.print(table)
    for warning in found.warnings:
        console.print(warning, style="yellow", soft_wrap=True)
    console.print(found.sentence, soft_wrap=True, highlight=False)
    quickest = found.quickest_as_good
    if quickest is not None and quickest is not found.best:
        console.print(
            f"Quickest of those within chance of it: {found.words(quickest.depth)}, in "
            f"{seconds(quickest.seconds)}.",
            soft_wrap=True,
            highlight=False,
        )


def _row(found: Frontier, point: DepthPoint, shown: Mapping[str, str]) -> tuple[str, ...]:
    memory, trained = point.peak_memory_mib, point.trained_parameters
    return (
        f"{point.depth}{' *' if point is found.best else ''}",
        point.stage or "none: the head alone",
        percent(point.accuracy),
        seconds(point.seconds),
        "–" if memory is None else f"{memory:,.0f} MiB",
        "–" if trained is None else f"{trained:,}",
        point.status,
        " ".join(shown.get(one.run.id, one.run.id) for one in point.reports),
    )
