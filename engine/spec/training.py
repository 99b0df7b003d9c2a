"""How long a run learns, and what keeps it from overfitting."""

from typing import Annotated, Literal

from pydantic import Field

from engine.fields import Part, about

BatchNormMode = Literal["follow", "frozen", "update"]
ClassBalance = Literal["none", "sampling", "loss"]


class TrainingSpec(Part):
    """How long, and in what portions."""

    epochs: Annotated[int, Field(ge=1, le=1000)] = Field(
        10,
        description="Times every training image is seen.",
        json_schema_extra=about("Epochs"),
    )
    batch_size: Annotated[int, Field(ge=2, le=1024)] = Field(
        32,
        description="Images per step; larger is steadier and needs more memory.",
        json_schema_extra=about("Batch size", "images"),
    )
    label_smoothing: Annotated[float, Field(ge=0.0, le=0.5)] = Field(
        0.0,
        description="Share of the target spread over all classes, so that the model is less "
        "certain of itself (Szegedy et al. 2016).",
        json_schema_extra=about("Label smoothing", "fraction"),
    )
    batch_norm: BatchNormMode = Field(
        "follow",
        description="What BatchNorm's running statistics do in training.",
        json_schema_extra=about(
            "BatchNorm statistics",
            follow="stages that learn follow the new pictures, frozen ones keep the old",
            frozen="all keep those of the pre-training: steadier with small batches",
            update="all follow the new pictures, in frozen stages too, as in a loop that forgets "
            "eval mode; a frozen backbone then does not stay as it was",
        ),
    )
    clip_norm: Annotated[float, Field(ge=0.0, le=1000.0)] = Field(
        0.0,
        description="Longest gradient that is let through; longer ones are shortened to it. "
        "0 lets all through.",
        json_schema_extra=about("Gradient clipping", "norm"),
    )
    ema_decay: Annotated[float, Field(ge=0.0, le=0.9999)] = Field(
        0.0,
        description="Keep and judge a moving average of the weights, of which this share is kept "
        "in each step (Polyak & Juditsky 1992); 0 keeps the last weights.",
        json_schema_extra=about("Average of weights", "share kept"),
    )
    mixup: Annotated[float, Field(ge=0.0, le=2.0)] = Field(
        0.0,
        description="Blend pairs of pictures and their labels; larger blends more evenly (Zhang "
        "et al. 2018). 0 blends none.",
        json_schema_extra=about("Mixup", "alpha"),
    )
    cutmix: Annotated[float, Field(ge=0.0, le=2.0)] = Field(
        0.0,
        description="Paste a piece of one picture into another and share the label by area (Yun "
        "et al. 2019); with mixup, each step takes one of the two. 0 pastes none.",
        json_schema_extra=about("CutMix", "alpha"),
    )
    class_balance: ClassBalance = Field(
        "none",
        description="How rare classes are given their due.",
        json_schema_extra=about(
            "Class balance",
            none="every picture counts the same",
            sampling="pictures of rare classes are drawn more often, so that all classes are seen "
            "equally often",
            loss="mistakes on rare classes weigh more",
        ),
    )
    precision: Literal["full", "mixed"] = Field(
        "full",
        description="Number format in which stages that learn are computed.",
        json_schema_extra=about(
            "Precision of training",
            full="32 bits: the same numbers on every machine of a kind; GPUs from 2020 on round "
            "what they multiply in convolutions to 19 bits (TF32), as PyTorch has it",
            mixed="16 bits where little is lost by it: faster and half the memory where the device "
            "has units for it; refused where it has none",
        ),
    )
    accumulation: Annotated[int, Field(ge=1, le=64)] = Field(
        1,
        description="Parts that each batch is computed in, one after the other, before a step is "
        "taken: less memory for the same batch size and steps. BatchNorm sees the parts.",
        json_schema_extra=about("Parts of a batch"),
    )
    gradient_checkpointing: bool = Field(
        False,
        description="Forget what stages give and compute it again on the way back (Chen et al. "
        "2016): the same numbers with much less memory, and about a third more time.",
        json_schema_extra=about("Gradient checkpointing"),
    )
    compile: bool = Field(
        False,
        description="Compile the network (torch.compile) for epochs that run all of it. That takes "
        "up to a minute each time other stages begin to learn, and may pay in long runs on a GPU; "
        "on two processor cores it made steps slower.",
        json_schema_extra=about("Compile"),
    )
    feature_precision: Literal["full", "half"] = Field(
        "full",
        description="How exactly the output of frozen stages is kept from epoch to epoch.",
        json_schema_extra=about(
            "Precision of kept features",
            full="as the network computes it",
            half="in 16 bits: half the room on disk, logits differ slightly, which is measured",
        ),
    )
    early_stopping: Annotated[int, Field(ge=0, le=1000)] = Field(
        0,
        description="Stop after so many validations without a better accuracy; 0 never stops "
        "early. The best epoch is kept either way.",
        json_schema_extra=about("Early stopping", "epochs"),
    )
    max_minutes: Annotated[float, Field(ge=0.0, le=100_000.0)] = Field(
        0.0,
        description="End after the first epoch that ends past so many minutes of training, from "
        "the first epoch on and over all resumes; 0 sets no limit. Learning rates are planned for "
        "all epochs, and the best epoch is kept.",
        json_schema_extra=about("Time limit", "minutes"),
    )
