"""Averages and blends of runs' weights: what may be averaged, and what was. No torch here."""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from engine.data.manifest import MANIFEST_FILE, Manifest
from engine.errors import ThawError, WeightsError
from engine.files import write_text
from engine.home import CHECKPOINT_FILE, WEIGHTS_FILE, run_folder, thaw_home
from engine.runs.store import Run, Store

# As the trainer calls them, which this cannot ask without importing torch.

# Settings that runs must have in common, and what is the matter where they have not.
_SAME = {
    "model.backbone": "have different backbones ({}), whose weights do not answer to each other",
    "model.head": "have heads of different kinds ({})",
    "model.hidden_units": "have heads of different width ({} hidden units)",
    "model.weights": "started from different weights ({}); an average makes sense only between "
    "runs that grew from the same start",
    "seed": "have different seeds ({}), so their heads started from different random weights; an "
    "average makes sense only between runs that grew from the same start",
    "images.size": "see pictures of different sizes ({} px)",
    "images.fit": "fit pictures to the square in different ways ({})",
    "images.normalisation": "normalise pictures in different ways ({})",
}


@dataclass(frozen=True)
class SoupMember:
    """A run whose weights are in an average.

    Attributes:
        run_id: the run.
        name: of the run when the average was made.
        val_accuracy: fraction of the validation images that its best weights get right, judged
            in the same way and at the same time as the average.
        val_f1: macro F1 (fraction), likewise.
    """

    run_id: str
    name: str
    val_accuracy: float
    val_f1: float


@dataclass(frozen=True)
class _Report:
    """What is written as JSON beside a checkpoint that was made of others.

    Attributes:
        val_accuracy: fraction of the validation images that it gets right.
        val_f1: macro F1 (fraction).
        val_images: number of validation images.
        seconds: that it took to make and judge.
        created_at: seconds since the Unix epoch.
        checkpoint: path of the weights.
    """

    val_accuracy: float
    val_f1: float
    val_images: int
    seconds: float
    created_at: float
    checkpoint: str

    def to_dict(self) -> dict[str, Any]:
        """Returns the report as plain data."""
        return asdict(self)

    def save(self) -> None:
        """Writes the report beside the weights, whole or not at all."""
        file = Path(self.checkpoint).with_suffix(".json")
        write_text(file, json.dumps(self.to_dict(), indent=1))

    @classmethod
    def from_file(cls, file: Path) -> Self:
        """Returns the report in a JSON file; its weights are looked for beside it.

        Raises:
            WeightsError: the file cannot be read or is no such report.
        """
        try:
            values = json.loads(file.read_text(encoding="utf-8"))
            return cls._parse(values | {"checkpoint": str(file.with_suffix(".safetensors"))})
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise WeightsError(
                f"{file} tells nothing of averaged or blended weights ({error}); make them again."
            ) from error

    @classmethod
    def _parse(cls, values: dict[str, Any]) -> Self:
        return cls(**values)

    @classmethod
    def beside(cls, checkpoint: Path) -> Self | None:
        """Returns the report on a checkpoint, None where either is missing or damaged."""
        if not checkpoint.is_file():
            return None
        try:
            return cls.from_file(checkpoint.with_suffix(".json"))
        except WeightsError:
            return None  # made again, it is written over


@dataclass(frozen=True)
class SoupReport(_Report):
    """An average of runs' best weights, and how it does beside them.

    Attributes:
        id: eight hexadecimal digits that follow from the runs.
        members: the runs, by id.
    """

    id: str
    members: tuple[SoupMember, ...]

    @property
    def best(self) -> SoupMember:
        """The member with the highest accuracy, the first of equals."""
        return max(self.members, key=lambda member: member.val_accuracy)

    @property
    def lead_images(self) -> int:
        """How many more validation images the average gets right than the best member does."""
        return round((self.val_accuracy - self.best.val_accuracy) * self.val_images)

    @classmethod
    def _parse(cls, values: dict[str, Any]) -> Self:
        members = tuple(SoupMember(**member) for member in values["members"])
        return cls(**values | {"members": members})


@dataclass(frozen=True)
class InterpolationReport(_Report):
    """A blend of a run's weights before and after fine-tuning.

    Attributes:
        run_id: the run.
        alpha: share of the weights after fine-tuning.
    """

    run_id: str
    alpha: float


def soups_folder() -> Path:
    """Returns the folder of averages, created if need be."""
    folder = thaw_home() / "soups"
    folder.mkdir(exist_ok=True)
    return folder


def soup_id(run_ids: Iterable[str]) -> str:
    """Returns the id of the average of runs, whatever their order."""
    return hashlib.sha256("-".join(sorted(set(run_ids))).encode()).hexdigest()[:8]


def soup_file(run_ids: Iterable[str]) -> Path:
    """Returns where the weights of the average of runs are or would be."""
    return soups_folder() / f"{soup_id(run_ids)}.safetensors"


def soups() -> list[SoupReport]:
    """Returns all averages whose weights are still there, newest first."""
    found = [SoupReport.beside(file) for file in soups_folder().glob("*.safetensors")]
    return sorted((one for one in found if one), key=lambda report: -report.created_at)


def soup_of(run_ids: Iterable[str]) -> SoupReport | None:
    """Returns the average of just these runs, None where none was made."""
    return SoupReport.beside(soup_file(run_ids))


def blend_file(run_id: str, alpha: float) -> Path:
    """Returns where a blend of a run's weights is kept if no other place is named."""
    return run_folder(run_id) / f"alpha-{alpha}.safetensors"


def kept_blend(run_id: str, alpha: float) -> InterpolationReport | None:
    """Returns the blend of a run at an alpha, None where none was kept."""
    return InterpolationReport.beside(blend_file(run_id, alpha))


def runs_to_average(store: Store, run_ids: Iterable[str]) -> list[Run]:
    """Returns the runs of an average, each once, by id.

    Raises:
        RunNotFoundError: there is no such run.
        WeightsError: they cannot be averaged; the message has every reason.
    """
    by_id = {run.id: run for run in map(store.run, run_ids)}
    if reasons := why_not_average(list(by_id.values())):
        raise WeightsError(" ".join(reasons))
    return [by_id[run_id] for run_id in sorted(by_id)]


def why_not_average(runs: Sequence[Run]) -> list[str]:
    """Returns a sentence for each reason why runs' weights cannot be averaged; none if they can.

    Runs that were fine-tuned from one start often lie in one valley of low loss, where their mean
    is as good as they are; from different starts they do not.

    Source: Wortsman et al. 2022 (Model soups).
    """
    if len({run.id for run in runs}) < 2:
        return ["An average needs at least two different runs."]
    if reasons := [reason for run in runs for reason in _not_ready(run)]:
        return reasons
    return _settings_apart(runs) + _starts_apart(runs) + _data_apart(runs)


def _not_ready(run: Run) -> list[str]:
    named = f"The run {run.name} ({run.id})"
    if run.status != "finished":
        return [f"{named} is {run.status}; only finished runs can be averaged."]
    needed = [run_folder(run.id) / n for n in (CHECKPOINT_FILE, WEIGHTS_FILE, MANIFEST_FILE)]
    missing = [file for file in needed if not file.is_file()]
    if missing:
        return [f"{named} cannot be averaged: there is no {missing[0]}."]
    try:
        _origin(run)
        Manifest.from_file(run_folder(run.id) / MANIFEST_FILE)
    except ThawError as error:
        return [f"{named} cannot be averaged: {error}"]
    return []


def _origin(run: Run) -> Any:
    """Returns what a run says of the weights that it started from.

    Raises:
        WeightsError: the file is missing or damaged.
    """
    file = run_folder(run.id) / WEIGHTS_FILE
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise WeightsError(
            f"What the run started from, in {file}, is missing or damaged; train it again."
        ) from error


def _settings_apart(runs: Sequence[Run]) -> list[str]:
    flats = [run.spec.flat() for run in runs]
    same = dict(_SAME)
    if any(flat["model.head"] != "mlp" for flat in flats):
        del same["model.hidden_units"]
    values = {name: list(dict.fromkeys(str(flat[name]) for flat in flats)) for name in same}
    return [
        f"These runs {meaning.format(', '.join(values[name]))}."
        for name, meaning in same.items()
        if len(values[name]) > 1
    ]


def _starts_apart(runs: Sequence[Run]) -> list[str]:
    """Tells where one name stood for different weights, as when a file was replaced."""
    if len({run.spec.model.weights for run in runs}) > 1:
        return []
    origins = [_origin(run) for run in runs]
    if all(origin == origins[0] for origin in origins):
        return []
    sentences = dict.fromkeys(str(origin.get("sentence")) for origin in origins)
    return [
        f"These runs started from different weights under the same name ({'; '.join(sentences)}); "
        "an average makes sense only between runs that grew from the same start."
    ]


def _data_apart(runs: Sequence[Run]) -> list[str]:
    manifests = [Manifest.from_file(run_folder(run.id) / MANIFEST_FILE) for run in runs]
    if any(manifest.classes != manifests[0].classes for manifest in manifests):
        return ["These runs have different classes, or the same in another order."]
    prints = {manifest.fingerprint for manifest in manifests}
    prints |= {run.summary["fingerprint"] for run in runs if "fingerprint" in run.summary}
    if len(prints) > 1:
        return [
            "These runs saw different images or a different split, so there are no pictures on "
            "which they and their average could be judged fairly."
        ]
    return []
