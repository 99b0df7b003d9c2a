"""`thaw steer` and `thaw replay`: a run is changed while it goes on, and done again as it was."""

import sys
from typing import Annotated

import typer

from engine.cli.app import app, console, print_json
from engine.cli.follow import follow
from engine.cli.runs import JsonOption, RunArgument
from engine.errors import SpecError
from engine.insight.compare import report
from engine.runs import replay as replays
from engine.runs.queue import tend
from engine.runs.store import Store
from engine.spec import Act, RunSpec

Texts = list[str] | None


@app.command()
def steer(
    run: RunArgument,
    freeze: Annotated[
        Texts, typer.Option(help="A stage of the backbone to freeze, as `block3`.")
    ] = None,
    unfreeze: Annotated[Texts, typer.Option(help="A stage of the backbone to let learn.")] = None,
    lr: Annotated[
        Texts,
        typer.Option(
            help="What a learning rate is multiplied by: TARGET=FACTOR, where TARGET is head, "
            "backbone or a stage."
        ),
    ] = None,
    json_output: JsonOption = False,
) -> None:
    """Change a run that goes on, from its next step: what learns, and how fast.

    Each option can be given several times. A frozen run on features lets a stage learn from its
    next epoch.

    Example: `thaw steer 3f9a2c1b --unfreeze block7 --lr head=0.5`
    """
    acts = [
        *(Act.parse({"kind": "freeze", "target": stage}) for stage in freeze or ()),
        *(Act.parse({"kind": "unfreeze", "target": stage}) for stage in unfreeze or ()),
        *(_rate(text) for text in lr or ()),
    ]
    if not acts:
        raise typer.BadParameter("say what to change: --freeze, --unfreeze or --lr")
    store = Store()
    tend(store)
    found = store.run(run)
    # All or nothing: a wrong name must not leave half of it done.
    RunSpec.parse(found.spec.model_dump() | {"steering": [act.model_dump() for act in acts]})
    for act in acts:
        store.request_act(found.id, act)
    if json_output:
        asked = [act.model_dump(exclude={"step"}) for act in acts]
        print_json({"run_id": found.id, "asked": asked})
        return
    for act in acts:
        console.print(f"Run {found.id} was asked: {act.sentence}.", highlight=False)


def _rate(text: str) -> Act:
    """Returns the act that a text such as `head=0.5` means.

    Raises:
        SpecError: it has no `=`, or no number that a rate can be multiplied by.
    """
    target, equals, factor = text.partition("=")
    if not equals:
        raise SpecError(f"--lr {text} names no factor; write --lr TARGET=FACTOR, as head=0.5.")
    return Act.parse({"kind": "lr", "target": target.strip(), "factor": factor.strip()})


@app.command()
def replay(run: RunArgument, json_output: JsonOption = False) -> None:
    """Do a run again, with all that was steered at the same steps, and follow it to its end.

    Example: `thaw replay 3f9a2c1b`
    """
    store = Store()
    tend(store)
    found = store.run(run)
    again = follow(store, lambda: replays.replay(store, found), quiet=json_output)
    if json_output:
        print_json(report(store, again).to_dict())
    sys.exit(0 if again.status == "finished" else 1)
