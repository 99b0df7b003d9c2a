"""What updates will read and be judged on, before one is started. No torch here."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from engine.data.manifest import Manifest
from engine.errors import SpecError
from engine.runs.experiment import experiment_specs
from engine.spec import DataSpec, RunSpec
from engine.strategies import STRATEGIES
from engine.update.herding import num_replayed
from engine.update.images import batch_name, updated
from engine.update.known import checkpoint_of, known_images, require_there, without_gone
from engine.update.methods import METHODS
from engine.update.names import Matching
from engine.update.request import Base, update_spec


@dataclass(frozen=True)
class Way:
    """One method with the settings that it is to have.

    Attributes:
        method: name of one of METHODS.
        given: dotted settings that are to be other than the model's.
    """

    method: str
    given: Mapping[str, Any]


def images_of_base(base: Base) -> Manifest:
    """Returns the images that a model learnt from and is judged on.

    Raises:
        DataError: they are not known.
    """
    return known_images(checkpoint_of(base.start), base.classes, base.spec)


def foreseen(
    base: Base, old: Manifest, data: DataSpec, new: Manifest, matching: Matching
) -> Manifest:
    """Returns the images of an update in which only new ones are learnt from.

    Args:
        base: what is updated.
        old: its images.
        data: names the new images.
        new: those, split.
        matching: which class of theirs is which; settled.

    Raises:
        DataError: images are missing, so that nothing can be learnt or judged.
    """
    names = batch_name(base.spec.data.folder), batch_name(data.folder)
    manifest = updated(old, names[0], new, names[1], matching)
    require_there(manifest.val)
    return manifest


def num_seen_again(spec: RunSpec, manifest: Manifest) -> int:
    """Returns how many earlier images an update learns from again.

    Raises:
        DataError: it needs some, and none is there any more.
    """
    reads = METHODS[spec.update.method].old_images
    if reads == "none":
        return 0
    earlier = without_gone(manifest).earlier
    if reads == "all":
        return len(earlier)
    if spec.update.method != "replay":
        # They are looked at once, and not learnt from.
        return 0
    share = spec.update.replay_share
    return sum(num_replayed(num, share) for num in Counter(i.label for i in earlier).values())


def named_updates(
    base: Base, data: DataSpec, ways: Sequence[Way], answers: Mapping[str, str], seeds: int = 1
) -> list[tuple[str, RunSpec]]:
    """Returns a named spec for each way and seed; seeds count up from that of the ways.

    Args:
        base: what is updated.
        data: the new images.
        ways: methods with their settings.
        answers: of new classes: the model's class that it is, or "" where it is a new one.
        seeds: runs of each way.

    Raises:
        SpecError: a setting is out of range or does not go with its method.
    """
    specs = [update_spec(base, data, way.method, answers, way.given) for way in ways]
    return experiment_specs([(way_label(base, spec), spec) for spec in specs], seeds)


def way_label(base: Base, spec: RunSpec) -> str:
    """Returns what a way of updating is called: its method, and its strategy where it is another.

    Args:
        base: what is updated.
        spec: of the update.
    """
    method = METHODS[spec.update.method]
    if method.still or spec.strategy.name == base.spec.strategy.name:
        return method.label
    return f"{method.label}, {STRATEGIES[spec.strategy.name].label}"


def require_learnable(spec: RunSpec, matching: Matching) -> None:
    """Raises SpecError where a method has nothing to learn of these images."""
    if spec.update.method == "frozen_head" and not matching.new:
        raise SpecError(
            f"{METHODS['frozen_head'].label!r} trains new classes only, and the new images have "
            "none; choose another method."
        )
