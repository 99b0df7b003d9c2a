"""The predictions of a run that came from a stranger, looked at before numpy reads them."""

import re
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.data.entries import Sparing
from engine.runs.foreign_manifest import Images
from engine.training.predictions import BEFORE_FILE

MOST_BYTES = 2**30
MOST_HEADER = 1024
MOST_AT_ONCE = 4 * 2**20
CHUNK = 2**20
NPY_HEADER = re.compile(
    rb"\x93NUMPY\x01\x00(?P<length>..)\{'descr': '(?P<dtype>[<|][a-z]\d)', "
    rb"'fortran_order': False, 'shape': \((?P<shape>[\d, ]{0,40})\), \} *\n",
    re.DOTALL,
)


def check_predictions(file: Path, images: Images) -> None:
    """Checks predictions against the manifest that they are of.

    Raises:
        ValueError: they are others, or none.
        BadZipFile: likewise.
        OSError: they cannot be read.
    """
    shape = (len(images.val_labels), len(images.classes))
    wanted = {
        "labels.npy": ("<i8", shape[:1]),
        "probabilities.npy": ("<f4", shape),
        "epoch.npy": ("<i8", ()),
    }
    with file.open("rb") as opened, zipfile.ZipFile(Sparing(opened, MOST_AT_ONCE)) as packed:
        if sorted(info.filename for info in packed.infolist()) != sorted(wanted):
            raise ValueError(f"{file.name} does not hold what it should")
        found = {
            name: _array(packed, name, dtype, size, f"{name} in {file.name}")
            for name, (dtype, size) in wanted.items()
        }
    if found["labels.npy"].tolist() != images.val_labels:
        raise ValueError(f"{file.name} has other labels than manifest.json")
    probabilities_NK = found["probabilities.npy"]
    if not (np.isfinite(probabilities_NK).all() and (probabilities_NK >= 0).all()):
        raise ValueError(f"{file.name} has a probability that is none")
    epoch = int(found["epoch.npy"])
    if epoch < 0 or (epoch and file.name == BEFORE_FILE):
        raise ValueError(f"{file.name} is of another epoch")


def _array(
    packed: zipfile.ZipFile, name: str, dtype: str, shape: tuple[int, ...], called: str
) -> NDArray[Any]:
    """Returns an array of the shape that is known before; its own header has to say the same."""
    num_bytes = int(np.prod(shape, dtype=np.float64)) * np.dtype(dtype).itemsize
    if num_bytes > MOST_BYTES:
        raise ValueError(f"{called} holds more than any run's")
    content = bytearray()
    with packed.open(name) as member:
        while len(content) <= num_bytes + MOST_HEADER and (chunk := member.read(CHUNK)):
            content += chunk
    header = NPY_HEADER.match(content)
    told = ", ".join(map(str, shape)) + ("," if len(shape) == 1 else "")
    if (
        header is None
        or (header["dtype"].decode(), header["shape"].decode()) != (dtype, told)
        or header.end() != 10 + int.from_bytes(header["length"], "little")
        or len(content) != header.end() + num_bytes
    ):
        raise ValueError(f"{called} is of another kind or size")
    return np.frombuffer(content, dtype, offset=header.end()).reshape(shape)
