"""RunSpec: all that decides a run's result, and nothing else."""

import math
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args

import annotated_types
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from engine.errors import SpecError
from engine.models.catalogue import DEFAULT_BACKBONE, UnknownBackboneError, full_name
from engine.strategies import STRATEGIES

Fit = Literal["crop", "squash", "pad"]
Augmentation = Literal["none", "flip", "standard"]
HeadKind = Literal["linear", "mlp"]
OptimiserName = Literal["adam", "adamw", "sgd"]
ScheduleName = Literal["constant", "cosine", "exponential"]
Normalisation = Literal["backbone", "rescale", "dataset"]
Device = Literal["auto", "cpu", "cuda"]


def _about(label: str, unit: str = "", **choices: str) -> dict[str, Any]:
    return {"label": label, "unit": unit, "choices": choices}


class Part(BaseModel):
    """A part of a RunSpec: immutable, strict about unknown fields, without NaN or infinity."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @classmethod
    def parse(cls, values: dict[str, Any] | str) -> Self:
        """Returns what a dictionary or JSON text describes, with all faults reported at once.

        Raises:
            SpecError: with every fault, each naming the field, its value and its range.
        """
        try:
            if isinstance(values, str):
                return cls.model_validate_json(values)
            return cls.model_validate(values)
        except ValidationError as error:
            raise SpecError(" ".join(_sentence(cls, fault) for fault in error.errors())) from error


def _absolute_path(value: str, kind: str) -> str:
    try:
        return str(Path(value).expanduser().absolute())
    except RuntimeError as error:
        raise ValueError(f"must be the path of a {kind}; there is no such home folder") from error


class DataSpec(Part):
    """Which images, and which of them are held back for validation."""

    folder: str = Field(
        min_length=1,
        description="Folder of images, as train/<class>/* with val/<class>/*, or as <class>/*.",
        json_schema_extra=_about("Image folder"),
    )
    val_folder: str | None = Field(
        None,
        description="Folder of validation images as <class>/*, where it lies elsewhere.",
        json_schema_extra=_about("Validation folder"),
    )
    val_fraction: Annotated[float, Field(ge=0.05, le=0.5)] = Field(
        0.2,
        description="Share of each class held back for validation when the folder has no val/.",
        json_schema_extra=_about("Validation share", "fraction"),
    )
    split_seed: Annotated[int, Field(ge=0, le=2**31 - 1)] = Field(
        0,
        description="Decides which images are held back when the folder has no val/.",
        json_schema_extra=_about("Split seed"),
    )

    @field_validator("folder", "val_folder")
    @classmethod
    def _absolute(cls, value: str | None) -> str | None:
        return None if value is None else _absolute_path(value, "folder")


class ModelSpec(Part):
    """The pre-trained backbone and the head that is put on it."""

    backbone: str = Field(
        DEFAULT_BACKBONE,
        description="Pre-trained network whose features are used, as library/architecture.tag; "
        "library and tag may be left out.",
        json_schema_extra=_about("Backbone"),
    )
    weights: str = Field(
        "pretrained",
        min_length=1,
        description="What the backbone starts from: pretrained (as its library publishes it), "
        "random (nothing learnt before, for comparison), or the path of a .safetensors or .pth "
        "file, such as the checkpoint of an earlier run.",
        json_schema_extra=_about("Weights"),
    )
    head: HeadKind = Field(
        "linear",
        description="What turns features into classes.",
        json_schema_extra=_about(
            "Head",
            linear="one linear layer: hard to overfit, the usual choice",
            mlp="one hidden layer (ReLU) before the classes: bends more, needs more images",
        ),
    )
    hidden_units: Annotated[int, Field(ge=8, le=4096)] = Field(
        128,
        description="Width of the hidden layer of an mlp head.",
        json_schema_extra=_about("Hidden units", "units"),
    )
    dropout: Annotated[float, Field(ge=0.0, le=0.9)] = Field(
        0.0,
        description="Share of the head's inputs switched off at random in each step; more of it "
        "slows learning and curbs overfitting.",
        json_schema_extra=_about("Dropout", "fraction"),
    )

    @field_validator("backbone")
    @classmethod
    def _known(cls, value: str) -> str:
        try:
            return full_name(value)
        except UnknownBackboneError as error:
            raise ValueError(error.sentence) from error

    @field_validator("weights")
    @classmethod
    def _absolute(cls, value: str) -> str:
        return value if value in ("pretrained", "random") else _absolute_path(value, "file")


class ImageSpec(Part):
    """How a picture becomes the square that the backbone sees."""

    size: Annotated[int, Field(ge=32, le=1024)] = Field(
        224,
        description="Side of the square; larger sees more detail and costs time with its square.",
        json_schema_extra=_about("Image size", "px"),
    )
    fit: Fit = Field(
        "crop",
        description="How a picture is fitted to the square; try all three, it often decides more "
        "than any other slider.",
        json_schema_extra=_about(
            "Fit",
            crop="keep the shape, cut off what sticks out: usually best on photos",
            squash="show all of it, shape distorted: often best on drawings",
            pad="show all of it, shape kept, grey bars at the sides",
        ),
    )
    augmentation: Augmentation = Field(
        "none",
        description="Random changes to each training picture in each epoch; they curb overfitting "
        "but a frozen backbone must then be run again in every epoch.",
        json_schema_extra=_about(
            "Augmentation",
            none="every epoch sees the same pictures; a frozen backbone runs only once",
            flip="mirrored left to right at random",
            standard="random crop of 60 to 100 % of the area, mirrored, colours jittered",
        ),
    )

    normalisation: Normalisation = Field(
        "backbone",
        description="How pixel values are scaled; a backbone knows only the scale that it was "
        "pre-trained with.",
        json_schema_extra=_about(
            "Normalisation",
            backbone="mean and standard deviation of the pre-training: the right one",
            rescale="to 0..1 and no further, as simple tutorials do",
            dataset="mean and standard deviation of your own training images",
        ),
    )


class StrategySpec(Part):
    """Which of the pre-trained weights may move, and when."""

    name: str = Field(
        "frozen",
        description="How the pre-trained weights are updated.",
        json_schema_extra=_about("Strategy"),
    )

    @field_validator("name")
    @classmethod
    def _known(cls, value: str) -> str:
        if value not in STRATEGIES:
            raise ValueError(f"must be one of {', '.join(STRATEGIES)}")
        return value


class OptimiserSpec(Part):
    """How weights are moved along the gradient."""

    name: OptimiserName = Field(
        "adamw",
        description="Rule that turns gradients into steps.",
        json_schema_extra=_about(
            "Optimiser",
            adamw="Adam with decoupled weight decay (Loshchilov & Hutter 2017)",
            adam="Adam (Kingma & Ba 2014); weight decay is added to the gradient",
            sgd="stochastic gradient descent with momentum; wants a larger learning rate",
        ),
    )
    lr: Annotated[float, Field(ge=1e-7, le=1.0)] = Field(
        1e-3,
        description="Learning rate: length of a step. Small rates protect pre-trained weights, "
        "large ones learn fast and forget.",
        json_schema_extra=_about("Learning rate", "per step"),
    )
    weight_decay: Annotated[float, Field(ge=0.0, le=1.0)] = Field(
        1e-4,
        description="Pull of the weights towards zero; biases and norm layers are left out.",
        json_schema_extra=_about("Weight decay", "per step"),
    )
    momentum: Annotated[float, Field(ge=0.0, lt=1.0)] = Field(
        0.9,
        description="Share of the last step that is kept (sgd only).",
        json_schema_extra=_about("Momentum", "fraction"),
    )
    schedule: ScheduleName = Field(
        "cosine",
        description="How the learning rate changes over the run.",
        json_schema_extra=_about(
            "Schedule",
            constant="the same from the first step to the last",
            cosine="falls along a half cosine to zero (Loshchilov & Hutter 2016)",
            exponential="multiplied by the decay rate every so many steps, without end",
        ),
    )
    decay_rate: Annotated[float, Field(gt=0.0, le=1.0)] = Field(
        0.96,
        description="What the learning rate is multiplied by every decay_steps steps "
        "(exponential schedule only).",
        json_schema_extra=_about("Decay rate", "factor"),
    )
    decay_steps: Annotated[int, Field(ge=1, le=1_000_000)] = Field(
        1000,
        description="Steps after which the decay rate has been applied once (exponential "
        "schedule only); a step is one batch.",
        json_schema_extra=_about("Decay steps", "steps"),
    )
    staircase: bool = Field(
        False,
        description="Lower the learning rate at once every decay_steps steps, and not a little "
        "in each (exponential schedule only).",
        json_schema_extra=_about("Staircase"),
    )


class TrainingSpec(Part):
    """How long, and in what portions."""

    epochs: Annotated[int, Field(ge=1, le=1000)] = Field(
        10,
        description="Times every training image is seen.",
        json_schema_extra=_about("Epochs"),
    )
    batch_size: Annotated[int, Field(ge=2, le=1024)] = Field(
        32,
        description="Images per step; larger is steadier and needs more memory.",
        json_schema_extra=_about("Batch size", "images"),
    )
    label_smoothing: Annotated[float, Field(ge=0.0, le=0.5)] = Field(
        0.0,
        description="Share of the target spread over all classes, so that the model is less "
        "certain of itself (Szegedy et al. 2016).",
        json_schema_extra=_about("Label smoothing", "fraction"),
    )
    early_stopping: Annotated[int, Field(ge=0, le=1000)] = Field(
        0,
        description="Stop after so many validations without a better accuracy; 0 never stops "
        "early. The best epoch is kept either way.",
        json_schema_extra=_about("Early stopping", "epochs"),
    )


class RunSpec(Part):
    """Everything that decides a run's result: JSON in and out, all faults reported at once.

    The same spec and seed give the same numbers on the same machine.
    """

    data: DataSpec
    model: ModelSpec = ModelSpec()
    images: ImageSpec = ImageSpec()
    strategy: StrategySpec = StrategySpec()
    optimiser: OptimiserSpec = OptimiserSpec()
    training: TrainingSpec = TrainingSpec()
    seed: Annotated[int, Field(ge=0, le=2**31 - 1)] = Field(
        0,
        description="Decides the head's first weights, the order of images, dropout and "
        "augmentation.",
        json_schema_extra=_about("Seed"),
    )
    device: Device = Field(
        "auto",
        description="Where to compute; auto takes a CUDA GPU where there is one.",
        json_schema_extra=_about("Device"),
    )

    def flat(self) -> dict[str, Any]:
        """Returns the spec as one level of dotted names, such as `optimiser.lr`."""
        return _flatten(self.model_dump())


def _flatten(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, dict):
            flat |= _flatten(value, f"{prefix}{name}.")
        else:
            flat[prefix + name] = value
    return flat


def field_info(path: str, model: type[BaseModel] = RunSpec) -> Any:
    """Returns pydantic's FieldInfo of the field at a dotted path, such as `optimiser.lr`.

    Raises:
        KeyError: there is no such field.
    """
    first, _, rest = path.partition(".")
    info = model.model_fields[first]
    if not rest:
        return info
    if not (isinstance(info.annotation, type) and issubclass(info.annotation, BaseModel)):
        raise KeyError(path)
    return field_info(rest, info.annotation)


def field_range(path: str, model: type[BaseModel] = RunSpec) -> tuple[float, float]:
    """Returns the least and the greatest allowed value of a numeric field."""
    low, high = -math.inf, math.inf
    for rule in field_info(path, model).metadata:
        if isinstance(rule, annotated_types.Ge):
            low = rule.ge  # type: ignore[assignment]
        elif isinstance(rule, annotated_types.Gt):
            low = rule.gt  # type: ignore[assignment]
        elif isinstance(rule, annotated_types.Le):
            high = rule.le  # type: ignore[assignment]
        elif isinstance(rule, annotated_types.Lt):
            high = rule.lt  # type: ignore[assignment]
    return low, high


def _allowed(model: type[BaseModel], path: str) -> str | None:
    info = field_info(path, model)
    choices = get_args(info.annotation)
    if choices and all(isinstance(choice, str) for choice in choices):
        return "must be one of " + ", ".join(choices)
    low, high = field_range(path, model)
    if math.isinf(low) and math.isinf(high):
        return None
    kind = "whole number" if info.annotation is int else "number"
    rules = info.metadata
    above = "above " if any(isinstance(rule, annotated_types.Gt) for rule in rules) else "from "
    below = "below " if any(isinstance(rule, annotated_types.Lt) for rule in rules) else ""
    return f"must be a {kind} {above}{low:g} to {below}{high:g}"


def _sentence(model: type[BaseModel], fault: Any) -> str:
    path = ".".join(str(part) for part in fault["loc"])
    if fault["type"] == "missing":
        return f"{path} is missing."
    if fault["type"] == "extra_forbidden":
        return f"{path} is not a setting that Thaw knows."
    if fault["type"] == "json_invalid":
        return f"The spec is not valid JSON: {fault['ctx']['error']}."
    if fault["type"] == "value_error":
        return f"{path} is {fault['input']!r}; it {fault['ctx']['error']}."
    try:
        allowed = _allowed(model, path)
    except KeyError:
        allowed = None
    if allowed is None:
        return f"{path or 'The spec'} is {fault['input']!r}: {fault['msg'].lower()}."
    return f"{path} is {fault['input']!r}; it {allowed}."
