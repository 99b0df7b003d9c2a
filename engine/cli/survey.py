"""`thaw survey`: every strategy on the same images, over several seeds, as one table."""

import sys
from typing import Annotated, Any

import typer

from engine.cli.app import JSON_HELP, app, print_json
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
from engine.errors import SpecError
from engine.insight.compare import report
from engine.insight.survey import markdown, survey, survey_specs
from engine.runs.queue import enqueue
from engine.runs.store import Store
from engine.strategies import STRATEGIES


@app.command("survey")
def run_survey(
    data: Annotated[str | None, setting_option("data.folder", "--data")] = None,
    strategies: Annotated[
        str, typer.Option(help="Names with commas between them; all of them by default.")
    ] = ",".join(STRATEGIES),
    seeds: Annotated[int, typer.Option(min=1, max=20, help="Runs of each strategy.")] = 3,
    folds: Annotated[int | None, setting_option("data.folds")] = None,
    epochs: Annotated[int | None, setting_option("training.epochs")] = None,
    image_size: Annotated[int | None, setting_option("images.size", "--image-size")] = None,
    fit: Annotated[str | None, setting_option("images.fit")] = None,
    backbone: Annotated[str | None, setting_option("model.backbone")] = None,
    settings: SetOption = None,
    recipe: RecipeOption = None,
    spec: SpecOption = None,
    json_output: Annotated[bool, typer.Option("--json", help=JSON_HELP)] = False,
) -> None:
    """Train every strategy on the same images, over several seeds, as one Markdown table.

    Each strategy starts from its own default learning rate; all else is shared. With folds, each
    is trained as often on other parts of the images, which suits few of them. Ctrl-C stops what is
    left; what was finished is printed.

    Example: `thaw survey --data photos --seeds 3 --epochs 6 --image-size 128`
    """
    names = [name.strip() for name in strategies.split(",") if name.strip()]
    if unknown := [name for name in names if name not in STRATEGIES]:
        raise SpecError(
            f"There is no strategy {', '.join(unknown)}; choose from {', '.join(STRATEGIES)}."
        )
    options: dict[str, Any] = {
        "data.folder": data,
        "data.folds": folds,
        "training.epochs": epochs,
        "images.size": image_size,
        "images.fit": fit,
        "model.backbone": backbone,
    }
    given = {path: value for path, value in options.items() if value is not None}
    given |= assignments(settings)
    base = build_spec(spec, recipe_settings(recipe, given) | given)
    require_images(base.data)
    store = Store()
    specs = survey_specs(base, names, seeds)
    runs = follow_all(store, lambda: enqueue(store, specs))
    rows = survey([report(store, run) for run in runs])
    if json_output:
        print_json({"rows": [row.to_dict() for row in rows], "runs": [run.id for run in runs]})
    else:
        print(markdown(rows))
    failures = [failure for row in rows for failure in row.failures]
    for failure in failures:
        print(f"thaw: {failure}", file=sys.stderr)
    sys.exit(1 if failures else 0)
