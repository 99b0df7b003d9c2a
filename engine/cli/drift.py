"""`thaw drift`: a new batch of images held against those that a run was trained on."""

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from engine.cli.app import app, console, percent, print_json
from engine.cli.bar import bar_reporter
from engine.cli.runs import JsonOption
from engine.insight.batch_drift import BatchDrift, Finding
from engine.insight.batch_words import drift_verdict
from engine.insight.batch_work import BatchCheck, answers_of, batch_check, known_drift
from engine.insight.two_samples import Alikeness
from engine.runs.queue import tend
from engine.runs.store import Store

FAR_SHOWN = 5
FINDINGS: dict[Finding, str] = {
    "differs": "differs",
    "unclear": "not clear",
    "alike": "not told apart",
    "too few": "too few images",
}


@app.command("drift")
def drift(
    run: Annotated[str, typer.Argument(help="A run that has ended, by id.")],
    new: Annotated[Path, typer.Argument(help="Folder of new images, one folder a class.")],
    same: Annotated[
        list[str] | None,
        typer.Option(
            "--same", help="NAME=CLASS: a class of the new images is one of the model's. Repeats."
        ),
    ] = None,
    fresh: Annotated[
        list[str] | None,
        typer.Option("--new", help="A class of the new images that the model does not have."),
    ] = None,
    json_output: JsonOption = False,
) -> None:
    """Say whether new images are like those that a run was trained on, class by class.

    What is compared is what the backbone, as it was before the run, makes of them. Two tests have
    to agree: whether the sets differ (MMD), and how often an old and a new image of a class are
    told apart (AUC). Then how far both lie from the pre-training, by the statistics in the
    BatchNorm layers; and the new images that lie farthest. What was found is kept.

    Example: `thaw drift 3f9a2c1b photos_of_may --same bird=birds`
    """
    store = Store()
    tend(store)
    answers = answers_of(same or [], fresh or [])
    check = batch_check(store.run(run), str(new.absolute()), answers)
    found = _found(check, quiet=json_output)
    if json_output:
        print_json(found.to_dict() | {"verdict": drift_verdict(found)})
        return
    _print(found)


def _found(check: BatchCheck, quiet: bool) -> BatchDrift:
    known = known_drift(check)
    if known is not None:
        return known
    with bar_reporter(quiet) as reporter:
        from engine.insight.batch_look import check_batch

        return check_batch(check, reporter)


def _print(found: BatchDrift) -> None:
    for sentence in drift_verdict(found):
        console.print(sentence, highlight=False)
    console.print(_table(found))
    for one in found.far[:FAR_SHOWN]:
        console.print(
            f"{one.times:.1f} times as far as usual from {one.label!r}: {one.path}",
            highlight=False,
            soft_wrap=True,
        )
    if len(found.far) > FAR_SHOWN:
        console.print(f"and {len(found.far) - FAR_SHOWN:,} more (--json lists them)")
    for note in found.notes:
        console.print(note, style="yellow", highlight=False)
    console.print(
        f"Seen by {found.backbone} with {found.started_from}, as before the run's training; "
        f"{found.num_old:,} old and {found.num_new:,} new images, each content once.",
        highlight=False,
    )


def _table(found: BatchDrift) -> Table:
    table = Table(
        "class", "old", "new", "AUC (95 %)", "p", "finding", "from pre-training", box=None
    )
    for one in found.classes:
        shifts = f"{_shift(one.old_shift)} → {_shift(one.new_shift)}"
        p = "–" if one.p is None else f"{one.p:.3f}"
        name = one.name if one.folder == one.name else f"{one.name} ({one.folder})"
        numbers = f"{one.num_old:,}", f"{one.num_new:,}"
        table.add_row(name, *numbers, _auc(one.alikeness), p, FINDINGS[one.finding], shifts)
    for new in found.new_classes:
        near = f"new; nearest {new.nearest[0][0]}, {percent(new.nearest[0][1])}"
        numbers = "0", f"{new.num:,}"
        table.add_row(new.name, *numbers, "–", "–", near, _shift(new.shift))
    return table


def _auc(one: Alikeness | None) -> str:
    return "–" if one is None else f"{one.auc.value:.2f} ({one.auc.low:.2f} to {one.auc.high:.2f})"


def _shift(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"
