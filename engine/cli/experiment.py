"""`thaw experiment`: several strategies with several seeds on one split, judged as one."""

import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer
from rich.table import Table

from engine.cli.app import JSON_HELP, app, console, print_json
from engine.cli.follow import follow_all
from engine.cli.settings import (
    SetOption,
    SpecOption,
    assignments,
    build_spec,
    recipe_settings,
    setting_option,
)
from engine.data.intake import require_images
from engine.errors import SpecError
from engine.insight.compare import fairness_warnings, report
from engine.insight.comparison import comparison
from engine.recipes import RECIPES
from engine.runs.experiment import experiment_specs
from engine.runs.queue import enqueue
from engine.runs.store import Store
from engine.spec import RunSpec
from engine.strategies import STRATEGIES

PAIR = "frozen,full"


@app.command("experiment")
def run_experiment(
    data: Annotated[str | None, setting_option("data.folder", "--data")] = None,
    val: Annotated[str | None, setting_option("data.val_folder", "--val")] = None,
    val_fraction: Annotated[float | None, setting_option("data.val_fraction")] = None,
    split_seed: Annotated[int | None, setting_option("data.split_seed")] = None,
    strategies: Annotated[
        str | None,
        typer.Option(
            help="Names with commas between them, each with its own usual learning rate; "
            f"{PAIR} unless recipes are named."
        ),
    ] = None,
    recipes: Annotated[
        str | None,
        typer.Option(
            help="Whole sets of settings to hold against each other, with commas between them, "
            "see `thaw recipes`; each is a way of its own beside the strategies."
        ),
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, max=20, help="Runs of each.")] = 3,
    fractions: Annotated[
        str | None,
        typer.Option(
            help="Shares of the training images, as 0.1,0.25,0.5,1, for learning curves; all "
            "images by default."
        ),
    ] = None,
    epochs: Annotated[int | None, setting_option("training.epochs")] = None,
    image_size: Annotated[int | None, setting_option("images.size", "--image-size")] = None,
    fit: Annotated[str | None, setting_option("images.fit")] = None,
    augmentation: Annotated[str | None, setting_option("images.augmentation")] = None,
    backbone: Annotated[str | None, setting_option("model.backbone")] = None,
    weights: Annotated[str | None, setting_option("model.weights")] = None,
    batch_size: Annotated[int | None, setting_option("training.batch_size")] = None,
    lr: Annotated[
        float | None,
        typer.Option(help="Learning rate, the same for all; each has its own by default."),
    ] = None,
    seed: Annotated[int | None, setting_option("seed")] = None,
    settings: SetOption = None,
    spec: SpecOption = None,
    json_output: Annotated[bool, typer.Option("--json", help=JSON_HELP)] = False,
) -> None:
    """Train several strategies with several seeds on one split, and say which differences are real.

    Seeds decide the head's first weights and the order of images, and nothing of the split: all
    runs are judged on the same images. Ctrl-C stops what is left; what was finished is judged.

    Example: `thaw experiment --data photos --strategies frozen,full --seeds 3 --fractions
    0.1,0.25,0.5,1`
    """
    options: dict[str, Any] = {
        "data.folder": data,
        "data.val_folder": val,
        "data.val_fraction": val_fraction,
        "data.split_seed": split_seed,
        "training.epochs": epochs,
        "images.size": image_size,
        "images.fit": fit,
        "images.augmentation": augmentation,
        "model.backbone": backbone,
        "model.weights": weights,
        "training.batch_size": batch_size,
        "optimiser.lr": lr,
        "seed": seed,
    }
    given = {path: value for path, value in options.items() if value is not None}
    given |= assignments(settings)
    shares = _shares(fractions)
    names = _names(strategies if strategies or recipes else PAIR)
    ways = [
        *((STRATEGIES[name].label, _of_strategy(name, spec, given)) for name in _known(names)),
        *(_of_recipe(name, spec, given) for name in _names(recipes)),
    ]
    named = experiment_specs(ways, seeds, shares)
    require_images(named[0][1].data)
    store = Store()
    runs = follow_all(store, lambda: enqueue(store, named), quiet=json_output)
    reports = [report(store, run) for run in runs]
    document = comparison(reports)
    warnings = fairness_warnings(reports)
    if json_output:
        group = {"group_id": runs[0].group_id, "runs": [one.to_dict() for one in reports]}
        print_json(group | {"warnings": warnings} | document)
    else:
        _show(document, warnings, [run.id for run in runs])
    failed = [run for run in runs if run.status != "finished"]
    for run in failed:
        print(f"thaw: {run.name} ({run.id}) {run.status}: {run.reason}", file=sys.stderr)
    sys.exit(1 if failed else 0)


def _names(text: str | None) -> list[str]:
    return [name.strip() for name in (text or "").split(",") if name.strip()]


def _known(names: Sequence[str]) -> Sequence[str]:
    if unknown := [name for name in names if name not in STRATEGIES]:
        raise SpecError(
            f"There is no strategy {', '.join(unknown)}; choose from {', '.join(STRATEGIES)}."
        )
    return names


def _of_strategy(name: str, file: Any, given: dict[str, Any]) -> RunSpec:
    rate = {"optimiser.lr": STRATEGIES[name].default_lr}
    return build_spec(file, rate | given | {"strategy.name": name})


def _of_recipe(name: str, file: Any, given: dict[str, Any]) -> tuple[str, RunSpec]:
    spec = build_spec(file, recipe_settings(name, given) | given)
    return RECIPES[name].label, spec


def _shares(text: str | None) -> list[float]:
    """Returns shares of the training images from a text such as `0.1,0.5,1`.

    Raises:
        SpecError: one of them is no number.
    """
    try:
        return [float(part) for part in _names(text)]
    except ValueError as error:
        raise SpecError(
            f"--fractions is {text!r}; write shares above 0 and up to 1, as 0.1,0.25,0.5,1."
        ) from error


def _show(document: dict[str, Any], warnings: Sequence[str], run_ids: Sequence[str]) -> None:
    table = Table("way of training", "seeds", box=None)
    for heading in ("accuracy", "macro F1", "time", "parameters trained", "peak memory"):
        table.add_column(heading, justify="right")
    for way in document["ways"]:
        trained = way["trained_parameters"]
        table.add_row(
            way["label"],
            str(len(way["seeds"])),
            _estimate(way["accuracy"], 100, " %"),
            _estimate(way["f1"], 100, " %"),
            _estimate(way["seconds_uncached"], 1, " s"),
            "–" if trained is None else f"{trained:,}",
            _estimate(way["memory_mib"], 1, " MiB"),
        )
    console.print(table)
    said = [
        *warnings,
        *(pair["verdict"] for pair in document["pairs"]),
        *document["cautions"],
        *(f"{front['cost'].capitalize()}: {front['sentence']}" for front in document["costs"]),
        *document["learning_curves"]["sentences"],
        f"Side by side again: thaw compare {' '.join(run_ids)}",
    ]
    for sentence in said:
        console.print(sentence, highlight=False, markup=False, soft_wrap=True)


def _estimate(found: dict[str, float] | None, factor: float, unit: str) -> str:
    if found is None:
        return "–"
    # None of these can be less than nothing, whatever an interval says.
    value, low, high = (max(0.0, factor * found[name]) for name in ("value", "low", "high"))
    return f"{value:,.1f}{unit}" + (f" ({low:,.1f} to {high:,.1f})" if low < high else "")
