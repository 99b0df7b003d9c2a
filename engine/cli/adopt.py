"""`thaw adopt` and `thaw adopted`: which model of a lineage is in use."""

import time
from typing import Annotated, Any

import typer

from engine.cli.app import JSON_HELP, app, console, print_json
from engine.runs.queue import tend
from engine.runs.store import Adoption, Store
from engine.runs.store.adoptions import stack_of
from engine.update.adopting import adopt, undo_adoption
from engine.update.gate import Rule

JsonOption = Annotated[bool, typer.Option("--json", help=JSON_HELP)]
DEFAULT = Rule()


@app.command("adopt")
def adopt_update(
    run: Annotated[str, typer.Argument(help="A run's id, or as much of it as is unique.")],
    most_forgotten: Annotated[
        float,
        typer.Option(help="By which accuracy on old images may fall at most, as a fraction."),
    ] = DEFAULT.most_forgotten,
    least_gained: Annotated[
        float,
        typer.Option(help="By which accuracy on new images has to rise at least, as a fraction."),
    ] = DEFAULT.least_gained,
    confidence: Annotated[
        float, typer.Option(help="How sure each of the two has to be, as a fraction.")
    ] = DEFAULT.confidence,
    force: Annotated[
        bool, typer.Option("--force", help="Adopt it against the rule; the record says so.")
    ] = False,
    undo: Annotated[
        bool, typer.Option("--undo", help="Take the model before this update into use again.")
    ] = False,
    json_output: JsonOption = False,
) -> None:
    """Take an update into use where a rule holds beyond noise; `--undo` takes the one before.

    Nothing is copied or removed: the record says which model of a lineage is in use.

    Example: `thaw adopt 3f9a2c1b --most-forgotten 0.02 --least-gained 0.05`
    """
    store = Store()
    tend(store)
    found = store.run(run)
    if undo:
        done = undo_adoption(store, found.id)
    else:
        done = adopt(store, found, Rule(most_forgotten, least_gained, confidence), force)
    if json_output:
        print_json(done.to_dict())
        return
    if done.kind == "undone":
        console.print(
            f"{found.name} ({found.id}) is no longer in use; {done.details['in_use']} "
            f"({done.other}) is again.",
            highlight=False,
        )
        return
    for sentence in done.details["sentences"]:
        console.print(sentence, highlight=False)
    against = ", against the rule" if done.details["forced"] else ""
    console.print(
        f"{found.name} ({found.id}) is in use{against}. Back to the model before: "
        f"thaw adopt --undo {found.id}.",
        highlight=False,
    )


@app.command("adopted")
def adopted(json_output: JsonOption = False) -> None:
    """List the models in use, and what was adopted and undone so far.

    Example: `thaw adopted`
    """
    store = Store()
    tend(store)
    by_lineage: dict[str, list[Adoption]] = {}
    for one in store.adoptions():
        by_lineage.setdefault(one.lineage, []).append(one)
    states = {
        run.id: "here" if run.deleted_at is None else "deleted"
        for run in store.all_runs(hidden=True)
    }
    names = {run.id: run.name for run in store.all_runs(hidden=True)}
    if json_output:
        print_json([_lineage_dict(key, record, states) for key, record in by_lineage.items()])
        return
    if not by_lineage:
        console.print("No update was adopted yet. Adopt one with: thaw adopt RUN")
    for record in by_lineage.values():
        key = stack_of(record)[-1]
        where = {"here": "", "deleted": ", which was deleted: thaw restore it"}.get(
            states.get(key, ""), ", which is not here any more" if "/" not in key else ""
        )
        console.print(f"In use: {names.get(key, 'run')} ({key}){where}", highlight=False)
        for one in record:
            console.print(f"  {_line(one)}", highlight=False)


def _lineage_dict(key: str, record: list[Adoption], states: dict[str, str]) -> dict[str, Any]:
    in_use = stack_of(record)[-1]
    return {
        "lineage": key,
        "in_use": in_use,
        "state": states.get(in_use, "file" if "/" in in_use else "gone"),
        "could_go_back_to": list(stack_of(record)[:-1]),
        "history": [one.to_dict() for one in record],
    }


def _line(one: Adoption) -> str:
    when = time.strftime("%Y-%m-%d %H:%M", time.localtime(one.time))
    named = f"{one.details.get('name', 'run')} ({one.run_id})"
    if one.kind == "undone":
        return f"{when}  undone   {named}"
    forced = ", against the rule" if one.details.get("forced") else ""
    old, new = (_change(one.details.get(part)) for part in ("old", "new"))
    return f"{when}  adopted  {named}{forced}: old {old}, new {new}"


def _change(part: dict[str, Any] | None) -> str:
    change = (part or {}).get("change")
    if not change:
        return "not known"
    low, high = 100 * change["low"], 100 * change["high"]
    return f"{100 * change['value']:+.1f} points ({low:+.1f} to {high:+.1f})"
