"""Which images a run learns from."""

from typing import Annotated

from pydantic import Field, field_validator, model_validator

from engine.fields import Part, about
from engine.spec.paths import absolute_path


class DataSpec(Part):
    """Which images, and which of them are held back for validation."""

    folder: str = Field(
        min_length=1,
        description="Folder of images, as train/<class>/* with val/<class>/*, or as <class>/*; or "
        "a CSV or Parquet table of path, label and, where given, split.",
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
    train_fraction: Annotated[float, Field(gt=0.0, le=1.0)] = Field(
        1.0,
        description="Share of the training images of each class that is learnt from, at least one "
        "a class; a smaller share is part of a larger one, and the validation images stay. For "
        "learning curves: what more images bring.",
        json_schema_extra=about("Share of the training images", "fraction"),
    )
    keep_alike_together: bool = Field(
        True,
        description="Pictures that are the same or nearly so stay on one side of a split that is "
        "drawn: else accuracy is measured on pictures that were learnt.",
        json_schema_extra=about("Keep look-alikes on one side"),
    )
    folds: Annotated[int, Field(ge=0, le=20)] = Field(
        0,
        description="Cross-validation when the folder has no val/: so many runs, each held back "
        "another part of the images; 0 holds back the validation share once.",
        json_schema_extra=about("Folds"),
    )
    fold: Annotated[int, Field(ge=1, le=20)] = Field(
        1,
        description="Which of the folds is held back.",
        json_schema_extra=about("Fold"),
    )
    remedies: Annotated[str, Field(pattern=r"^([0-9a-f]{16})?$")] = Field(
        "",
        description="Name of the list of corrections (pictures left out, moved or given another "
        "class) that are applied, as `thaw correct` recorded it; the files stay as they are.",
        json_schema_extra=about("Corrections"),
    )

    @model_validator(mode="after")
    def _folds_go_together(self) -> "DataSpec":
        if self.folds == 1:
            raise ValueError("folds is 1, which holds back everything; take 0, or 2 to 20")
        if self.fold > max(self.folds, 1):
            raise ValueError(f"fold is {self.fold} and must be one of the {self.folds} folds")
        return self

    @field_validator("folder", "val_folder")
    @classmethod
    def _absolute(cls, value: str | None) -> str | None:
        return None if value is None else absolute_path(value, "folder")
