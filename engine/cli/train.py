"""`thaw train`: one run in the foreground."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from engine.cli.app import JSON_HELP, app, print_json
from engine.cli.follow import follow
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
from engine.data.scale import scale_warning
from engine.insight.compare import report
from engine.models.catalogue import backbone_record
from engine.runs.queue import enqueue
from engine.runs.store import Store
from engine.strategies import STRATEGIES


@app.command()
def train(
    data: Annotated[str | None, setting_option("data.folder", "--data")] = None,
    val: Annotated[str | None, setting_option("data.val_folder", "--val")] = None,
    val_fraction: Annotated[float | None, setting_option("data.val_fraction")] = None,
    split_seed: Annotated[int | None, setting_option("data.split_seed")] = None,
    strategy: Annotated[str | None, setting_option("strategy.name", "--strategy")] = None,
    backbone: Annotated[str | None, setting_option("model.backbone")] = None,
    weights: Annotated[str | None, setting_option("model.weights")] = None,
    head: Annotated[str | None, setting_option("model.head")] = None,
    hidden_units: Annotated[int | None, setting_option("model.hidden_units")] = None,
    dropout: Annotated[float | None, setting_option("model.dropout")] = None,
    epochs: Annotated[int | None, setting_option("training.epochs")] = None,
    image_size: Annotated[int | None, setting_option("images.size", "--image-size")] = None,
    fit: Annotated[str | None, setting_option("images.fit")] = None,
    normalisation: Annotated[str | None, setting_option("images.normalisation")] = None,
    augmentation: Annotated[str | None, setting_option("images.augmentation")] = None,
    batch_size: Annotated[int | None, setting_option("training.batch_size")] = None,
    optimiser: Annotated[str | None, setting_option("optimiser.name", "--optimiser")] = None,
    lr: Annotated[
        float | None,
        typer.Option(
            help="Learning rate. Default: the strategy's own ("
            + ", ".join(f"{s.name} {s.default_lr:g}" for s in STRATEGIES.values())
            + ")."
        ),
    ] = None,
    weight_decay: Annotated[float | None, setting_option("optimiser.weight_decay")] = None,
    momentum: Annotated[float | None, setting_option("optimiser.momentum")] = None,
    schedule: Annotated[str | None, setting_option("optimiser.schedule")] = None,
    decay_rate: Annotated[float | None, setting_option("optimiser.decay_rate")] = None,
    decay_steps: Annotated[int | None, setting_option("optimiser.decay_steps")] = None,
    staircase: Annotated[
        bool | None, setting_option("optimiser.staircase", "--staircase/--no-staircase")
    ] = None,
    label_smoothing: Annotated[float | None, setting_option("training.label_smoothing")] = None,
    early_stopping: Annotated[int | None, setting_option("training.early_stopping")] = None,
    seed: Annotated[int | None, setting_option("seed")] = None,
    device: Annotated[str | None, setting_option("device")] = None,
    backbone_lr: Annotated[float | None, setting_option("optimiser.backbone_lr")] = None,
    warmup: Annotated[float | None, setting_option("optimiser.warmup")] = None,
    batch_norm: Annotated[str | None, setting_option("training.batch_norm")] = None,
    mixup: Annotated[float | None, setting_option("training.mixup")] = None,
    class_balance: Annotated[str | None, setting_option("training.class_balance")] = None,
    settings: SetOption = None,
    recipe: RecipeOption = None,
    spec: SpecOption = None,
    from_run: Annotated[
        str | None,
        typer.Option("--from", help="A run whose settings to start from; others lie over them."),
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
        "optimiser.backbone_lr": backbone_lr,
        "optimiser.warmup": warmup,
        "training.batch_norm": batch_norm,
        "training.mixup": mixup,
        "training.class_balance": class_balance,
    }
    given = {path: value for path, value in given.items() if value is not None}
    given |= assignments(settings)
    store = Store()
    base = None if from_run is None else store.run(from_run).spec
    run_spec = build_spec(spec, recipe_settings(recipe, given) | given, base)
    record = backbone_record(run_spec.model.backbone)
    if warning := scale_warning(run_spec.images, record, run_spec.model.weights):
        print(f"thaw: {warning}", file=sys.stderr)
    require_images(run_spec.data)
    run_name = (
        name or f"{STRATEGIES[run_spec.strategy.name].label} · {Path(run_spec.data.folder).name}"
    )
    run = follow(store, lambda: enqueue(store, [(run_name, run_spec)])[0], quiet=json_output)
    if json_output:
        print_json(report(store, run).to_dict())
    sys.exit(0 if run.status == "finished" else 1)
