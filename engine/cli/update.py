"""`thaw update`: a model in use learns from new images."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from engine.cli.app import JSON_HELP, app, console, print_json, seconds
from engine.cli.follow import follow_all
from engine.cli.settings import SetOption, assignments, corrections, setting_option
from engine.errors import SpecError
from engine.insight.update_methods import MethodResult, Spread, method_results
from engine.insight.updates import update_of
from engine.runs.queue import enqueue
from engine.runs.store import Run, Store
from engine.spec import DataSpec
from engine.update.foreseen import Way, named_updates, require_learnable
from engine.update.methods import METHODS, NAIVE
from engine.update.names import NEW
from engine.update.request import Base, base_of_file, base_of_run, matching_of


@app.command()
def update(
    run: Annotated[
        str, typer.Argument(help="Id of the finished run to update, or a checkpoint of Thaw.")
    ],
    data: Annotated[str, setting_option("data.folder", "--data")],
    val: Annotated[str | None, setting_option("data.val_folder", "--val")] = None,
    val_fraction: Annotated[float | None, setting_option("data.val_fraction")] = None,
    method: Annotated[
        list[str] | None,
        typer.Option(
            help=f"How old classes are kept from being forgotten: {', '.join(METHODS)}, or all. "
            f"Can be given several times. Default: {NAIVE}."
        ),
    ] = None,
    same: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NEW=OLD",
            help="A class of the new images that is one of the model's under another name. Can be "
            "given several times.",
        ),
    ] = None,
    new: Annotated[
        list[str] | None,
        typer.Option(
            metavar="CLASS",
            help="A class of the new images that is a new one, though its name is close to one of "
            "the model's. Can be given several times.",
        ),
    ] = None,
    strategy: Annotated[str | None, setting_option("strategy.name", "--strategy")] = None,
    epochs: Annotated[int | None, setting_option("training.epochs")] = None,
    lr: Annotated[float | None, setting_option("optimiser.lr")] = None,
    seed: Annotated[int | None, setting_option("seed")] = None,
    seeds: Annotated[int, typer.Option(min=1, max=20, help="Runs of each method.")] = 1,
    settings: SetOption = None,
    name: Annotated[str | None, typer.Option(help="A name for the runs.")] = None,
    json_output: Annotated[bool, typer.Option("--json", help=JSON_HELP)] = False,
) -> None:
    """Update a model in use with new images, and see what it forgot.

    What is not said stays as the model was trained. Several methods, or seeds, are compared in one
    table. Methods that keep the backbone are always frozen, whatever the strategy.

    Example: `thaw update 3f2a --data photos/new --method replay --strategy full`
    """
    store = Store()
    base = _base(store, run)
    data_spec = _data(data, val, val_fraction)
    answers = _answers(same, new)
    matching = matching_of(base, data_spec, answers).settled()
    options = {"training.epochs": epochs, "optimiser.lr": lr, "seed": seed}
    given: dict[str, Any] = {path: one for path, one in options.items() if one is not None}
    given |= assignments(settings)
    ways = [Way(one, _for_method(one, given, strategy)) for one in _methods(method)]
    named = [
        (f"{name or base.name} · {label}", spec)
        for label, spec in named_updates(base, data_spec, ways, answers, seeds)
    ]
    for _, spec in named:
        require_learnable(spec, matching)
    ended = follow_all(store, lambda: enqueue(store, named), quiet=json_output)
    results = method_results([found for one in ended if (found := update_of(one)) is not None])
    if json_output:
        print_json({"updates": base.start, "methods": [one.to_dict() for one in results]})
    else:
        _show(results, ended)
    sys.exit(0 if all(one.status == "finished" for one in ended) else 1)


def _base(store: Store, run: str) -> Base:
    file = Path(run)
    return base_of_file(file) if file.is_file() else base_of_run(store.run(run))


def _data(data: str, val: str | None, val_fraction: float | None) -> DataSpec:
    given: dict[str, Any] = {"folder": data, "val_folder": val, "val_fraction": val_fraction}
    values = {name: value for name, value in given.items() if value is not None}
    for path, value in corrections({"data.folder": data}).items():
        values[path.removeprefix("data.")] = value
    return DataSpec.parse(values)


def _answers(same: Sequence[str] | None, new: Sequence[str] | None) -> dict[str, str]:
    answers = dict.fromkeys(new or (), NEW)
    for text in same or ():
        name, equals, meant = text.partition("=")
        if not equals or not meant:
            raise SpecError(f"--same {text} names no class of the model; write --same new=old.")
        answers[name] = meant
    return answers


def _methods(asked: Sequence[str] | None) -> list[str]:
    named = [part for text in asked or (NAIVE,) for part in text.split(",")]
    return list(METHODS) if "all" in named else list(dict.fromkeys(named))


def _for_method(name: str, given: dict[str, Any], strategy: str | None) -> dict[str, Any]:
    """Returns the settings of one method; one that keeps the backbone has a strategy already."""
    known = METHODS.get(name)
    values = dict(given)
    if strategy is not None and (known is None or not known.still):
        values.setdefault("strategy.name", strategy)
    if known is not None and not known.steps:
        values.pop("training.epochs", None)
    return values


def _show(results: Sequence[MethodResult], runs: Sequence[Run]) -> None:
    table = Table("method", box=None)
    for heading in ("old before", "old", "new", "all", "forgotten", "broken", "mended", "time"):
        table.add_column(heading, justify="right")
    table.add_column("runs")
    shown = Store().short_ids()
    for one in results:
        table.add_row(
            one.label,
            *(_percent(figure) for figure in (one.before_old, one.old, one.new, one.all)),
            _percent(one.forgotten),
            _mean([len(each.broken_N) for each in one.updates]),
            _mean([len(each.mended_N) for each in one.updates]),
            "–" if one.seconds is None else seconds(one.seconds.mean),
            " ".join(shown.get(each.run.id, each.run.id) for each in one.updates),
        )
    console.print(table)
    for run in runs:
        if run.status != "finished":
            console.print(
                f"{run.name} ({shown.get(run.id, run.id)}) {run.status}: {run.reason}",
                style="yellow",
                soft_wrap=True,
                markup=False,
            )
    console.print(
        "Old and new are the validation images that came before and that come with this update; "
        "forgotten is what accuracy on the old ones fell by; broken and mended are old images that "
        "are now told wrong, or right, and were not before.",
        style="dim",
    )


def _percent(figure: Spread | None) -> str:
    if figure is None:
        return "–"
    spread = "" if figure.deviation is None else f" ± {100 * figure.deviation:.1f}"
    return f"{100 * figure.mean:.1f}{spread} %"


def _mean(counts: Sequence[int]) -> str:
    mean = sum(counts) / len(counts)
    return f"{mean:.0f}" if mean == int(mean) else f"{mean:.1f}"
