"""The model that is updated: its weights, what it says of itself, and the images that it knows."""

from dataclasses import dataclass

from engine.data.manifest import Manifest
from engine.data.scale import Scale
from engine.errors import WeightsError
from engine.models.backbone import Backbone, WeightsOrigin, build_backbone
from engine.models.classifier import Classifier
from engine.spec import RunSpec
from engine.training.checkpoint import CheckpointHeader, load_checkpoint
from engine.update.images import batch_name
from engine.update.known import checkpoint_of, is_run, known_images
from engine.update.same_model import require_same_model


@dataclass(frozen=True)
class Start:
    """What an update starts from.

    Attributes:
        model: in eval mode, as it was kept.
        header: what its checkpoint says.
        manifest: the images that it learnt from and was judged on.
        batch: name of their folder.
        label: what a person calls it.
    """

    model: Classifier
    header: CheckpointHeader
    manifest: Manifest
    batch: str
    label: str

    @property
    def num_classes(self) -> int:
        """Logits that it gives."""
        return len(self.header.classes)

    @property
    def scale(self) -> Scale:
        """How the pictures that it learnt from were normalised, as all others have to be."""
        mean, std = ((one[0], one[1], one[2]) for one in (self.header.mean, self.header.std))
        return Scale(mean, std)

    @property
    def origin(self) -> WeightsOrigin:
        """Where the weights of an update came from."""
        kept = f"{self.label}, epoch {self.header.epoch}"
        return WeightsOrigin("update", f"the weights of {kept}, which is updated")


def first_backbone(spec: RunSpec) -> Backbone:
    """Returns the backbone of a run as it was before its first step.

    Raises:
        WeightsError: the weights that it began with are missing, damaged or do not fit.
        SpecError: they are those of another model.
        DataError: the images of the model that it updates are not known.
    """
    if not spec.update.start:
        return build_backbone(spec.model.backbone, spec.images.size, spec.model.weights, spec.seed)
    start = load_start(spec)
    start.model.backbone.origin = start.origin
    return start.model.backbone


def load_start(spec: RunSpec) -> Start:
    """Returns what an update starts from.

    Raises:
        WeightsError: the checkpoint is missing, damaged or none of Thaw.
        SpecError: the spec asks for another model.
        DataError: the images that it learnt from are not known.
    """
    named = spec.update.start
    file = checkpoint_of(named)
    if not file.is_file():
        raise WeightsError(
            f"There is no checkpoint {file} to update; name a finished run, or a checkpoint of "
            "Thaw."
        )
    model, header = load_checkpoint(file)
    made_with = RunSpec.parse(header.spec)
    require_same_model(spec, made_with)
    label = f"run {named}" if is_run(named) else file.name
    manifest = known_images(file, header.classes, made_with)
    return Start(model, header, manifest, batch_name(made_with.data.folder), label)
