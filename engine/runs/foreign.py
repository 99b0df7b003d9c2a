"""Looks at the files of a run that came from a stranger, before anything else reads them.

Whoever reads them later believes them: so what they say is checked here in full, within bounds of
memory, and nothing of them is ever executed.
"""

import json
import struct
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field
from safetensors import SafetensorError, safe_open

from engine.runs.foreign_manifest import Images, json_object, load_json
from engine.runs.foreign_predictions import check_predictions
from engine.runs.plain import Text, Time, Whole, plain_json
from engine.runs.run_file import member_kind
from engine.spec import RunSpec

MOST_TENSOR_HEADER = 32 * 2**20
# As training calls them, which this cannot ask without importing torch.
CHECKPOINT_KEY, STATE_KEY = "thaw", "thaw-state"


@dataclass(frozen=True)
class Known:
    """What the other files have to fit."""

    spec: RunSpec
    images: Images | None


class _Open(BaseModel):
    model_config = ConfigDict(strict=True, extra="allow", allow_inf_nan=False)


class _Header(_Open):
    spec: dict[str, Any]
    classes: list[str]
    epoch: Whole
    val_accuracy: float
    mean: Annotated[list[float], Field(min_length=1, max_length=4)]
    std: Annotated[list[Annotated[float, Field(gt=0)]], Field(min_length=1, max_length=4)]


class _StateHeader(_Open):
    version: int
    epoch: Whole
    steps: Whole = 0
    digest: str


_Points = Annotated[list[tuple[float, float]], Field(max_length=10_000)]


class _Curve(_Open):
    curve: _Points
    alpha: float
    old: _Points = []
    new: _Points = []


class _Weights(_Open):
    kind: Text
    sentence: Text
    match: dict[str, Any] | None


class _Blend(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)
    val_accuracy: float
    val_f1: float
    val_images: Whole
    seconds: float
    created_at: Time
    checkpoint: Text
    run_id: Text
    alpha: float


def check_file(file: Path, known: Known) -> None:
    """Checks one file of a run's folder.

    Raises:
        ValueError: it is not what its name says, or does not fit the run.
        OSError: it cannot be read.
    """
    kind = member_kind(file.name)
    if kind is not None and (check := _CHECKS.get(kind.name)) is not None:
        try:
            check(file, known)
        except (SafetensorError, zipfile.BadZipFile, KeyError, TypeError, OverflowError) as error:
            raise ValueError(f"{file.name} is damaged ({error})") from error


def _tensor_header(file: Path, key: str) -> dict[str, Any]:
    """Returns what a safetensors file says of itself, after a look at where its tensors lie."""
    with file.open("rb") as opened:
        length = opened.read(8)
    if len(length) < 8 or struct.unpack("<Q", length)[0] > MOST_TENSOR_HEADER:
        raise ValueError(f"{file.name} is cut off, or its header is longer than any")
    with safe_open(file, framework="numpy") as opened:
        text = (opened.metadata() or {}).get(key)
    if text is None:
        raise ValueError(f"{file.name} says nothing of itself")
    # A best loss that was never seen is infinite in a state.
    return json_object(text.encode(), file.name, finite=key != STATE_KEY)


def _check_checkpoint(file: Path, known: Known) -> None:
    header = _Header.model_validate(_tensor_header(file, CHECKPOINT_KEY))
    spec = RunSpec.parse(header.spec)
    if (spec.model, spec.images.size) != (known.spec.model, known.spec.images.size):
        raise ValueError(f"{file.name} is of another model than the run")
    if known.images is not None and tuple(header.classes) != known.images.classes:
        raise ValueError(f"{file.name} has other classes than manifest.json")


def _check_state(file: Path, known: Known) -> None:
    header = _StateHeader.model_validate(_tensor_header(file, STATE_KEY))
    of_epoch = f"state-{header.epoch:06d}"
    if file.stem not in (of_epoch, f"{of_epoch}-{header.steps:06d}"):
        raise ValueError(f"{file.name} is of another epoch or step")


def _check_spec(file: Path, known: Known) -> None:
    if RunSpec.parse(load_json(file)) != known.spec:
        raise ValueError("spec.json is not the run's")


def _check_weights(file: Path, known: Known) -> None:
    plain_json(_Weights.model_validate(load_json(file)).model_dump())


def _check_curve(file: Path, known: Known) -> None:
    _Curve.model_validate_json(json.dumps(load_json(file)))


def _check_blend(file: Path, known: Known) -> None:
    _Blend.model_validate(load_json(file))


def _check_predictions(file: Path, known: Known) -> None:
    if known.images is None:
        raise ValueError(f"{file.name} comes without manifest.json")
    check_predictions(file, known.images)


_CHECKS: dict[str, Callable[[Path, Known], None]] = {
    "checkpoint": _check_checkpoint,
    "state": _check_state,
    "spec": _check_spec,
    "weights": _check_weights,
    "curve": _check_curve,
    "blend": _check_blend,
    "predictions": _check_predictions,
}
