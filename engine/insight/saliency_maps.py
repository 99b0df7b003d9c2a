"""Where in a picture a run's model looks: what is asked, what was found, and kept. No torch here.

Each map is kept in THAW_HOME's cache under a name that stands for the run's checkpoint, the picture
and the class, so the same is never worked out twice.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from engine.data.check import content_digest
from engine.errors import DataError, WeightsError
from engine.files import write_text
from engine.home import CHECKPOINT_FILE, cache_folder, run_folder

Method = Literal["fit", "occlusion"]

KIND = "saliency"
# Goes up when the same checkpoint and picture would give another map.
EDITION = 1


@dataclass(frozen=True)
class SaliencyMap:
    """Which parts of a picture speak for a class, as a run's model sees it.

    Attributes:
        run_id: the run.
        path: of the picture's file.
        class_name: the class that it speaks for.
        probability: of that class, as the model says.
        named: the class that the model finds most probable.
        values: rows of cells from the top, each from 0 to 1, the strongest being 1; all are 0
            where nothing speaks for the class.
        method: name of the method that it was found by.
        cells: what its cells are, in a few words.
        mean: that pixels were normalised with; the bars of a picture that is padded have it.
    """

    run_id: str
    path: str
    class_name: str
    probability: float
    named: str
    values: tuple[tuple[float, ...], ...]
    method: str
    cells: str
    mean: tuple[float, float, float]

    @property
    def grid(self) -> NDArray[np.float64]:
        """Its cells (rows, columns)."""
        return np.array(self.values, dtype=np.float64)

    @property
    def is_empty(self) -> bool:
        """Whether nothing in the picture speaks for the class."""
        return not self.grid.any()

    def to_dict(self) -> dict[str, Any]:
        """Returns it as plain data."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "SaliencyMap":
        """Returns what `to_dict` gave, by way of JSON or not."""
        red, green, blue = values["mean"]
        rows = tuple(tuple(float(one) for one in row) for row in values["values"])
        return cls(**values | {"values": rows, "mean": (red, green, blue)})


@dataclass(frozen=True)
class Question:
    """What a map is asked of.

    Attributes:
        run_id: the run, whose best checkpoint answers.
        path: of the picture's file.
        classes: names of those that a map is wanted for.
        method: `fit` for what fits the network, or `occlusion`.
    """

    run_id: str
    path: str
    classes: tuple[str, ...]
    method: Method = "fit"

    def keys(self) -> dict[str, str]:
        """Returns the name that the map for each class is kept under.

        Raises:
            WeightsError: the run has no checkpoint.
            DataError: the picture cannot be read.
        """
        # What a checkpoint holds is known by when it was written: it is large.
        text = [EDITION, self.method, self.run_id, _written(self.run_id), digest_of(self.path)]
        return {
            name: hashlib.sha256(json.dumps([*text, name]).encode()).hexdigest()[:24]
            for name in self.classes
        }


def _written(run_id: str) -> tuple[int, int]:
    file = run_folder(run_id) / CHECKPOINT_FILE
    try:
        status = file.stat()
    except OSError as error:
        raise WeightsError(
            f"The run {run_id} has no checkpoint any more ({file} is not there), so its model "
            "cannot be asked; train it again."
        ) from error
    return status.st_mtime_ns, status.st_size


def digest_of(path: str) -> str:
    """Returns what stands for a picture's content.

    Raises:
        DataError: it cannot be read.
    """
    try:
        return content_digest(Path(path))
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read ({error}); put the picture back.") from error


def known_maps(question: Question) -> dict[str, SaliencyMap]:
    """Returns the maps that were found before, by class.

    Raises:
        WeightsError: the run has no checkpoint.
        DataError: the picture cannot be read.
    """
    known = {}
    for name, key in question.keys().items():
        # Torn or of another edition: it is asked anew.
        with suppress(OSError, ValueError, TypeError, KeyError):
            values = json.loads(_file(key).read_text(encoding="utf-8"))
            known[name] = SaliencyMap.from_dict(values)
    return known


def keep_maps(keys: Mapping[str, str], maps: Iterable[SaliencyMap]) -> None:
    """Keeps maps under the names that their question gave before they were worked out.

    Args:
        keys: by class.
        maps: of those classes.
    """
    for one in maps:
        write_text(_file(keys[one.class_name]), json.dumps(one.to_dict()))


def _file(key: str) -> Path:
    return cache_folder(KIND) / f"{key}.map.json"


def work_key(questions: Sequence[Question]) -> str:
    """Returns what stands for all maps that questions ask for.

    Raises:
        WeightsError: a run has no checkpoint.
        DataError: a picture cannot be read.
    """
    keys = sorted(key for one in questions for key in one.keys().values())
    return hashlib.sha256(json.dumps(keys).encode()).hexdigest()[:16]
