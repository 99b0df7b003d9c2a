"""Accuracy on every batch so far of every model of a chain of updates. No torch here.

Shapes: N validation images, T batches.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from engine.data.manifest import MANIFEST_FILE, Batch, Item, Manifest
from engine.errors import DataError
from engine.home import run_folder
from engine.insight.forgetting import Continual, continual
from engine.training.predictions import BEFORE_FILE, FILE_NAME, Predictions
from engine.update.images import batch_name
from engine.update.lineage import Member

# What stands for a validation image of a batch, and whether it was told right.
Answers = dict[tuple[str, int], bool]


@dataclass(frozen=True)
class Matrix:
    """What each model of a chain tells right of each batch.

    Attributes:
        models: of the chain; row `i` is the model after batch `i`.
        batches: in the order in which they came, with the images that all models were judged on.
        rows: accuracy (fraction); None where it is not known. Right of the diagonal, where it is
            known: the model before it learnt that batch.
        notes: sentences of what is missing or was left out.
    """

    models: tuple[Member, ...]
    batches: tuple[Batch, ...]
    rows: tuple[tuple[float | None, ...], ...]
    notes: tuple[str, ...]

    @property
    def metrics(self) -> Continual | None:
        """The metrics of continual learning; None where nothing judges the last model.

        Where what an earlier model told right is not known, there is the average alone.
        """
        accuracy_TT = np.array(self.rows, dtype=float)
        judged_T = np.array([batch.num_val > 0 for batch in self.batches])
        if not judged_T.any() or not np.isfinite(accuracy_TT[-1, judged_T]).all():
            return None
        if not np.isfinite(accuracy_TT[np.tril(np.ones_like(accuracy_TT, bool)) & judged_T]).all():
            return Continual(float(accuracy_TT[-1, judged_T].mean()), None, None, ())
        return continual(accuracy_TT, judged_T)

    def to_dict(self) -> dict[str, Any]:
        """Returns it as plain data."""
        found = self.metrics
        return {
            "models": [one.key for one in self.models],
            "batches": [{"name": one.name, "num_val": one.num_val} for one in self.batches],
            "accuracy": [list(row) for row in self.rows],
            "metrics": None
            if found is None
            else {
                "average_accuracy": found.average_accuracy,
                "backward_transfer": found.backward_transfer,
                "forgetting": found.forgetting,
                "forgetting_of": list(found.forgetting_of),
            },
            "notes": list(self.notes),
        }


def matrix_of(chain: Sequence[Member]) -> Matrix | None:
    """Returns the accuracies of a chain of models; None where the last has judged nothing yet.

    What a model says is read from its own run, and where that is gone from the update that
    followed. A batch counts with those images that all models of the chain were judged on.

    Args:
        chain: from the first model to one of its updates.

    Raises:
        DataError: what a run kept does not go together.
    """
    judged = _last_judged(chain)
    if judged is None:
        return None
    models, batches = judged
    told: list[list[Answers | None]] = [[None] * len(batches) for _ in models]
    for row in range(len(models)):
        _fill(told, models, row)
    notes = []
    if models[-1] is not chain[-1]:
        notes.append(
            f"{chain[-1].name} ({chain[-1].key}) has judged nothing yet, so the numbers end with "
            f"{models[-1].name}."
        )
    shared = [_shared([row[column] for row in told]) for column in range(len(batches))]
    notes += _notes(models, batches, told, shared)
    return Matrix(
        tuple(models),
        tuple(Batch(batch.name, len(one)) for batch, one in zip(batches, shared, strict=True)),
        tuple(
            tuple(_accuracy(one, images) for one, images in zip(row, shared, strict=True))
            for row in told
        ),
        tuple(notes),
    )


def _last_judged(chain: Sequence[Member]) -> tuple[list[Member], tuple[Batch, ...]] | None:
    """Returns the chain up to its last model that has judged something, and the batches so far."""
    for length in range(len(chain), 0, -1):
        manifest = _manifest(chain[length - 1])
        if manifest is None or not _has(chain[length - 1], FILE_NAME):
            continue
        batches = _batches(chain[length - 1], manifest)
        # What came before a model that is no run of ours is one batch a model, unseen.
        unseen = [Member("", None, "") for _ in range(len(batches) - length)]
        models = [*unseen, *chain[:length]]
        return models[len(models) - len(batches) :], batches
    return None


def _fill(told: list[list[Answers | None]], models: Sequence[Member], row: int) -> None:
    """Fills in what a model says of its own images, and what the one before it says of them."""
    manifest = _manifest(models[row])
    if manifest is None:
        return
    batches = _batches(models[row], manifest)
    if len(batches) != row + 1:
        # A run that is not the one that was updated, though it has its id.
        return
    for name, place in ((FILE_NAME, row), (BEFORE_FILE, row - 1)):
        answers = _answers(models[row], manifest, batches, name)
        if place < 0 or answers is None:
            continue
        for column, one in enumerate(answers):
            # What a model's own run says counts before what its update says of it.
            if name == FILE_NAME or told[place][column] is None:
                told[place][column] = one


def _has(member: Member, name: str) -> bool:
    return member.run is not None and (run_folder(member.key) / name).is_file()


def _manifest(member: Member) -> Manifest | None:
    if not _has(member, MANIFEST_FILE):
        return None
    return Manifest.from_file(run_folder(member.key) / MANIFEST_FILE)


def _batches(member: Member, manifest: Manifest) -> tuple[Batch, ...]:
    assert member.run is not None
    name = batch_name(member.run.spec.data.folder)
    return manifest.batches or (Batch(name, len(manifest.val)),)


def _answers(
    member: Member, manifest: Manifest, batches: Sequence[Batch], name: str
) -> list[Answers] | None:
    """Returns for each batch whether its images are told right; None where nothing was kept."""
    predicted = Predictions.load(run_folder(member.key), name)
    if predicted is None:
        return None
    count = sum(batch.num_val for batch in batches)
    if len({count, len(manifest.val), len(predicted.labels_N)}) > 1:
        raise DataError(
            f"What {member.name} ({member.key}) kept of its images does not go together; train it "
            "anew."
        )
    right_N = predicted.predicted_N == predicted.labels_N
    found, start = [], 0
    for batch in batches:
        part = slice(start, start + batch.num_val)
        found.append(_named(manifest.val[part], right_N[part].tolist()))
        start += batch.num_val
    return found


def _named(items: Sequence[Item], right: Sequence[bool]) -> Answers:
    """Returns the answers by what stands for an image; copies are counted."""
    seen: Counter[str] = Counter()
    answers = {}
    for item, is_right in zip(items, right, strict=True):
        name = item.digest or item.path
        answers[name, seen[name]] = is_right
        seen[name] += 1
    return answers


def _shared(column: Sequence[Answers | None]) -> set[tuple[str, int]]:
    known = [set(answers) for answers in column if answers is not None]
    return set.intersection(*known) if known else set()


def _accuracy(answers: Answers | None, images: set[tuple[str, int]]) -> float | None:
    if answers is None or not images:
        return None
    return sum(answers[image] for image in images) / len(images)


def _notes(
    models: Sequence[Member],
    batches: Sequence[Batch],
    told: Sequence[Sequence[Answers | None]],
    shared: Sequence[set[tuple[str, int]]],
) -> list[str]:
    notes = []
    for column, batch in enumerate(batches):
        known = [set(row[column] or ()) for row in told if row[column] is not None]
        most = len(set.union(*known)) if known else 0
        if not most:
            notes.append(
                f"Batch {batch.name} has no validation images, so nothing is known of it; means "
                "are over the others."
            )
        elif len(shared[column]) < most:
            notes.append(
                f"Not all models were judged on the same validation images of batch {batch.name}; "
                f"counted are the {len(shared[column]):,} of {most:,} that all were judged on."
            )
    missing = [
        model.name or f"the model after batch {batches[row].name}"
        for row, model in enumerate(models)
        if any(told[row][column] is None for column in range(row + 1))
    ]
    if missing:
        notes.append(
            f"What {', '.join(missing)} told right was not kept, so backward transfer and "
            "forgetting cannot be told."
        )
    return notes
