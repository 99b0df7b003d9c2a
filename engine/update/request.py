"""The spec of an update: that of the model which is updated, with new images and a method.

All that is not said stays as the model had it, so that methods differ in nothing but themselves. No
torch here.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from engine.data.intake import files_of
from engine.data.manifest import MANIFEST_FILE, Manifest
from engine.errors import SpecError, WeightsError
from engine.home import CHECKPOINT_FILE, run_folder
from engine.runs.store import Run
from engine.spec import DataSpec, RunSpec, field_info
from engine.strategies import STRATEGIES
from engine.update.methods import METHODS
from engine.update.names import Matching, match_classes
from engine.update.same_model import require_same_model


@dataclass(frozen=True)
class Base:
    """A model that can be updated.

    Attributes:
        start: what `update.start` is to say of it.
        name: what a person reads.
        spec: that it was trained with.
        classes: that it knows.
    """

    start: str
    name: str
    spec: RunSpec
    classes: tuple[str, ...]


def base_of_run(run: Run) -> Base:
    """Returns the kept model of a run.

    Raises:
        SpecError: it has none, or goes on.
        DataError: the list of its images is missing or damaged.
    """
    if run.is_active:
        raise SpecError(f"{run.name} ({run.id}) still goes on; update it once it has ended.")
    if not (run_folder(run.id) / CHECKPOINT_FILE).is_file():
        raise SpecError(
            f"{run.name} ({run.id}) has kept no model that could be updated; choose another run."
        )
    classes = Manifest.from_file(run_folder(run.id) / MANIFEST_FILE).classes
    return Base(run.id, run.name, run.spec, classes)


def base_of_file(file: Path) -> Base:
    """Returns the model in a checkpoint of Thaw.

    Raises:
        WeightsError: it is missing, damaged or none of Thaw.
    """
    try:
        with safe_open(file, framework="numpy") as opened:
            header = json.loads((opened.metadata() or {})["thaw"])
        spec, classes = RunSpec.parse(header["spec"]), tuple(map(str, header["classes"]))
    except (OSError, RuntimeError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise WeightsError(
            f"{file} is missing, damaged or not a checkpoint of Thaw ({error}); choose another."
        ) from error
    return Base(str(file.expanduser().absolute()), file.name, spec, classes)


def matching_of(base: Base, data: DataSpec, answers: Mapping[str, str]) -> Matching:
    """Returns which class of new images is which of a model's, as far as that is settled.

    Raises:
        DataError: the images cannot be used, or an answer names a class that is not there.
    """
    return match_classes(base.classes, files_of(data, least_classes=1).classes, answers)


def _of_no_method(spec: RunSpec) -> dict[str, Any]:
    """Returns the settings that a model has for no reason but the method of its own update."""
    own = METHODS[spec.update.method].defaults if spec.update.start else {}
    flat = spec.flat()
    return {path: field_info(path).default for path, value in own.items() if flat[path] == value}


def update_spec(
    base: Base,
    data: DataSpec,
    method: str,
    answers: Mapping[str, str],
    given: Mapping[str, Any] | None = None,
) -> RunSpec:
    """Returns the spec of an update.

    Where another strategy is asked for than the model was trained with, the learning rate is that
    strategy's own, if none is given.

    Args:
        base: what is updated.
        data: the new images.
        method: name of one of METHODS.
        answers: of new classes: the model's class that it is, or "" where it is a new one.
        given: dotted settings that are to be other than the model's.

    Raises:
        SpecError: a setting is out of range, asks for another model, or does not go with the
            method.
    """
    if method not in METHODS:
        raise SpecError(f"There is no method {method!r}; choose one of {', '.join(METHODS)}.")
    given = {**_of_no_method(base.spec), **METHODS[method].defaults, **(given or {})}
    asked = STRATEGIES.get(str(given.get("strategy.name", base.spec.strategy.name)))
    if asked is not None and asked.name != base.spec.strategy.name:
        given.setdefault("optimiser.lr", asked.default_lr)
    values = base.spec.model_dump(mode="json") | {
        "data": data.model_dump(mode="json"),
        "steering": [],
        "update": {"start": base.start, "method": method, "names": sorted(answers.items())},
    }
    for path, value in given.items():
        target = values
        *parents, last = path.split(".")
        for parent in parents:
            target = target.setdefault(parent, {})
        target[last] = value
    spec = RunSpec.parse(values)
    require_same_model(spec, base.spec)
    return spec
