"""What is known of a data set before any picture is decoded. No torch is imported here."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from PIL import Image

from engine.data.decode import FORMATS
from engine.data.intake import files_of
from engine.data.splits import share_size, stratified_split
from engine.errors import DataError
from engine.spec import DataSpec

SAMPLE_SIZE = 200


@dataclass(frozen=True)
class DataFacts:
    """What recipes adapt to.

    Attributes:
        num_train: images to train on; files that will turn out to be damaged are counted.
        typical_side_px: side of the square that has as many pixels as the median picture.
    """

    num_train: int
    typical_side_px: int


def data_facts(spec: DataSpec) -> DataFacts:
    """Returns the facts of a spec's pictures, from a scan of the folder and a few file headers.

    Raises:
        DataError: the folder cannot be used, or none of the pictures looked at can be read.
    """
    found = files_of(spec)
    train: Sequence[Sequence[Path]] = found.train
    if found.val is None:
        share = 1 / spec.folds if spec.folds else spec.val_fraction
        train = stratified_split(found.train, share, spec.split_seed).train
    files = [path for group in train for path in group]
    num_train = sum(share_size(len(group), spec.train_fraction) for group in train)
    return DataFacts(num_train, typical_side(files))


def typical_side(files: Sequence[Path]) -> int:
    """Returns the side in px of the square that has as many pixels as the median picture.

    Of many pictures, SAMPLE_SIZE are looked at, evenly spread over the list; no pixel is decoded.

    Raises:
        DataError: none of those can be read.
    """
    num_looked_at = min(len(files), SAMPLE_SIZE)
    chosen = [files[index * len(files) // num_looked_at] for index in range(num_looked_at)]
    areas = [area for area in map(_num_pixels, chosen) if area is not None]
    if not areas:
        raise DataError(
            f"None of the {num_looked_at} pictures looked at can be read, such as {files[0]}; "
            "check what is in the folder."
            if files
            else "There are no pictures to train on; add some."
        )
    return round(math.sqrt(median(areas)))


def _num_pixels(path: Path) -> int | None:
    try:
        with Image.open(path, formats=FORMATS) as picture:
            return picture.width * picture.height
    except Exception:
        # Pillow raises whatever a damaged header makes it stumble over; the run itself says why.
        return None
