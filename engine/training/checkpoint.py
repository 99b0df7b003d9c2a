"""The best weights of a run, with all that is needed to use them, in one safetensors file."""

import json
import time
from collections.abc import Collection
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from engine.data.scale import Scale
from engine.errors import TrainingError, WeightsError
from engine.files import replacing
from engine.models.backbone import RANDOM
from engine.models.classifier import Classifier, build_classifier
from engine.models.grown import grown_like
from engine.models.lora import merged_state_dict
from engine.spec import RunSpec
from engine.training.state import reason_of

HEADER_KEY = "thaw"
WRITE_SECONDS = 5.0


@dataclass(frozen=True)
class CheckpointHeader:
    """What a checkpoint says about itself.

    Attributes:
        spec: the run's spec, as plain data.
        classes: names in the order of the logits.
        epoch: when the weights were taken; counts from 1.
        val_accuracy: fraction of validation images that they get right.
        mean: that pixels on a 0..1 scale were normalised with, per RGB channel.
        std: likewise.
    """

    spec: dict[str, object]
    classes: tuple[str, ...]
    epoch: int
    val_accuracy: float
    mean: tuple[float, ...]
    std: tuple[float, ...]

    @classmethod
    def of(
        cls, spec: RunSpec, classes: tuple[str, ...], epoch: int, accuracy: float, scale: Scale
    ) -> "CheckpointHeader":
        """Returns what a checkpoint of a run says."""
        return cls(spec.model_dump(mode="json"), classes, epoch, accuracy, scale.mean, scale.std)


class BestCheckpoint:
    """Keeps the weights of the best epoch, and writes them at most every few seconds.

    Holding back saves a run of very short epochs from writing the same file many times a second;
    only what can change is copied, so a frozen backbone costs nothing.
    """

    def __init__(self, file: Path, model: Classifier):
        self.file = file
        self.header: CheckpointHeader | None = None
        self._model = model
        self._weights: dict[str, Tensor] = {}
        self._unwritten = False
        self._written_at = 0.0

    def take(self, header: CheckpointHeader, moved: Collection[str]) -> None:
        """Copies the model's weights as the best so far; adapters are folded into their weights.

        Args:
            header: what the file will say of itself.
            moved: stages that have learnt so far; the others are read when the file is written,
                so `write` must be called before another stage begins to learn.
        """
        self.header = header
        backbone = self._model.backbone
        still = {
            f"backbone.{tensor}"
            for name in backbone.stages
            if name not in moved
            for tensor in backbone.stage_tensor_names(name)
        }
        self._weights = {
            name: tensor.detach().clone()
            for name, tensor in merged_state_dict(self._model).items()
            if name not in still
        }
        self._unwritten = True
        if time.monotonic() - self._written_at >= WRITE_SECONDS:
            self.write()

    def write(self) -> None:
        """Writes the best weights, where there are any that are not written yet.

        Raises:
            TrainingError: the file cannot be written; an earlier one is as it was.
        """
        if not self._unwritten or self.header is None:
            return
        weights = merged_state_dict(self._model) | self._weights
        # Copies, since a file cannot hold one tensor under two names.
        tensors = {
            name: tensor.detach().cpu().clone().contiguous() for name, tensor in weights.items()
        }
        try:
            with replacing(self.file) as part:
                save_file(tensors, part, {HEADER_KEY: json.dumps(asdict(self.header))})
        except (OSError, SafetensorError) as error:
            raise TrainingError(
                f"The best weights cannot be written to {self.file.parent} ({reason_of(error)}); "
                "free some room or mend its permissions, and resume the run."
            ) from error
        self._unwritten = False
        self._written_at = time.monotonic()


def load_checkpoint(file: Path) -> tuple[Classifier, CheckpointHeader]:
    """Returns the model in eval mode and what its checkpoint says.

    Raises:
        WeightsError: the file is missing, damaged or not a checkpoint of Thaw.
    """
    try:
        with safe_open(file, framework="pt") as opened:
            header = CheckpointHeader(**json.loads(opened.metadata()[HEADER_KEY]))
            header = replace(
                header,
                classes=tuple(header.classes),
                mean=tuple(header.mean),
                std=tuple(header.std),
            )
            tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise WeightsError(
            f"{file} is missing, damaged or not a checkpoint of Thaw ({error}); choose another."
        ) from error
    spec = RunSpec.parse(header.spec)
    # What it started from is of no use here: every tensor is in the file.
    as_built = spec.model.model_copy(update={"weights": RANDOM})
    model = build_classifier(as_built, len(header.classes), spec.seed, spec.images.size)
    try:
        of_head = {
            name.removeprefix("head."): tensor
            for name, tensor in tensors.items()
            if name.startswith("head.")
        }
        model.head = grown_like(model.head, of_head)
        model.load_state_dict(tensors)
    except (RuntimeError, KeyError, IndexError) as error:
        raise WeightsError(f"{file} does not hold the model it describes ({error}).") from error
    return model.eval(), header
