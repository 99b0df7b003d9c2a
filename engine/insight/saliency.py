"""Which parts of a picture speak for a class, by a run's best checkpoint.

A map shows where evidence was found, not why it was taken for evidence; it is as coarse as the last
map of the network, often 5 x 5 to 14 x 14 cells.

Source: Selvaraju et al. 2017 (Grad-CAM); for vision transformers Zeiler & Fergus 2014, see
occlusion.

Shapes: C channels, H rows, W columns, K classes, h and w rows and columns of a map.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from engine.data.decode import decode_image
from engine.data.scale import Scale
from engine.data.transforms import EvalTransform
from engine.errors import DataError, SpecError
from engine.home import CHECKPOINT_FILE, run_folder
from engine.insight.feature_maps import FeatureMap, last_feature_map
from engine.insight.occlusion import NUM_PARTS, SIDE, covered_maps
from engine.insight.saliency_maps import Method, Question, SaliencyMap, keep_maps, known_maps
from engine.models.catalogue import backbone_record
from engine.models.classifier import Classifier
from engine.spec import RunSpec
from engine.training.checkpoint import CheckpointHeader, load_checkpoint
from engine.training.device import memory_errors
from engine.training.reporter import Preparation, Reporter, StopTrainingError

TASK = "looking at the picture"
GRAD_CAM = "Grad-CAM"
OCCLUSION = "occlusion"
# With fewer cells down and across, as on small pictures, a last map tells next to nothing.
LEAST_CELLS = 4


def explain(questions: Sequence[Question], reporter: Reporter) -> list[SaliencyMap]:
    """Returns the maps that are asked for, in order; what is not known yet is found and kept.

    Args:
        questions: of one picture or several, and one run or several.
        reporter: told how far it is.

    Raises:
        WeightsError: a run has no checkpoint that can be read.
        DataError: a picture cannot be read.
        SpecError: a run does not know one of the classes.
        TrainingError: there is too little memory.
        StopTrainingError: a person asked it to stop.
    """
    maps: list[SaliencyMap] = []
    for place, question in enumerate(questions, start=1):
        task = f"{TASK}, run {place} of {len(questions)}"
        reporter.emit("progress", 0, 0, {"task": task, "done": 0, "total": 0})
        if reporter.should_stop():
            raise StopTrainingError
        known = known_maps(question)
        if set(known) != set(question.classes):
            keys = question.keys()
            known = _found(question, Preparation(reporter, task, NUM_PARTS).advance)
            keep_maps(keys, known.values())
        maps += [known[name] for name in question.classes]
    return maps


def named_class(run_id: str, path: str) -> str:
    """Returns the class that a run's best checkpoint finds most probable in a picture.

    Raises:
        WeightsError: the run has no checkpoint that can be read.
        DataError: the picture cannot be read.
        TrainingError: there is too little memory.
    """
    model, header = load_checkpoint(run_folder(run_id) / CHECKPOINT_FILE)
    with memory_errors(), torch.inference_mode():
        return header.classes[int(model(_image(path, header)[None]).argmax())]


def _found(question: Question, advance: Callable[[int], None]) -> dict[str, SaliencyMap]:
    model, header = load_checkpoint(run_folder(question.run_id) / CHECKPOINT_FILE)
    unknown = [name for name in question.classes if name not in header.classes]
    if unknown:
        raise SpecError(
            f"The run {question.run_id} knows no class {unknown[0]!r}; its classes are "
            f"{', '.join(header.classes)}."
        )
    image_CHW = _image(question.path, header)
    places = [header.classes.index(name) for name in question.classes]
    with memory_errors():
        found = class_maps(model, image_CHW, places, question.method, advance)
    probabilities_K = found.logits_K.softmax(dim=0)
    return {
        name: SaliencyMap(
            run_id=question.run_id,
            path=question.path,
            class_name=name,
            probability=float(probabilities_K[place]),
            named=header.classes[int(probabilities_K.argmax())],
            values=_rows(map_hw),
            method=found.method,
            cells=found.cells,
            mean=_rgb(header.mean),
        )
        for name, place, map_hw in zip(question.classes, places, found.maps, strict=True)
    }


def _image(path: str, header: CheckpointHeader) -> Tensor:
    """Returns the picture (3, H, W) as the model was judged on it."""
    spec = RunSpec.parse(header.spec)
    scale = Scale(_rgb(header.mean), _rgb(header.std))
    transform = EvalTransform(spec.images, backbone_record(spec.model.backbone), scale)
    try:
        picture = decode_image(Path(path), at_least=transform.decode_size)
    except DataError as error:
        raise DataError(f"{path} cannot be read: {error}.") from error
    return transform(picture, ())


@dataclass(frozen=True)
class ClassMaps:
    """What a model finds in one picture.

    Attributes:
        logits_K: of the classes.
        maps: (h, w) from 0 to 1, one a class that was asked for.
        method: that they were found by.
        cells: what the cells are, in a few words.
    """

    logits_K: Tensor
    maps: Sequence[Tensor]
    method: str
    cells: str


def class_maps(
    model: Classifier,
    image_CHW: Tensor,
    places: Sequence[int],
    method: Method = "fit",
    advance: Callable[[int], None] = lambda num: None,
) -> ClassMaps:
    """Returns where a model finds evidence for classes in a picture.

    By Grad-CAM, the weight of a channel of the last map is the mean of the gradient of the class's
    logit over it; the map is what is positive in the weighted sum, divided by its largest value.
    Where the answer follows from tokens that all know of each other, as in ViTs, no cell of a last
    map stands for a place any more; there, and where it has fewer than LEAST_CELLS down and across,
    parts of the picture are covered instead.

    Args:
        model: in eval mode, on the CPU; it is left as it was.
        image_CHW: normalised, square.
        places: indices of the classes.
        method: `fit` for what fits the network, or `occlusion`.
        advance: told how many parts were covered.

    Source: Selvaraju et al. 2017 (Grad-CAM), equations 1 and 2; see occlusion.
    """
    learning = [p for p in model.parameters() if p.requires_grad]
    for parameter in learning:
        parameter.requires_grad_(False)
    try:
        # A gradient for the picture is one for every map on the way.
        images_1CHW = image_CHW[None].clone().requires_grad_(True)
        feature_map, logits_1K = last_feature_map(
            model.backbone.network, lambda: model(images_1CHW)
        )
        logits_K = logits_1K[0].detach()
        if method == "fit" and feature_map is not None and _tells_places(feature_map):
            maps = [_grad_cam(feature_map, logits_1K[0, place]) for place in places]
            rows, columns = maps[0].shape
            where = f"{rows} × {columns} cells of {feature_map.module}, the last map"
            return ClassMaps(logits_K, maps, GRAD_CAM, where)
        falls = covered_maps(model, image_CHW, places, advance=advance)
        where = f"{SIDE} × {SIDE} cells, covered in turn in {NUM_PARTS} parts"
        return ClassMaps(logits_K, [_scaled(one) for one in falls], OCCLUSION, where)
    finally:
        for parameter in learning:
            parameter.requires_grad_(True)


def _tells_places(feature_map: FeatureMap) -> bool:
    side = feature_map.as_map(feature_map.output).shape[1]
    return feature_map.layout != "tokens" and side >= LEAST_CELLS


def _grad_cam(feature_map: FeatureMap, logit: Tensor) -> Tensor:
    (gradient,) = torch.autograd.grad(logit, feature_map.output, retain_graph=True)
    weights_C11 = feature_map.as_map(gradient).mean(dim=(1, 2), keepdim=True)
    activations_Chw = feature_map.as_map(feature_map.output.detach())
    return _scaled((weights_C11 * activations_Chw).sum(dim=0).relu())


def _scaled(map_hw: Tensor) -> Tensor:
    largest = float(map_hw.max())
    return map_hw / largest if largest > 0.0 else torch.zeros_like(map_hw)


def _rows(map_hw: Tensor) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(round(float(one), 4) for one in row) for row in map_hw)


def _rgb(channels: tuple[float, ...]) -> tuple[float, float, float]:
    red, green, blue = channels
    return red, green, blue
