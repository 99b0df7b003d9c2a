"""How commands come to a spec: a file, a recipe, and settings laid over them."""

import json
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from engine.cli.app import JSON_HELP, app, console, print_json
from engine.data.facts import data_facts
from engine.data.remedies import current_remedies, load_remedies
from engine.errors import SpecError
from engine.models.weights_files import checkpoint_facts
from engine.recipes import RECIPES
from engine.spec import DataSpec, RunSpec, field_info, field_range
from engine.strategies import STRATEGIES

SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        help="Any setting by its dotted name, as `--set strategy.rank=4`; see `thaw settings`. "
        "Can be given several times.",
    ),
]
RecipeOption = Annotated[
    str | None,
    typer.Option(
        help="A whole set of settings to start from, see `thaw recipes`; options given beside it "
        "override it."
    ),
]
SpecOption = Annotated[
    Path | None,
    typer.Option(help="JSON file with a whole spec; options given beside it override it."),
]


def setting_option(path: str, *names: str) -> Any:
    """Returns the option of a setting: its help, choices and default are written in the spec."""
    info = field_info(path)
    choices = (info.json_schema_extra or {}).get("choices") or {}
    suffix = f" One of: {', '.join(choices)}." if choices else ""
    default = "" if info.is_required() else f" Default: {info.default}."
    return typer.Option(*names, help=info.description + suffix + default, show_default=False)


def assignments(texts: Iterable[str] | None) -> dict[str, str]:
    """Returns dotted names and values from texts such as `strategy.rank=4`.

    Raises:
        SpecError: a text has no `=`.
    """
    found = {}
    for text in texts or ():
        name, equals, value = text.partition("=")
        if not equals:
            raise SpecError(f"--set {text} names no value; write --set name=value.")
        found[name.strip()] = value.strip()
    return found


def recipe_settings(name: str | None, given: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Returns the settings of a recipe, fitted to the data where it adapts; none without a name.

    Args:
        name: of the recipe.
        given: dotted settings, of which those of the data are looked at, if a folder is named.

    Raises:
        SpecError: there is no such recipe.
        DataError: the folder cannot be used.
    """
    if name is None:
        return {}
    if name not in RECIPES:
        raise SpecError(f"There is no recipe {name!r}; choose one of {', '.join(RECIPES)}.")
    recipe = RECIPES[name]
    data = {
        path.removeprefix("data."): value
        for path, value in (given or {}).items()
        if path.startswith("data.")
    }
    known = recipe.adapt is not None and "folder" in data
    return recipe.settings_for(data_facts(DataSpec.parse(data)) if known else None)


def build_spec(file: Path | None, given: dict[str, Any], base: RunSpec | None = None) -> RunSpec:
    """Returns the spec of a file, or another, with the given dotted settings laid over it.

    Raises:
        SpecError: the file cannot be read, there is another spec, too, no data is named, or a
            setting is out of range.
    """
    values: dict[str, Any] = {}
    if file is not None and base is not None:
        raise SpecError("The settings are those of a run or of a file; give --from or --spec.")
    if base is not None:
        return _laid_over(base.model_dump(mode="json"), given)
    if file is None:
        # A whole spec means the same whenever it is used.
        given = corrections(given) | given
    if file is None and "model.weights" in given:
        made_with = checkpoint_facts(given["model.weights"])
        if made_with is not None:
            own = {"model.backbone": made_with.backbone, "images.size": made_with.size}
            given = own | given
    if file is not None:
        values = _read_spec(file)
    elif "data.folder" not in given:
        raise SpecError("Name the folder of images with --data DIR.")
    elif "optimiser.lr" not in given:
        strategy = STRATEGIES.get(given.get("strategy.name", "frozen"))
        if strategy is not None:
            given = given | {"optimiser.lr": strategy.default_lr}
    return _laid_over(values, given)


def _laid_over(values: dict[str, Any], given: Mapping[str, Any]) -> RunSpec:
    for path, value in given.items():
        target = values
        *parents, last = path.split(".")
        for parent in parents:
            if not isinstance(target.get(parent), dict):
                target[parent] = {}
            target = target[parent]
        target[last] = value
    return RunSpec.parse(values)


def corrections(given: Mapping[str, Any]) -> dict[str, str]:
    """Returns the setting that names the data set's present corrections, and tells of them.

    Args:
        given: dotted settings that a person named; nothing is added to corrections among them.

    Raises:
        DataError: the corrections cannot be read.
    """
    if "data.folder" not in given or "data.remedies" in given:
        return {}
    name = current_remedies(Path(given["data.folder"]).expanduser().absolute())
    if not name:
        return {}
    count = len(load_remedies(name))
    print(f"thaw: {count} corrections of the images apply; see thaw correct.", file=sys.stderr)
    return {"data.remedies": name}


def _read_spec(file: Path) -> dict[str, Any]:
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SpecError(f"The spec file {file} cannot be read: {error}.") from error
    if not isinstance(values, dict):
        raise SpecError(f"The spec file {file} holds no JSON object; see `thaw show RUN --json`.")
    return values


def _range(path: str) -> str:
    info = field_info(path)
    choices = (info.json_schema_extra or {}).get("choices")
    if choices:
        return ", ".join(choices)
    low, high = field_range(path)
    return f"{low:g} to {high:g}" if high < float("inf") else ""


@app.command("settings")
def list_settings(
    json_output: Annotated[bool, typer.Option("--json", help=JSON_HELP)] = False,
) -> None:
    """List every setting of a run: name, default, range, meaning.

    Example: `thaw settings`
    """
    paths = [path for path in RunSpec.parse({"data": {"folder": "."}}).flat() if path != "steering"]
    rows = [
        {
            "name": path,
            "default": None if field_info(path).is_required() else field_info(path).default,
            "range": _range(path),
            "unit": (field_info(path).json_schema_extra or {}).get("unit", ""),
            "meaning": field_info(path).description,
        }
        for path in paths
    ]
    if json_output:
        print_json(rows)
        return
    table = Table("setting", "default", "range", "meaning", box=None)
    for row in rows:
        default = "" if row["default"] == () else str(row["default"])
        table.add_row(row["name"], default, row["range"], row["meaning"])
    console.print(table)
