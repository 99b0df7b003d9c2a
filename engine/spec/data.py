"""Which images a run learns from."""

from typing import Annotated

from pydantic import Field, field_validator

from engine.fields import Part, about
from engine.spec.paths import absolute_path


class DataSpec(Part):
    """Which images, and which of them are held back for validation."""

    folder: str = Field(
        min_length=1,
        description="Folder of images, as train/<class>/* with val/<class>/*, or as <class>/*.",
        json_schema_extra=about("Image folder"),
    )
    val_folder: str | None = Field(
        None,
        description="Folder of validation images as <class>/*, where it lies elsewhere.",
        json_schema_extra=about("Validation folder"),
    )
    val_fraction: Annotated[float, Field(ge=0.05, le=0.5)] = Field(
        0.2,
        description="Share of each class held back for validation when the folder has no val/.",
        json_schema_extra=about("Validation share", "fraction"),
    )
    split_seed: Annotated[int, Field(ge=0, le=2**31 - 1)] = Field(
        0,
        description="Decides which images are held back when the folder has no val/.",
        json_schema_extra=about("Split seed"),
    )

    @field_validator("folder", "val_folder")
    @classmethod
    def _absolute(cls, value: str | None) -> str | None:
        return None if value is None else absolute_path(value, "folder")
