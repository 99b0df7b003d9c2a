"""How pictures are prepared."""

from typing import Annotated, Literal

from pydantic import Field

from engine.fields import Part, about

Fit = Literal["crop", "squash", "pad"]
Augmentation = Literal["none", "flip", "standard", "rand", "trivial"]
Normalisation = Literal["backbone", "rescale", "dataset"]

LEAST_SIZE = 32


class ImageSpec(Part):
    """How a picture becomes the square that the backbone sees."""

    size: Annotated[int, Field(ge=LEAST_SIZE, le=1024)] = Field(
        224,
        description="Side of the square; larger sees more detail and costs time with its square.",
        json_schema_extra=about("Image size", "px"),
    )
    start_size: Annotated[int, Field(ge=0, le=1024)] = Field(
        0,
        description="Progressive resizing: train on pictures of this size at first, which grow to "
        "the image size in three quarters of the epochs in which all of the backbone learns: "
        "faster, if there are at least two. Where its first stages are frozen, they are computed "
        "once, at the full size. 0 keeps one size.",
        json_schema_extra=about("Size at first", "px"),
    )
    fit: Fit = Field(
        "crop",
        description="How a picture is fitted to the square; try all three, it often decides more "
        "than any other slider.",
        json_schema_extra=about(
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
        json_schema_extra=about(
            "Augmentation",
            none="every epoch sees the same pictures; a frozen backbone runs only once",
            flip="mirrored left to right at random",
            standard="random crop of 60 to 100 % of the area, mirrored, colours jittered",
            rand="mirrored, then two random changes of medium strength (RandAugment, Cubuk et al. "
            "2020)",
            trivial="mirrored, then one random change of any strength (TrivialAugment, Müller & "
            "Hutter 2021)",
        ),
    )
    views: Annotated[int, Field(ge=0, le=50)] = Field(
        0,
        description="So many differently changed versions of each training picture, which come "
        "again and again: what is frozen is then computed once a view and not once an epoch. 0 "
        "changes pictures anew in every epoch, which curbs overfitting best.",
        json_schema_extra=about("Augmented views", "a picture"),
    )

    normalisation: Normalisation = Field(
        "backbone",
        description="How pixel values are scaled; a backbone knows only the scale that it was "
        "pre-trained with.",
        json_schema_extra=about(
            "Normalisation",
            backbone="mean and standard deviation of the pre-training: the right one",
            rescale="to 0..1 and no further, as simple tutorials do",
            dataset="mean and standard deviation of your own training images",
        ),
    )
