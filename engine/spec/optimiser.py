"""How weights are moved."""

from difflib import get_close_matches
from typing import Annotated, Literal

from pydantic import Field, field_validator

from engine.fields import Part, about
from engine.training.optimiser_names import OPTIMISERS, TORCH_OPTIMISERS

ScheduleName = Literal["constant", "cosine", "one_cycle", "step", "exponential", "plateau"]


class OptimiserSpec(Part):
    """How weights are moved along the gradient."""

    name: str = Field(
        "adamw",
        description="Rule that turns gradients into steps: adamw, adam, sgd, or any of timm's by "
        "name, such as lamb, lion or nadamw.",
        json_schema_extra=about(
            "Optimiser", **{name: OPTIMISERS[name] for name in TORCH_OPTIMISERS}
        ),
    )
    lr: Annotated[float, Field(ge=1e-7, le=1.0)] = Field(
        1e-3,
        description="Learning rate: length of a step. Small rates protect pre-trained weights, "
        "large ones learn fast and forget.",
        json_schema_extra=about("Learning rate", "per step"),
    )
    backbone_lr: Annotated[float, Field(ge=0.0, le=1.0)] = Field(
        0.0,
        description="Learning rate of the backbone, where it is to have one of its own; 0 takes "
        "that of the head.",
        json_schema_extra=about("Learning rate of the backbone", "per step"),
    )
    weight_decay: Annotated[float, Field(ge=0.0, le=1.0)] = Field(
        1e-4,
        description="Pull of the weights towards zero; biases and norm layers are left out.",
        json_schema_extra=about("Weight decay", "per step"),
    )
    momentum: Annotated[float, Field(ge=0.0, lt=1.0)] = Field(
        0.9,
        description="Share of the last step that is kept (sgd, and those of timm's that have it).",
        json_schema_extra=about("Momentum", "fraction"),
    )
    schedule: ScheduleName = Field(
        "cosine",
        description="How the learning rate changes over the run.",
        json_schema_extra=about(
            "Schedule",
            constant="the same from the first step to the last",
            cosine="falls along a half cosine to zero (Loshchilov & Hutter 2016)",
            one_cycle="rises from a 25th over the first 30 %, then falls to almost nothing (Smith "
            "2018)",
            step="multiplied by the drop factor every so many epochs",
            exponential="multiplied by the decay rate every so many steps, without end",
            plateau="multiplied by the drop factor when validation loss has stopped falling",
        ),
    )
    warmup: Annotated[float, Field(ge=0.0, le=0.5)] = Field(
        0.0,
        description="Share of the run in which the learning rate rises from nearly nothing, in "
        "equal steps, before its schedule counts (one_cycle has a rise of its own).",
        json_schema_extra=about("Warm-up", "fraction"),
    )
    decay_rate: Annotated[float, Field(gt=0.0, le=1.0)] = Field(
        0.96,
        description="What the learning rate is multiplied by every decay_steps steps "
        "(exponential schedule only).",
        json_schema_extra=about("Decay rate", "factor"),
    )
    decay_steps: Annotated[int, Field(ge=1, le=1_000_000)] = Field(
        1000,
        description="Steps after which the decay rate has been applied once (exponential "
        "schedule only); a step is one batch.",
        json_schema_extra=about("Decay steps", "steps"),
    )
    staircase: bool = Field(
        False,
        description="Lower the learning rate at once every decay_steps steps, and not a little "
        "in each (exponential schedule only).",
        json_schema_extra=about("Staircase"),
    )
    drop_factor: Annotated[float, Field(gt=0.0, lt=1.0)] = Field(
        0.1,
        description="What the learning rate is multiplied by at a drop (step and plateau "
        "schedules only).",
        json_schema_extra=about("Drop factor", "factor"),
    )
    drop_every: Annotated[int, Field(ge=1, le=1000)] = Field(
        3,
        description="Epochs from one drop to the next (step schedule only).",
        json_schema_extra=about("Drop every", "epochs"),
    )
    patience: Annotated[int, Field(ge=0, le=100)] = Field(
        2,
        description="Epochs without a lower validation loss that are let pass before a drop "
        "(plateau schedule only).",
        json_schema_extra=about("Patience", "epochs"),
    )

    @field_validator("name")
    @classmethod
    def _known(cls, value: str) -> str:
        if value not in OPTIMISERS:
            near = get_close_matches(value, OPTIMISERS, n=3)
            listed = ", ".join(near or TORCH_OPTIMISERS)
            raise ValueError(f"must be a known optimiser, such as {listed}")
        return value
