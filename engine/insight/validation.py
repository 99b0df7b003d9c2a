"""The validation images of a run, or others prepared alike, to judge any model of its kind by.

Shapes: B images, K classes.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from engine.data.loader import EpochBatches, PictureDataset
from engine.data.manifest import MANIFEST_FILE, Item, Manifest
from engine.data.scale import Scale
from engine.data.transforms import EvalTransform
from engine.events import Kind, Value
from engine.home import run_folder
from engine.models.catalogue import backbone_record
from engine.models.classifier import Classifier
from engine.runs.store import Run
from engine.spec import RunSpec
from engine.training.checkpoint import CheckpointHeader
from engine.training.device import choose_device
from engine.training.layout import layout_for
from engine.training.loop import evaluate
from engine.training.memory import Judging
from engine.training.metrics import EpochMetrics
from engine.training.reporter import Unsteered
from engine.training.sources import PictureSource


class ValidationImages:
    """The validation images of a run, to judge any model of its kind by.

    Attributes:
        transform: makes images of pictures.
    """

    def __init__(self, run: Run, header: CheckpointHeader, items: Sequence[Item] | None = None):
        """Takes the images from the run's manifest and their preparation from its checkpoint.

        Args:
            run: whose images they are.
            header: of its checkpoint.
            items: others to take in their place, prepared alike.
        """
        spec = RunSpec.parse(header.spec)
        self._num_classes = len(header.classes)
        self._device = choose_device("auto")
        if items is None:
            items = Manifest.from_file(run_folder(run.id) / MANIFEST_FILE).val
        self._items = items
        backbone = backbone_record(spec.model.backbone)
        scale = Scale(_rgb(header.mean), _rgb(header.std))
        self.transform = EvalTransform(spec.images, backbone, scale)
        self._judging = Judging()
        dataset = PictureDataset(self._items, self.transform, spec.seed)
        batches = EpochBatches(len(dataset), spec.training.batch_size, spec.seed, shuffle=False)
        self._layout = layout_for(self._device, len(dataset))
        self._source = PictureSource(dataset, batches, self._device, self._layout)

    def __len__(self) -> int:
        """Number of images."""
        return len(self._items)

    def judge(self, model: Classifier) -> tuple[float, float]:
        """Returns accuracy and macro F1 (fractions) of a model, which is put in eval mode."""
        self.make_ready(model)
        metrics = EpochMetrics(self._num_classes, self._device)
        evaluate(1, model, self._source, nn.CrossEntropyLoss(), metrics, _Silent())
        result = metrics.result("val")
        return result["val/accuracy"], result["val/f1"]

    def make_ready(self, model: Classifier) -> None:
        """Puts a model in eval mode, where and as `probabilities` needs it."""
        model.eval().to(self._device, memory_format=self._layout)  # type: ignore[call-overload]

    @torch.inference_mode()
    def probabilities(self, model: Classifier, images_BCHW: Tensor) -> Tensor:
        """Returns what a model says of images that `transform` made: (B, K), on the CPU.

        Where memory runs out, fewer are judged at once from then on.

        Args:
            model: made ready.
            images_BCHW: on the CPU.
        """
        moved = images_BCHW.to(self._device, memory_format=self._layout)
        return self._judging(model, moved).float().softmax(dim=1).cpu()


class _Silent(Unsteered):
    """A Reporter for work that nobody follows."""

    def emit(self, kind: Kind, epoch: int, step: int, values: Mapping[str, Value]) -> None:
        """Tells nobody."""

    def should_stop(self) -> bool:
        """Nobody asks."""
        return False


def _rgb(channels: tuple[float, ...]) -> tuple[float, float, float]:
    red, green, blue = channels
    return red, green, blue
