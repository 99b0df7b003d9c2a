"""`thaw find-lr`: learning rates to train with, found by trying all of them for a step each."""

import sys
import time
from typing import Annotated

import typer

from engine.cli.app import JSON_HELP, app, console, print_json, seconds
from engine.cli.bar import bar_reporter
from engine.cli.settings import (
    RecipeOption,
    SetOption,
    SpecOption,
    assignments,
    build_spec,
    recipe_settings,
    setting_option,
)
from engine.events import ACTIVE
from engine.runs.rate_finder import keep_tests, plain_spec
from engine.runs.store import Store
from engine.spec import RunSpec
from engine.training.range_test import RangeTest, written


@app.command("find-lr")
def find_lr(
    data: Annotated[str | None, setting_option("data.folder", "--data")] = None,
    val: Annotated[str | None, setting_option("data.val_folder", "--val")] = None,
    strategy: Annotated[str | None, setting_option("strategy.name", "--strategy")] = None,
    backbone: Annotated[str | None, setting_option("model.backbone")] = None,
    weights: Annotated[str | None, setting_option("model.weights")] = None,
    head: Annotated[str | None, setting_option("model.head")] = None,
    image_size: Annotated[int | None, setting_option("images.size", "--image-size")] = None,
    fit: Annotated[str | None, setting_option("images.fit")] = None,
    augmentation: Annotated[str | None, setting_option("images.augmentation")] = None,
    batch_size: Annotated[int | None, setting_option("training.batch_size")] = None,
    optimiser: Annotated[str | None, setting_option("optimiser.name", "--optimiser")] = None,
    seed: Annotated[int | None, setting_option("seed")] = None,
    device: Annotated[str | None, setting_option("device")] = None,
    settings: SetOption = None,
    recipe: RecipeOption = None,
    spec: SpecOption = None,
    json_output: Annotated[bool, typer.Option("--json", help=JSON_HELP)] = False,
) -> None:
    """Suggest learning rates for the head and for the backbone, from a range test of each.

    The rate rises from 1e-7 to 1, a step at a time, and the loss tells where it is too small and
    where too large. Nothing is trained; the Train page shows the curves.

    Example: `thaw find-lr --data photos --strategy full`
    """
    given = {
        "data.folder": data,
        "data.val_folder": val,
        "strategy.name": strategy,
        "model.backbone": backbone,
        "model.weights": weights,
        "model.head": head,
        "images.size": image_size,
        "images.fit": fit,
        "images.augmentation": augmentation,
        "training.batch_size": batch_size,
        "optimiser.name": optimiser,
        "seed": seed,
        "device": device,
    }
    given = {path: value for path, value in given.items() if value is not None}
    given |= assignments(settings)
    run_spec = build_spec(spec, recipe_settings(recipe, given) | given)
    if Store().all_runs(ACTIVE):
        print("thaw: a run goes on meanwhile, so both take longer.", file=sys.stderr)
    started = time.perf_counter()
    tests = _find(run_spec, quiet=json_output)
    took = time.perf_counter() - started
    keep_tests(run_spec, tests)
    if json_output:
        print_json({"tests": [test.to_dict() for test in tests], "seconds": took})
        return
    for test in tests:
        _show(test)
    console.print(f"Took {seconds(took)}.", highlight=False)


def _find(spec: RunSpec, quiet: bool) -> tuple[RangeTest, ...]:
    with bar_reporter(quiet) as reporter:
        from engine.training.lr_finder import find_for_spec

        return find_for_spec(plain_spec(spec), reporter)


def _show(test: RangeTest) -> None:
    suggestion = "no suggestion" if test.suggestion is None else written(test.suggestion)
    tried = (
        f"; tried {written(test.rates[0])} to {written(test.rates[-1])} in {len(test.rates)} steps"
        if test.rates
        else ""
    )
    console.print(f"{test.group}: {suggestion}{tried}", highlight=False, soft_wrap=True)
    for sentence in (test.reason, test.method):
        if sentence:
            console.print(f"  {sentence}", highlight=False, soft_wrap=True)
