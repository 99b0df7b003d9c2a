"""Validation images of a run on a plane, before and after training, as they are kept. No torch.

The picture is backed by numbers that no plane bends: how many images lie among their own class, and
how far classes lie apart, in the space of all features.
"""

import contextlib
import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, Self

from engine.data.manifest import Item
from engine.errors import WeightsError
from engine.files import write_text
from engine.home import CHECKPOINT_FILE, cache_folder, run_folder
from engine.insight.images import Answer, JudgedImage
from engine.insight.intervals import Estimate
from engine.runs.background import Work
from engine.runs.store import Run

Method = Literal["pca", "tsne"]
METHODS: dict[Method, str] = {"pca": "PCA", "tsne": "t-SNE"}
KIND = "embeddings"
MODULE = "engine.insight.embedding_worker"
# Goes up when the same checkpoint would give another embedding.
EDITION = 1
# More would be a blot, and t-SNE would take minutes.
MOST_IMAGES = 2000
LEAST_IMAGES = 4
SEED = 0


@dataclass(frozen=True)
class Plane:
    """The images on a plane, as one network sees them.

    Attributes:
        points: x and y of each image, in order.
        shares: of the variance: with PCA along x and y, with t-SNE that its neighbours are found
            in.
        is_among_own: of each image, whether its nearest neighbours speak for its class.
        neighbours: share of images of which they do.
        silhouette: how much nearer images are to their own class than to the next, from -1 to 1;
            None where that cannot be said.
    """

    points: tuple[tuple[float, float], ...]
    shares: tuple[float, ...]
    is_among_own: tuple[bool, ...]
    neighbours: Estimate
    silhouette: Estimate | None

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Returns what `asdict` made of it."""
        x_y = ((float(x), float(y)) for x, y in values["points"])
        return cls(
            tuple(x_y),
            tuple(values["shares"]),
            tuple(values["is_among_own"]),
            Estimate(**values["neighbours"]),
            _estimate(values["silhouette"]),
        )


@dataclass(frozen=True)
class Embedding:
    """The validation images of a run on a plane, before and after training.

    Attributes:
        run_id: of the run.
        method: how features were brought down to two numbers.
        images: with the one answer that the run's kept model gives.
        places: of the images among the run's validation images.
        num_val: validation images of the run; more than `images` where some were left out.
        before: as the backbone sees them that the run started from.
        after: as the backbone of its kept model sees them.
        more_neighbours: what training adds to `neighbours`, image by image.
        more_silhouette: what it adds to `silhouette`; None where that cannot be said.
        has_moved: whether a number of the backbone is another than before.
        started_from: the weights before, in plain words.
        seconds: that it took.
    """

    run_id: str
    method: Method
    images: tuple[JudgedImage, ...]
    places: tuple[int, ...]
    num_val: int
    before: Plane
    after: Plane
    more_neighbours: Estimate
    more_silhouette: Estimate | None
    has_moved: bool
    started_from: str
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        """Returns it as plain data for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Returns what `to_dict` gave.

        Raises:
            KeyError: something is missing.
            TypeError: it is of another kind.
        """
        images = (
            JudgedImage(**one | {"answers": tuple(Answer(**answer) for answer in one["answers"])})
            for one in values["images"]
        )
        parts = {
            "images": tuple(images),
            "places": tuple(values["places"]),
            "before": Plane.from_dict(values["before"]),
            "after": Plane.from_dict(values["after"]),
            "more_neighbours": Estimate(**values["more_neighbours"]),
            "more_silhouette": _estimate(values["more_silhouette"]),
        }
        return cls(**values | parts)


def _estimate(values: dict[str, float] | None) -> Estimate | None:
    return None if values is None else Estimate(**values)


def shown_places(items: Sequence[Item], most: int = MOST_IMAGES) -> list[int]:
    """Returns the positions of the images that are shown, in order.

    What is there twice is shown once: two of a kind would be each other's neighbours. Which of too
    many are shown is drawn from their contents, so that runs with other splits of the same images
    show the same ones.
    """
    first: dict[str, int] = {}
    for place, item in enumerate(items):
        first.setdefault(item.digest or item.path, place)
    drawn = sorted(first, key=lambda content: hashlib.sha256(f"{SEED}:{content}".encode()).digest())
    return sorted(first[content] for content in drawn[:most])


def why_not_embed(run: Run) -> str:
    """Returns why the images of a run cannot be shown on a plane, or an empty text."""
    if run.is_active:
        return f"{run.name} ({run.id}) is {run.status}; wait until it has ended."
    if not (run_folder(run.id) / CHECKPOINT_FILE).is_file():
        return (
            f"{run.name} ({run.id}) has kept no model: there is no {CHECKPOINT_FILE} in its "
            "folder. Train it again."
        )
    return ""


def embedding_key(run: Run, method: Method) -> str:
    """Returns the name under which an embedding is kept: of a checkpoint, its data and a method.

    Raises:
        WeightsError: the run goes on, or has kept no model.
    """
    if reason := why_not_embed(run):
        raise WeightsError(reason)
    status = (run_folder(run.id) / CHECKPOINT_FILE).stat()
    fingerprint = run.summary.get("fingerprint")
    parts = [EDITION, run.id, fingerprint, status.st_size, status.st_mtime_ns, method, MOST_IMAGES]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


def known_embedding(run: Run, method: Method) -> Embedding | None:
    """Returns the embedding of a run where it was worked out before.

    Raises:
        WeightsError: the run goes on, or has kept no model.
    """
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        text = _file(embedding_key(run, method)).read_text(encoding="utf-8")
        return Embedding.from_dict(json.loads(text))
    return None


def keep_embedding(run: Run, found: Embedding) -> None:
    """Keeps the embedding of a run."""
    write_text(_file(embedding_key(run, found.method)), json.dumps(found.to_dict()))


def _file(key: str) -> Path:
    return cache_folder(KIND) / f"{key}.plane.json"


def embedding_work(runs: Sequence[Run], method: Method) -> Work:
    """Returns the work of finding the embeddings of runs, one after the other.

    Raises:
        WeightsError: one of them goes on, or has kept no model.
    """
    keys = sorted(embedding_key(run, method) for run in runs)
    name = hashlib.sha256(json.dumps(keys).encode()).hexdigest()[:16]
    return work_of_key(name)


def work_of_key(key: str) -> Work:
    """Returns the work that has a key."""
    return Work(KIND, key, "Laying images out on a plane")


def start_embedding(runs: Sequence[Run], method: Method) -> None:
    """Starts to lay out the images of runs, unless that goes on already.

    Raises:
        WeightsError: one of them goes on, or has kept no model.
    """
    order = {"runs": [run.id for run in runs], "method": method}
    embedding_work(runs, method).start(MODULE, json.dumps(order))
