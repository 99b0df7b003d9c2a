"""`thaw models` and `thaw recipes`: what there is to start from."""

from dataclasses import asdict
from typing import Annotated, Any

import typer
from rich.table import Table

from engine.cli.app import JSON_HELP, app, console, percent, print_json
from engine.errors import SpecError
from engine.models.catalogue import LIBRARIES, BackboneRecord, refused, search
from engine.models.weights_files import weights_file
from engine.recipes import RECIPES, Recipe

SHOWN = 30


@app.command("models")
def list_models(
    text: Annotated[list[str] | None, typer.Argument(help="Words that its name must hold.")] = None,
    library: Annotated[str, typer.Option(help="bundled, torchvision or timm.")] = "",
    image_size: Annotated[
        int | None, typer.Option(help="Side in px to state the cost for; else each one's own.")
    ] = None,
    json_output: Annotated[bool, typer.Option("--json", help=JSON_HELP)] = False,
) -> None:
    """Find a backbone; one that is named in full is shown with its stages.

    Example: `thaw models mobilenet`
    """
    words = " ".join(text or [])
    if library not in ("", *LIBRARIES):
        raise SpecError(f"There is no library {library!r}; choose one of {', '.join(LIBRARIES)}.")
    found = search(words, library)
    if json_output:
        print_json([_as_dict(record, image_size) for record in found])
        return
    exact = [record for record in found if record.name == words]
    if not found:
        reasons = [f"{n} {why}" for n, why in refused().items() if words and words in n]
        raise SpecError(f"No backbone's name holds {words!r}. " + " ".join(reasons))
    if exact:
        _show_one(exact[0], image_size)
        return
    table = Table(box=None)
    # Folded rather than cut, so that a name can be copied.
    table.add_column("backbone", overflow="fold")
    for heading in ("parameters", "GMACs", "size", "top-1", "licence", "here"):
        table.add_column(heading, no_wrap=True)
    for record in found[:SHOWN]:
        table.add_row(record.name, *_facts(record, image_size))
    console.print(table)
    if len(found) > SHOWN:
        console.print(f"… and {len(found) - SHOWN} more; give more words.")


def _facts(record: BackboneRecord, size: int | None) -> tuple[str, ...]:
    gmacs = record.gmacs_at(size or record.default_size)
    return (
        f"{record.num_parameters / 1e6:.1f} M",
        "–" if gmacs is None else f"{gmacs:.2f}",
        f"{record.default_size} px",
        percent(record.top1),
        record.licence or "–",
        "yes" if weights_file(record) else "no",
    )


def _show_one(record: BackboneRecord, size: int | None) -> None:
    names = ("parameters", "GMACs", "input size", "ImageNet top-1", "licence", "weights are here")
    for name, value in zip(names, _facts(record, size), strict=True):
        console.print(f"{name:<18}{value}", highlight=False)
    console.print(f"{'mean, std':<18}{record.mean}, {record.std}", highlight=False)
    table = Table("stage", "", "parameters", box=None)
    for stage in record.stages:
        table.add_row(stage.name, stage.label, f"{stage.num_parameters:,}")
    console.print(table)


def _as_dict(record: BackboneRecord, size: int | None) -> dict[str, Any]:
    return asdict(record) | {
        "num_parameters": record.num_parameters,
        "gmacs": record.gmacs_at(size or record.default_size),
        "weights_here": weights_file(record) is not None,
    }


@app.command("recipes")
def list_recipes(
    json_output: Annotated[bool, typer.Option("--json", help=JSON_HELP)] = False,
) -> None:
    """List whole sets of settings to start from.

    Example: `thaw recipes`, then `thaw train --data photos --recipe feature-extraction`
    """
    if json_output:
        print_json([_recipe_dict(recipe) for recipe in RECIPES.values()])
        return
    for recipe in RECIPES.values():
        console.print(f"{recipe.name:<26}{recipe.label}", highlight=False, soft_wrap=True)
        console.print(f"{'':<26}{recipe.sentence}", style="dim", soft_wrap=True)


def _recipe_dict(recipe: Recipe) -> dict[str, Any]:
    return {
        "name": recipe.name,
        "label": recipe.label,
        "sentence": recipe.sentence,
        "settings": recipe.settings,
        "adapts_to_data": recipe.adapt is not None,
    }
