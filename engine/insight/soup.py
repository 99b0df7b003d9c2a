"""New checkpoints out of old ones: the average of runs, and a blend of before and after.

Each is judged on the validation images that its runs were judged on.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from torch import Tensor

from engine.errors import TrainingError, WeightsError
from engine.home import CHECKPOINT_FILE, run_folder
from engine.insight.blends import (
    InterpolationReport,
    SoupMember,
    SoupReport,
    blend_file,
    runs_to_average,
    soup_file,
    soup_id,
)
from engine.insight.validation import ValidationImages
from engine.models.classifier import Classifier
from engine.runs.store import Store
from engine.training.checkpoint import BestCheckpoint, CheckpointHeader, load_checkpoint
from engine.training.curves import END_FILE, START_FILE
from engine.training.interpolate import average, blend
from engine.training.state import reason_of

# An average is of no one epoch.
NO_EPOCH = 0


def make_soup(store: Store, run_ids: Sequence[str]) -> SoupReport:
    """Averages the best weights of runs, judges the average, and keeps it with a report.

    Its checkpoint carries the spec of the first run by id, of which all that decides how to use the
    weights (backbone, head, pictures) is that of every run.

    Args:
        store: knows the runs.
        run_ids: two or more; their order does not matter, nor does naming one twice.

    Raises:
        RunNotFoundError: there is no such run.
        WeightsError: the runs cannot be averaged; the message has every reason.
        DataError: a validation picture can no longer be read.

    Source: Wortsman et al. 2022 (Model soups), the uniform soup.
    """
    started = time.perf_counter()
    runs = runs_to_average(store, run_ids)
    ids = [run.id for run in runs]
    file = soup_file(ids)
    model, header = load_checkpoint(run_folder(runs[0].id) / CHECKPOINT_FILE)
    validation = ValidationImages(runs[0], header)
    members: list[SoupMember] = []

    def judged() -> Iterator[Mapping[str, Tensor]]:
        for run in runs:
            own, _ = load_checkpoint(run_folder(run.id) / CHECKPOINT_FILE)
            members.append(SoupMember(run.id, run.name, *validation.judge(own)))
            yield own.state_dict()

    model.load_state_dict(average(judged()))
    accuracy, f1 = validation.judge(model)
    _write(file, model, replace(header, epoch=NO_EPOCH, val_accuracy=accuracy))
    report = SoupReport(
        id=soup_id(ids),
        members=tuple(members),
        val_accuracy=accuracy,
        val_f1=f1,
        val_images=len(validation),
        seconds=time.perf_counter() - started,
        created_at=time.time(),
        checkpoint=str(file),
    )
    report.save()
    return report


def interpolate_run(
    store: Store, run_id: str, alpha: float, out: Path | None = None
) -> InterpolationReport:
    """Keeps a blend of a run's weights before and after fine-tuning, and judges it.

    Args:
        store: knows the run.
        run_id: a run that kept both.
        alpha: share of the weights after fine-tuning, from 0 to 1.
        out: where to write the checkpoint; in the run's folder, with a report beside it, where
            None.

    Raises:
        RunNotFoundError: there is no such run.
        WeightsError: it did not keep both, alpha is out of range, or `out` cannot be written.
        DataError: a validation picture can no longer be read.

    Source: Wortsman et al. 2022 (WiSE-FT).
    """
    started = time.perf_counter()
    if out is not None and out.suffix != ".safetensors":
        raise WeightsError(f"{out} must end in .safetensors, as that is what is written.")
    run = store.run(run_id)
    folder = run_folder(run.id)
    if not ((folder / START_FILE).is_file() and (folder / END_FILE).is_file()):
        raise WeightsError(
            f"The run {run.name} ({run.id}) did not keep its weights from before and after "
            "fine-tuning, so there is nothing to blend; finished runs of the strategy wise_ft do."
        )
    model, header = load_checkpoint(folder / END_FILE)
    start, _ = load_checkpoint(folder / START_FILE)
    model.load_state_dict(blend(start.state_dict(), model.state_dict(), alpha))
    validation = ValidationImages(run, header)
    accuracy, f1 = validation.judge(model)
    file = blend_file(run.id, alpha) if out is None else out.absolute()
    _write(file, model, replace(header, val_accuracy=accuracy))
    report = InterpolationReport(
        run_id=run.id,
        alpha=alpha,
        val_accuracy=accuracy,
        val_f1=f1,
        val_images=len(validation),
        seconds=time.perf_counter() - started,
        created_at=time.time(),
        checkpoint=str(file),
    )
    if out is None:
        report.save()
    return report


def _write(file: Path, model: Classifier, header: CheckpointHeader) -> None:
    checkpoint = BestCheckpoint(file, model)
    try:
        checkpoint.take(header, moved=())
        checkpoint.write()
    except TrainingError as error:
        raise WeightsError(
            f"The weights cannot be written to {file} ({_reason(error)}); name a file in a folder "
            "that is there and that you may write to."
        ) from error


def _reason(error: TrainingError) -> str:
    cause = error.__cause__
    return reason_of(cause if isinstance(cause, Exception) else error)
