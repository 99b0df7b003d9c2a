"""Which network a run updates."""

from typing import Annotated, Literal

from pydantic import Field, field_validator

from engine.fields import Part, about
from engine.models.catalogue import DEFAULT_BACKBONE, UnknownBackboneError, full_name
from engine.spec.paths import absolute_path

HeadKind = Literal["linear", "mlp"]


class ModelSpec(Part):
    """The pre-trained backbone and the head that is put on it."""

    backbone: str = Field(
        DEFAULT_BACKBONE,
        description="Pre-trained network whose features are used, as library/architecture.tag; "
        "library and tag may be left out.",
        json_schema_extra=about("Backbone"),
    )
    weights: str = Field(
        "pretrained",
        min_length=1,
        description="What the backbone starts from: pretrained (as its library publishes it), "
        "random (nothing learnt before, for comparison), or the path of a .safetensors or .pth "
        "file, such as the checkpoint of an earlier run.",
        json_schema_extra=about("Weights"),
    )
    head: HeadKind = Field(
        "linear",
        description="What turns features into classes.",
        json_schema_extra=about(
            "Head",
            linear="one linear layer: hard to overfit, the usual choice",
            mlp="one hidden layer (ReLU) before the classes: bends more, needs more images",
        ),
    )
    hidden_units: Annotated[int, Field(ge=8, le=4096)] = Field(
        128,
        description="Width of the hidden layer of an mlp head.",
        json_schema_extra=about("Hidden units", "units"),
    )
    dropout: Annotated[float, Field(ge=0.0, le=0.9)] = Field(
        0.0,
        description="Share of the head's inputs switched off at random in each step; more of it "
        "slows learning and curbs overfitting.",
        json_schema_extra=about("Dropout", "fraction"),
    )
    stochastic_depth: Annotated[float, Field(ge=0.0, le=0.8)] = Field(
        0.0,
        description="Chance that the last residual block is skipped in a training step, less for "
        "the earlier ones (Huang et al. 2016), where the backbone has it; 0 leaves it as its "
        "library sets it.",
        json_schema_extra=about("Stochastic depth", "fraction"),
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
        return value if value in ("pretrained", "random") else absolute_path(value, "file")
