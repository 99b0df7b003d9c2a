"""`thaw train`: one run in the foreground."""

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from engine.cli.app import JSON_HELP, app, print_json
from engine.cli.follow import follow
from engine.data.folders import find_images
from engine.data.scale import scale_warning
from engine.errors import SpecError
from engine.insight.compare import report
from engine.models.catalogue import backbone_record
from engine.models.weights_files import checkpoint_facts
from engine.recipes import RECIPES
from engine.runs.queue import enqueue
from engine.runs.store import Store
from engine.spec import RunSpec, field_info
from engine.strategies import STRATEGIES


def _option(path: str, *names: str) -> Any:
    info = field_info(path)
    choices = (info.json_schema_extra or {}).get("choices") or {}
    suffix = f" One of: {', '.join(choices)}." if choices else ""
    default = "" if info.is_required() else f" Default: {info.default}."
    return typer.Option(*names, help=info.description + suffix + default, show_default=False)


@app.command()
def train(
    data: Annotated[str | None, _option("data.folder", "--data")] = None,
    val: Annotated[str | None, _option("data.val_folder", "--val")] = None,
    val_fraction: Annotated[float | None, _option("data.val_fraction")] = None,
    split_seed: Annotated[int | None, _option("data.split_seed")] = None,
    strategy: Annotated[str | None, _option("strategy.name", "--strategy")] = None,
    backbone: Annotated[str | None, _option("model.backbone")] = None,
    weights: Annotated[str | None, _option("model.weights")] = None,
    head: Annotated[str | None, _option("model.head")] = None,
    hidden_units: Annotated[int | None, _option("model.hidden_units")] = None,
    dropout: Annotated[float | None, _option("model.dropout")] = None,
    epochs: Annotated[int | None, _option("training.epochs")] = None,
    image_size: Annotated[int | None, _option("images.size", "--image-size")] = None,
    fit: Annotated[str | None, _option("images.fit")] = None,
    normalisation: Annotated[str | None, _option("images.normalisation")] = None,
    augmentation: Annotated[str | None, _option("images.augmentation")] = None,
    batch_size: Annotated[int | None, _option("training.batch_size")] = None,
    optimiser: Annotated[str | None, _option("optimiser.name", "--optimiser")] = None,
    lr: Annotated[
        float | None,
        typer.Option(
            help="Learning rate. Default: the strategy's own ("
            + ", ".join(f"{s.name} {s.default_lr:g}" for s in STRATEGIES.values())
            + ")."
        ),
    ] = None,
    weight_decay: Annotated[float | None, _option("optimiser.weight_decay")] = None,
    momentum: Annotated[float | None, _option("optimiser.momentum")] = None,
    schedule: Annotated[str | None, _option("optimiser.schedule")] = None,
    decay_rate: Annotated[float | None, _option("optimiser.decay_rate")] = None,
    decay_steps: Annotated[int | None, _option("optimiser.decay_steps")] = None,
    staircase: Annotated[
        bool | None, _option("optimiser.staircase", "--staircase/--no-staircase")
    ] = None,
    label_smoothing: Annotated[float | None, _option("training.label_smoothing")] = None,
    early_stopping: Annotated[int | None, _option("training.early_stopping")] = None,
    seed: Annotated[int | None, _option("seed")] = None,
    device: Annotated[str | None, _option("device")] = None,
    recipe: Annotated[
        str | None,
        typer.Option(
            help="A whole set of settings to start from, see `thaw recipes`; options given beside "
            "it override it."
        ),
    ] = None,
    spec: Annotated[
        Path | None,
        typer.Option(help="JSON file with a whole spec; options given beside it override it."),
    ] = None,
    name: Annotated[str | None, typer.Option(help="A name for the run.")] = None,
    json_output: Annotated[bool, typer.Option("--json", help=JSON_HELP)] = False,
) -> None:
    """Train one run and follow it to its end; Ctrl-C stops it and keeps the best epoch.

    Example: `thaw train --data photos --strategy frozen --epochs 5 --fit crop`
    """
    given = {
        "data.folder": data,
        "data.val_folder": val,
        "data.val_fraction": val_fraction,
        "data.split_seed": split_seed,
        "strategy.name": strategy,
        "model.backbone": backbone,
        "model.weights": weights,
        "model.head": head,
        "model.hidden_units": hidden_units,
        "model.dropout": dropout,
        "training.epochs": epochs,
        "images.size": image_size,
        "images.fit": fit,
        "images.normalisation": normalisation,
        "images.augmentation": augmentation,
        "training.batch_size": batch_size,
        "optimiser.name": optimiser,
        "optimiser.lr": lr,
        "optimiser.weight_decay": weight_decay,
        "optimiser.momentum": momentum,
        "optimiser.schedule": schedule,
        "optimiser.decay_rate": decay_rate,
        "optimiser.decay_steps": decay_steps,
        "optimiser.staircase": staircase,
        "training.label_smoothing": label_smoothing,
        "training.early_stopping": early_stopping,
        "seed": seed,
        "device": device,
    }
    given = {path: value for path, value in given.items() if value is not None}
    run_spec = _build_spec(spec, _recipe_settings(recipe) | given)
    record = backbone_record(run_spec.model.backbone)
    if warning := scale_warning(run_spec.images, record, run_spec.model.weights):
        print(f"thaw: {warning}", file=sys.stderr)
    find_images(
        Path(run_spec.data.folder),
        Path(run_spec.data.val_folder) if run_spec.data.val_folder else None,
    )
    store = Store()
    run_name = (
        name or f"{STRATEGIES[run_spec.strategy.name].label} · {Path(run_spec.data.folder).name}"
    )
    [run] = enqueue(store, [(run_name, run_spec)])
    run = follow(store, run, quiet=json_output)
    if json_output:
        print_json(report(store, run).to_dict())
    sys.exit(0 if run.status == "finished" else 1)


def _recipe_settings(name: str | None) -> dict[str, Any]:
    if name is None:
        return {}
    if name not in RECIPES:
        raise SpecError(f"There is no recipe {name!r}; choose one of {', '.join(RECIPES)}.")
    return RECIPES[name].settings


def _build_spec(file: Path | None, given: dict[str, Any]) -> RunSpec:
    """Returns the spec of a file with the given dotted settings laid over it.

    Raises:
        SpecError: the file cannot be read, no data is named, or a setting is out of range.
    """
    values: dict[str, Any] = {}
    if file is None and "model.weights" in given:
        made_with = checkpoint_facts(given["model.weights"])
        if made_with is not None:
            own = {"model.backbone": made_with.backbone, "images.size": made_with.size}
            given = own | given
    if file is not None:
        values = _read_spec(file)
    elif "data.folder" not in given:
        raise SpecError("Name the folder of images: thaw train --data DIR.")
    elif "optimiser.lr" not in given:
        strategy = STRATEGIES.get(given.get("strategy.name", "frozen"))
        if strategy is not None:
            given = given | {"optimiser.lr": strategy.default_lr}
    for path, value in given.items():
        target = values
        *parents, last = path.split(".")
        for parent in parents:
            if not isinstance(target.get(parent), dict):
                target[parent] = {}
            target = target[parent]
        target[last] = value
    return RunSpec.parse(values)


def _read_spec(file: Path) -> dict[str, Any]:
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SpecError(f"The spec file {file} cannot be read: {error}.") from error
    if not isinstance(values, dict):
        raise SpecError(f"The spec file {file} holds no JSON object; see `thaw show RUN --json`.")
    return values
