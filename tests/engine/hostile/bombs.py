"""Opens pictures as large as are read, of every kind, and tells what that takes.

`python -m tests.engine.hostile.bombs FOLDER` makes them one by one, opens each in a process of its
own, and prints memory and time as JSON.
"""

import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image

from engine.data.decode import MAX_PIXELS, MAX_PIXELS_OF, decode_file
from engine.data.likeness import perceptual_hash

SIDE = int(MAX_PIXELS**0.5)
SIDE_OF_WEBP = int(MAX_PIXELS_OF["WEBP"] ** 0.5)


def _plain(mode: str, side: int = SIDE) -> Image.Image:
    return Image.new(mode, (side, side), 1)


def _turned() -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = 6
    return exif


BOMBS: dict[str, Callable[[Path], None]] = {
    "rgba.png": lambda file: _plain("RGBA").save(file, compress_level=1),
    "palette.png": lambda file: _plain("P").save(file, transparency=1, compress_level=1),
    "deep.png": lambda file: _plain("I;16").save(file, compress_level=1),
    "float.tif": lambda file: _plain("F").save(file, compression="tiff_adobe_deflate"),
    "group4.tif": lambda file: _plain("1").save(file, compression="group4"),
    "progressive.jpg": lambda file: _plain("CMYK").save(file, progressive=True, subsampling=0),
    "turned.jpg": lambda file: _plain("RGB").save(file, exif=_turned()),
    "alpha.webp": lambda file: _plain("RGBA", SIDE_OF_WEBP).save(file, lossless=True, method=0),
    "palette.gif": lambda file: _plain("P").save(file, transparency=1),
    "line.png": lambda file: Image.new("1", (100_000_000, 1)).save(file),
}


def _made(kind: str, file: Path) -> None:
    BOMBS[kind](file)


def _opened(file: Path) -> dict[str, float]:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.process_time()
    perceptual_hash(decode_file(file)[0])
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {"mib": (after - before) / 1024, "seconds": time.process_time() - started}


def main(folder: Path) -> dict[str, Any]:
    """Returns what each takes."""
    found = {}
    for kind in BOMBS:
        file = folder / kind
        # A process keeps the memory that it has had.
        for step in ("make", "open"):
            command = [sys.executable, "-m", "tests.engine.hostile.bombs", str(file), step, kind]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
        found[kind] = json.loads(done.stdout) | {"bytes": file.stat().st_size}
        file.unlink()
    return found


if __name__ == "__main__":
    where, *what = sys.argv[1:]
    if not what:
        print(json.dumps(main(Path(where))))
    elif what[0] == "make":
        _made(what[1], Path(where))
    else:
        print(json.dumps(_opened(Path(where))))
