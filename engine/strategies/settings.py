"""What strategies can be told, beside their name: each reads the few settings that it lists."""

from typing import Annotated

from pydantic import Field

from engine.fields import Part, about


class StrategySettings(Part):
    """Settings of strategies; one that a strategy does not list has no effect on it."""

    last_stages: Annotated[int, Field(ge=0, le=12)] = Field(
        2,
        description="How many of the backbone's last stages learn (partial only); 0 is frozen, "
        "all of them is full.",
        json_schema_extra=about("Last stages that learn", "stages"),
    )
    block: str = Field(
        "",
        description="The one stage that learns, by its name (surgical only); empty takes the "
        "first after the stem. Early blocks help where pictures look different, late ones where "
        "the classes mean something different.",
        json_schema_extra=about("Block that learns"),
    )
    unfreeze_every: Annotated[int, Field(ge=1, le=100)] = Field(
        1,
        description="Epochs after which one more stage begins to learn (gradual only).",
        json_schema_extra=about("Unfreeze a stage every", "epochs"),
    )
    probe_share: Annotated[float, Field(ge=0.05, le=0.95)] = Field(
        0.5,
        description="Share of the epochs in which only the head learns, before everything does "
        "(lp_ft and wise_ft only).",
        json_schema_extra=about("Head alone for", "share of the epochs"),
    )
    tune_scale: Annotated[float, Field(ge=0.001, le=1.0)] = Field(
        0.1,
        description="What the learning rate is multiplied by once everything learns (lp_ft and "
        "wise_ft only).",
        json_schema_extra=about("Rate after the head is trained", "factor"),
    )
    lr_decay: Annotated[float, Field(ge=0.1, le=1.0)] = Field(
        0.7,
        description="What the learning rate is multiplied by from each stage to the one before "
        "it, from the head down to the stem (discriminative only).",
        json_schema_extra=about("Rate from stage to stage", "factor"),
    )
    rank: Annotated[int, Field(ge=1, le=256)] = Field(
        8,
        description="Rank of the low-rank adapters (lora only): more of it can learn more, and "
        "costs more parameters.",
        json_schema_extra=about("Adapter rank"),
    )
    lora_alpha: Annotated[float, Field(ge=0.1, le=512.0)] = Field(
        16.0,
        description="Strength of the adapters (lora only): their product is multiplied by this "
        "over their rank.",
        json_schema_extra=about("Adapter strength"),
    )
    pull: Annotated[float, Field(ge=0.0, le=10.0)] = Field(
        0.01,
        description="Pull of the backbone's weights towards their pre-trained values, in place "
        "of weight decay (l2_sp only): half of it times the squared distance is added to the loss.",
        json_schema_extra=about("Pull to the start", "per step"),
    )
    head_pull: Annotated[float, Field(ge=0.0, le=10.0)] = Field(
        0.01,
        description="Pull of the head's weights towards zero (l2_sp only).",
        json_schema_extra=about("Pull of the head to zero", "per step"),
    )
    alpha: Annotated[float, Field(ge=0.0, le=1.0)] = Field(
        0.5,
        description="Where between the weights before and after fine-tuning the kept model lies "
        "(wise_ft only): 0 is before, 1 after. The accuracy at other values is measured too.",
        json_schema_extra=about("Share of the fine-tuned weights", "fraction"),
    )
