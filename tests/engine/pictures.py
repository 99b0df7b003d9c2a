"""Synthetic picture files of every kind that people bring."""

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

RED, GREEN, BLUE, YELLOW = (230, 20, 20), (20, 200, 20), (20, 20, 230), (230, 230, 20)


def quarters(width: int = 64, height: int = 48) -> Image.Image:
    """Red and green above, blue and yellow below, so that any turn or flip shows."""
    picture = Image.new("RGB", (width, height), RED)
    half_width, half_height = width // 2, height // 2
    picture.paste(GREEN, (half_width, 0, width, half_height))
    picture.paste(BLUE, (0, half_height, half_width, height))
    picture.paste(YELLOW, (half_width, half_height, width, height))
    return picture


def corners(picture: Image.Image) -> list[tuple[int, int, int]]:
    """The colours near top left, top right, bottom left and bottom right."""
    width, height = picture.size
    x, y = width // 8, height // 8
    places = [(x, y), (width - 1 - x, y), (x, height - 1 - y), (width - 1 - x, height - 1 - y)]
    return [picture.getpixel(place) for place in places]  # type: ignore[misc]


def near(colour: Any, expected: Any, tolerance: int = 12) -> bool:
    """Whether two colours are alike, as far as JPEG lets them be."""
    difference = np.abs(np.asarray(colour, dtype=int) - np.asarray(expected, dtype=int))
    return bool((difference <= tolerance).all())


def save(picture: Image.Image, file: Path, **options: Any) -> Path:
    """Writes a picture, its folder too if need be."""
    file.parent.mkdir(parents=True, exist_ok=True)
    picture.save(file, **options)
    return file


def distinct_pictures(folder: Path, num_per_class: dict[str, int]) -> Path:
    """Writes small PNG files of which no two are alike, as <class>/*."""
    shade = 0
    for name, count in num_per_class.items():
        for index in range(count):
            shade += 1
            colour = (shade % 256, shade // 256, 90)
            save(Image.new("RGB", (12, 12), colour), folder / name / f"{index:03d}.png")
    return folder
