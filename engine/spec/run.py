"""RunSpec: all that decides a run's result, and nothing else."""

import json
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, Field, model_validator

from engine import fields
from engine.fields import Part, about
from engine.models.catalogue import backbone_record
from engine.spec.data import DataSpec
from engine.spec.images import LEAST_SIZE, ImageSpec
from engine.spec.model import ModelSpec
from engine.spec.optimiser import OptimiserSpec
from engine.spec.steering import BACKBONE, HEAD, Act
from engine.spec.strategy import StrategySpec
from engine.spec.training import TrainingSpec
from engine.spec.update import UpdateSpec
from engine.update.methods import METHODS, STILL

Device = Literal["auto", "cpu", "cuda"]


class RunSpec(Part):
    """Everything that decides a run's result: JSON in and out, all faults reported at once.

    The same spec and seed give the same numbers on the same machine; on a GPU not of networks whose
    pooling PyTorch cannot repeat there (AlexNet, VGG).
    """

    data: DataSpec
    model: ModelSpec = ModelSpec()
    images: ImageSpec = ImageSpec()
    strategy: StrategySpec = StrategySpec()
    optimiser: OptimiserSpec = OptimiserSpec()
    training: TrainingSpec = TrainingSpec()
    update: UpdateSpec = UpdateSpec()
    steering: tuple[Act, ...] = Field(
        (),
        description="What was changed while the run went on, with the step at which it was; to "
        "replay a run that was steered.",
        json_schema_extra=about("Steering"),
    )
    seed: Annotated[int, Field(ge=0, le=2**31 - 1)] = Field(
        0,
        description="Decides the head's first weights, the order of images, dropout and "
        "augmentation.",
        json_schema_extra=about("Seed"),
    )
    device: Device = Field(
        "auto",
        description="Where to compute; auto takes a CUDA GPU where there is one.",
        json_schema_extra=about("Device"),
    )

    @model_validator(mode="after")
    def _stages_exist(self) -> Self:
        stages = backbone_record(self.model.backbone).stage_names
        listed = ", ".join(stages)
        if self.strategy.name == "surgical" and self.strategy.block not in ("", *stages):
            raise ValueError(
                f"strategy.block is {self.strategy.block!r}; the stages of "
                f"{self.model.backbone} are {listed}."
            )
        if self.strategy.name == "partial" and self.strategy.last_stages > len(stages):
            raise ValueError(
                f"strategy.last_stages is {self.strategy.last_stages}; {self.model.backbone} has "
                f"only {len(stages)} stages."
            )
        for act in self.steering:
            if act.target not in (HEAD, BACKBONE, *stages):
                raise ValueError(
                    f"steering names {act.target!r}; the stages of {self.model.backbone} are "
                    f"{listed}."
                )
        return self

    @model_validator(mode="after")
    def _goes_together(self) -> Self:
        start, size = self.images.start_size, self.images.size
        sizes = backbone_record(self.model.backbone).sizes
        if start and not LEAST_SIZE <= start < size:
            raise ValueError(
                f"images.start_size is {start}; it must be 0 or from {LEAST_SIZE} to below "
                f"images.size, which is {size}."
            )
        if start and sizes != "any":
            raise ValueError(
                f"images.start_size is {start}, but {self.model.backbone} takes pictures of one "
                "size only; choose 0."
            )
        if self.training.compile and self.training.gradient_checkpointing:
            raise ValueError(
                "training.compile and training.gradient_checkpointing do not go together; switch "
                "one of them off."
            )
        return self

    @model_validator(mode="after")
    def _update_goes_together(self) -> Self:
        method = METHODS[self.update.method]
        if not self.update.start:
            return self
        if method.still and self.strategy.name != STILL:
            raise ValueError(
                f"update.method is {method.name!r}, which leaves the backbone as it is, but "
                f"strategy.name is {self.strategy.name!r}; choose {STILL}."
            )
        if not method.steps and self.training.epochs != 1:
            raise ValueError(
                f"update.method is {method.name!r}, which takes no steps, but training.epochs is "
                f"{self.training.epochs}; choose 1."
            )
        return self

    def flat(self) -> dict[str, Any]:
        """Returns the spec as one level of dotted names, such as `optimiser.lr`.

        What was steered is one value, a text: JSON where there is any, else empty; so are answers
        about names.
        """
        flat = _flatten(self.model_dump())
        for path in ("steering", "update.names"):
            flat[path] = json.dumps(flat[path]) if flat[path] else ""
        return flat


def _flatten(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, dict):
            flat |= _flatten(value, f"{prefix}{name}.")
        else:
            flat[prefix + name] = value
    return flat


def field_info(path: str, model: type[BaseModel] = RunSpec) -> Any:
    """Returns pydantic's FieldInfo of a setting by its dotted path, such as `optimiser.lr`.

    Raises:
        KeyError: there is no such setting.
    """
    return fields.field_info(path, model)


def field_range(path: str, model: type[BaseModel] = RunSpec) -> tuple[float, float]:
    """Returns the least and the greatest allowed value of a numeric setting."""
    return fields.field_range(path, model)
