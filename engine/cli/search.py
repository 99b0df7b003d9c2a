"""`thaw search` and `thaw searches`: many runs, of which the best settings are wanted."""

import json
import shlex
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from engine.cli.app import JSON_HELP, app, console, percent, print_json, seconds
from engine.cli.interrupt import Interrupt, first_interrupt
from engine.cli.settings import corrections, recipe_settings
from engine.data.intake import require_images
from engine.errors import SpecError
from engine.home import run_folder
from engine.runs.ids import short_ids
from engine.runs.search_space import SearchSpec, nested, parse_over
from engine.runs.search_study import (
    Search,
    Trial,
    all_searches,
    best_trial,
    count_states,
    find_search,
    look_at,
    ranked_trials,
    start_search,
    stop_search,
    tend_search,
    tend_searches,
    trials_of,
)
from engine.runs.worker import SPEC_FILE
from engine.spec import RunSpec, field_info
from engine.strategies import STRATEGIES

POLL_SECONDS = 0.5
TEND_SECONDS = 3.0
SHOWN = 15


def _option(path: str, *names: str) -> Any:
    info = field_info(path, SearchSpec)
    choices = info.json_schema_extra["choices"]
    listed = f" One of: {'; '.join(f'{name}: {what}' for name, what in choices.items())}."
    return typer.Option(*names, help=info.description + (listed if choices else ""))


@app.command()
def search(
    over: Annotated[
        list[str],
        typer.Option(
            help="A setting to search, as SETTING=CHOICE,CHOICE or SETTING=LOW..HIGH; give it "
            "once for each. A range from above 0 over a factor of ten or more goes by magnitude; "
            "`:log` or `:linear` after it decides, and `:5` gives the points of a grid."
        ),
    ],
    data: Annotated[str | None, typer.Option(help="Folder of images, as for `thaw train`.")] = None,
    sampler: Annotated[str, _option("sampler")] = "tpe",
    trials: Annotated[int, _option("trials")] = 20,
    pruning: Annotated[bool, _option("pruning", "--pruning/--no-pruning")] = True,
    seed: Annotated[int, _option("seed")] = 0,
    epochs: Annotated[int | None, typer.Option(help="Epochs of each trial.")] = None,
    recipe: Annotated[
        str | None,
        typer.Option(help="Settings that all trials share, see `thaw recipes`."),
    ] = None,
    spec: Annotated[
        Path | None,
        typer.Option(help="JSON file with a whole spec that all trials share."),
    ] = None,
    json_output: Annotated[bool, typer.Option("--json", help=JSON_HELP)] = False,
) -> None:
    """Search settings: each trial is a run; Ctrl-C stops the search and keeps what it found.

    Example: `thaw search --data photos --over optimiser.lr=1e-4..1e-2 --over
    strategy.name=frozen,full --trials 20`
    """
    parsed = SearchSpec.parse(
        {
            "base": _base_values(spec, recipe, {"data.folder": data, "training.epochs": epochs}),
            "space": _space(over),
            "sampler": sampler,
            "trials": trials,
            "pruning": pruning,
            "seed": seed,
        }
    )
    require_images(parsed.base.data)
    ended = _follow(parsed, quiet=json_output)
    found = trials_of(ended.id)
    if json_output:
        print_json(_document(ended, found))
    else:
        console.print(_table(ended, (ranked_trials(found) or found)[:SHOWN]))
        _show_result(ended, found)
    sys.exit(0 if ended.status == "finished" and best_trial(found) else 1)


@app.command("searches")
def list_searches(
    search_id: Annotated[
        str, typer.Argument(metavar="[SEARCH]", help="A search's id, to see its trials.")
    ] = "",
    stop: Annotated[bool, typer.Option("--stop", help="Ask that search to end.")] = False,
    json_output: Annotated[bool, typer.Option("--json", help=JSON_HELP)] = False,
) -> None:
    """List all searches, newest first, or show one with its trials.

    Example: `thaw searches`, then `thaw searches 3f9a2c1b`
    """
    tend_searches()
    if stop and not search_id:
        raise typer.BadParameter("--stop wants the id of a search; `thaw searches` lists them")
    if search_id:
        _show_one(find_search(search_id), stop, json_output)
        return
    documents = [_document(one, trials_of(one.id)) for one in all_searches()]
    if json_output:
        print_json([{k: v for k, v in one.items() if k != "trials"} for one in documents])
        return
    if not documents:
        console.print("No searches yet. Start with: thaw search --data DIR --over SETTING=...")
        return
    table = Table("search", "status", "over", "trials", "best val accuracy", box=None)
    shown = short_ids(one["search_id"] for one in documents)
    for one in documents:
        best = one["best"]
        table.add_row(
            shown[one["search_id"]],
            one["status"],
            ", ".join(one["space"]),
            f"{len(one['trials'])} of {one['num_trials']}",
            percent(best["accuracy"] if best else None),
        )
    console.print(table)


def _show_one(one: Search, stop: bool, json_output: bool) -> None:
    if stop and one.is_active:
        stop_search(one.id)
        one = find_search(one.id)
    trials = trials_of(one.id)
    if json_output:
        print_json(_document(one, trials))
        return
    console.print(_table(one, trials))
    _show_result(one, trials)


def _space(over: Sequence[str]) -> dict[str, Any]:
    """Returns the searched settings by name.

    Raises:
        SpecError: with every text that names nothing, and every setting that is named twice.
    """
    space: dict[str, Any] = {}
    faults: list[str] = []
    for text in over:
        try:
            path, axis = parse_over(text)
            if path in space:
                raise SpecError(f"{path} is named twice; give all of it in one --over.")
            space[path] = axis
        except SpecError as error:
            faults.append(str(error))
    if faults:
        raise SpecError(" ".join(faults))
    return space


def _base_values(file: Path | None, recipe: str | None, given: Mapping[str, Any]) -> dict[str, Any]:
    """Returns what every trial shares, unchecked: a file's spec, a recipe, the options over it.

    Raises:
        SpecError: the file cannot be read, there is no such recipe, or no data is named.
        DataError: the recipe adapts to the data, and the folder cannot be used.
    """
    known = {path: value for path, value in given.items() if value is not None}
    settings = recipe_settings(recipe, known) | known
    if file is None and "data.folder" not in settings:
        raise SpecError("Name the folder of images: thaw search --data DIR.")
    if file is not None:
        return nested(settings, _read(file))
    strategy = STRATEGIES[settings.get("strategy.name", "frozen")]
    return nested({"optimiser.lr": strategy.default_lr} | corrections(settings) | settings)


def _read(file: Path) -> dict[str, Any]:
    try:
        return RunSpec.parse(file.read_text(encoding="utf-8")).model_dump()
    except (OSError, UnicodeDecodeError) as error:
        raise SpecError(f"The spec file {file} cannot be read: {error}.") from error


def _follow(spec: SearchSpec, quiet: bool) -> Search:
    """Starts a search, shows its trials on stderr until it ends, and returns it as it ended.

    The first Ctrl-C asks it to stop, also one while it starts; a second one leaves it to itself.
    """
    stderr = Console(stderr=True, quiet=quiet, markup=False)
    with first_interrupt() as interrupt:
        one = start_search(spec)
        with Live(console=stderr, auto_refresh=False, transient=True) as live:
            return _watch(one, live, interrupt, quiet)


def _watch(one: Search, live: Live, interrupt: Interrupt, quiet: bool) -> Search:
    asked, tended = False, time.monotonic()
    while True:
        if interrupt.pressed and not asked:
            asked = True
            live.console.print("Stopping; press Ctrl-C again to leave it running.")
            stop_search(one.id)
        one, trials = look_at(one.id)
        if not one.is_active:
            return one
        if not quiet:
            live.update(_view(one, trials), refresh=True)
        if time.monotonic() - tended > TEND_SECONDS:
            tended = time.monotonic()
            tend_search(one)
        time.sleep(POLL_SECONDS)


def _view(one: Search, trials: Sequence[Trial]) -> Group:
    return Group(_table(one, trials[-SHOWN:]), Text(_progress(one, trials)))


def _progress(one: Search, trials: Sequence[Trial]) -> str:
    counts = [f"{number} {state}" for state, number in count_states(trials).items() if number]
    best = best_trial(trials)
    return (
        f"Search {one.id} {one.status}: {len(trials)} of {one.spec.num_trials} trials"
        + (f" ({', '.join(counts)})" if counts else "")
        + (f"; best {percent(best.accuracy)}" if best else "")
    )


def _table(one: Search, trials: Sequence[Trial]) -> Table:
    table = Table("trial", "run", "status", box=None)
    for path in one.spec.space:
        table.add_column(path, overflow="fold")
    for heading in ("best val accuracy", "epochs", "time"):
        table.add_column(heading)
    for trial in trials:
        table.add_row(
            str(trial.number + 1),
            trial.run_id or "–",
            trial.state,
            *(shown(trial.params.get(path)) for path in one.spec.space),
            percent(trial.accuracy),
            str(trial.num_epochs),
            seconds(trial.seconds),
        )
    return table


def shown(value: Any) -> str:
    """Returns a setting's value for people: numbers to three digits."""
    return f"{value:.3g}" if isinstance(value, float) else "–" if value is None else str(value)


def _show_result(one: Search, trials: Sequence[Trial]) -> None:
    console.print(_progress(one, trials), highlight=False, soft_wrap=True)
    if one.reason:
        console.print(one.reason, highlight=False, soft_wrap=True)
    best = best_trial(trials)
    if best is None:
        console.print("No trial has been completed, so there is no best one.")
        return
    console.print(
        f"Best: trial {best.number + 1}, run {best.run_id}, {percent(best.accuracy)} after "
        f"{seconds(best.seconds)}",
        highlight=False,
    )
    for path, value in best.params.items():
        console.print(f"  {path:<28}{value}", highlight=False)
    console.print(f"Train it again with:\n  {_command(best)}", highlight=False, soft_wrap=True)


def _command(best: Trial) -> str:
    file = run_folder(str(best.run_id)) / SPEC_FILE
    return f"thaw train --spec {shlex.quote(str(file))}"


def _document(one: Search, trials: Sequence[Trial]) -> dict[str, Any]:
    best = best_trial(trials)
    spec = json.loads(one.spec.model_dump_json())
    return {
        "search_id": one.id,
        "status": one.status,
        "reason": one.reason,
        "created_at": one.created_at,
        "num_trials": one.spec.num_trials,
        **{name: spec[name] for name in ("sampler", "pruning", "seed", "space", "base")},
        "trials": [asdict(trial) for trial in trials],
        "best": None if best is None else asdict(best) | {"command": _command(best)},
    }
