"""Which model in use is updated with a run's images, and how it is kept from forgetting."""

from typing import Annotated, Literal

from pydantic import Field, field_validator

from engine.fields import Part, about
from engine.update.methods import METHODS, NAIVE

ReplayChoice = Literal["herding", "random"]


class UpdateSpec(Part):
    """Which model is updated; without one, a run starts from pre-trained weights."""

    start: str = Field(
        "",
        description="The model that is updated with the images: the id of a finished run, or the "
        "path of a checkpoint of Thaw; empty where there is none.",
        json_schema_extra=about("Model to update"),
    )
    method: str = Field(
        NAIVE,
        description="How old classes are kept from being forgotten.",
        json_schema_extra=about("Method", **{m.name: m.sentence for m in METHODS.values()}),
    )
    replay_share: Annotated[float, Field(gt=0.0, le=1.0)] = Field(
        0.2,
        description="Share of each class's old training images that is learnt from again, at least "
        "one a class (replay only).",
        json_schema_extra=about("Old images seen again", "fraction"),
    )
    replay_choice: ReplayChoice = Field(
        "herding",
        description="Which of the old images are seen again (replay only).",
        json_schema_extra=about(
            "Which old images",
            herding="those whose mean feature stays nearest to their class's (iCaRL 2017)",
            random="drawn evenly, by the seed",
        ),
    )
    distillation: Annotated[float, Field(ge=0.0, le=100.0)] = Field(
        1.0,
        description="Weight of the old model's answers beside the labels (lwf only).",
        json_schema_extra=about("Weight of the teacher"),
    )
    temperature: Annotated[float, Field(ge=0.5, le=20.0)] = Field(
        2.0,
        description="What logits are divided by before they are compared with the old model's "
        "(lwf only): more of it counts small probabilities, too.",
        json_schema_extra=about("Temperature"),
    )
    importance: Annotated[float, Field(ge=0.0, le=100_000.0)] = Field(
        1.0,
        description="Pull of a weight of average importance to its old value (ewc only): half of "
        "it times the importance times the squared distance is added to the loss.",
        json_schema_extra=about("Pull by importance", "per step"),
    )
    names: tuple[tuple[str, str], ...] = Field(
        (),
        description="What was answered about names that are close but not equal: pairs of a class "
        "of the new images with the model's class that it is, or with nothing where it is new.",
        json_schema_extra=about("Answers about names"),
    )

    @field_validator("method")
    @classmethod
    def _known(cls, value: str) -> str:
        if value not in METHODS:
            raise ValueError(f"must be one of {', '.join(METHODS)}")
        return value
