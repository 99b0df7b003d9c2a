"""Data sets of the Hugging Face Hub, or in its formats, as folders of pictures.

Goes through the `datasets` library, which is not installed with Thaw by itself. That library runs
no code of a data set from version 4 on.
"""

import contextlib
import logging
import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.data.class_folders import Labelled, Split, Written, write_folders
from engine.data.entry_names import folder_name
from engine.data.fetchable import Progress
from engine.data.found import TEST_NAMES, TRAIN_NAMES, VAL_NAMES
from engine.data.staging import DISK_ERRNOS
from engine.errors import DataError

HUB = "hf:"
ANSWER_SECONDS = 30.0
TEXT_TYPES = ("string", "large_string")
NUMBER_TYPES = ("int", "uint", "bool")


@dataclass(frozen=True)
class HubName:
    """Which data set is meant, and which of its columns.

    Attributes:
        name: of the hub, or a path of this machine.
        config: one of its configurations; empty for the only one.
        is_local: whether it lies on this machine.
        image_column: that holds the pictures; found if empty.
        label_column: that holds the classes; found if empty.
    """

    name: str
    config: str
    is_local: bool
    image_column: str = ""
    label_column: str = ""

    @classmethod
    def parse(cls, text: str, image_column: str = "", label_column: str = "") -> "HubName":
        """Returns what `hf:owner/name`, `hf:owner/name:config` or `hf:/path` means.

        Raises:
            DataError: it names nothing.
        """
        rest = text.removeprefix(HUB).strip()
        path = Path(rest).expanduser()
        if not rest:
            raise DataError("Name a data set after hf:, such as hf:owner/name.")
        if path.is_absolute() or rest.startswith("."):
            if not path.exists():
                raise DataError(f"There is no {path}; check the path for a typing error.")
            return cls(str(path.resolve()), "", True, image_column, label_column)
        name, _, config = rest.partition(":")
        return cls(name, config, False, image_column, label_column)

    @property
    def folder(self) -> str:
        """A name for its folder."""
        if self.is_local:
            path = Path(self.name)
            return folder_name(path.name if path.is_dir() else path.stem)
        return folder_name(f"{self.name}_{self.config}" if self.config else self.name)

    @property
    def origin(self) -> str:
        """What tells it from any other; empty where it may change at any time."""
        if self.is_local:
            return ""
        return "|".join((HUB + self.name, self.config, self.image_column, self.label_column))


def take_from_hub(
    wanted: HubName, downloads: Path, part: Path, progress: Progress
) -> tuple[Written, tuple[str, ...]]:
    """Downloads a data set, and writes its pictures as class folders; returns notes on it, too.

    Args:
        wanted: names the data set.
        downloads: a folder in which it is prepared.
        part: the folder to write to.
        progress: is told what is done.

    Raises:
        DataError: it cannot be downloaded, or has no pictures with classes, or there is a choice.
    """
    progress("downloading", 0, 0)
    with (
        _library() as library,
        tempfile.TemporaryDirectory(dir=downloads, prefix=".hub-") as scratch,
    ):
        loaded = _load(library, wanted, scratch)
        train, val = _train_and_val(list(loaded), wanted)
        columns = _Columns.find(library, loaded[train].features, wanted)
        chosen = {"train": train, "val": val} if val else {"": train}
        with _sentences(wanted):
            splits = [
                Split(folder, len(loaded[name]), columns.pictures(library, loaded[name]))
                for folder, name in chosen.items()
            ]
            written = write_folders(splits, part, progress)
    _require_labels(written, columns, wanted)
    return written, _notes(list(loaded), train, val, written)


@contextlib.contextmanager
def _library() -> Iterator[Any]:
    """Gives the `datasets` library, which prints nothing meanwhile."""
    try:
        import datasets
        from huggingface_hub.utils import logging as hub_logging
    except ImportError as error:
        raise DataError(
            "Data sets of the Hugging Face Hub need a library that is not installed; install it "
            "with: pip install 'thaw-lab[hub]'"
        ) from error
    had_bars = not datasets.utils.are_progress_bars_disabled()
    levels = datasets.logging.get_verbosity(), hub_logging.get_verbosity()
    datasets.disable_progress_bars()
    datasets.logging.set_verbosity_error()
    hub_logging.set_verbosity(logging.CRITICAL)
    try:
        yield datasets
    finally:
        datasets.logging.set_verbosity(levels[0])
        hub_logging.set_verbosity(levels[1])
        if had_bars:
            datasets.enable_progress_bars()


def _load(library: Any, wanted: HubName, scratch: str) -> Any:
    with _sentences(wanted):
        if wanted.is_local and Path(wanted.name).is_file():
            return library.load_dataset("parquet", data_files=wanted.name, cache_dir=scratch)
        if not wanted.is_local:
            from huggingface_hub import HfApi

            # Tells at once why it cannot be had; what follows tries long and says less.
            HfApi().dataset_info(wanted.name, timeout=ANSWER_SECONDS)
        return library.load_dataset(wanted.name, wanted.config or None, cache_dir=scratch)


@contextlib.contextmanager
def _sentences(wanted: HubName) -> Iterator[None]:
    """Turns what the library stumbles over into a sentence; what the disk says is let through."""
    try:
        yield
    except DataError:
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.errno in DISK_ERRNOS:
            raise
        # Each version of the library has errors of its own, and lets those of others through.
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        said = " ".join(lines[:2]).rstrip(".") or type(error).__name__
        said = re.sub(r"^\[Errno -?\d+\] ", "", said)
        mend = (
            "check the path"
            if wanted.is_local
            else f"check its name, the network and, if it is not public, `hf auth login`; a "
            f"configuration is named as {HUB}{wanted.name}:CONFIG, a folder as {HUB}/path"
        )
        raise DataError(f"{wanted.name} cannot be taken in ({said}); {mend}.") from error


def _train_and_val(names: list[str], wanted: HubName) -> tuple[str, str]:
    """Returns the names of the splits to train on and to judge by; the second may be empty."""
    train = next((name for name in TRAIN_NAMES if name in names), "")
    if not train and len(names) == 1:
        return names[0], ""
    if not train:
        raise DataError(
            f"{wanted.name} has the splits {', '.join(names)}, of which none is called train, so "
            "Thaw does not know which to train on."
        )
    return train, next((name for name in (*VAL_NAMES, *TEST_NAMES) if name in names), "")


def _notes(names: list[str], train: str, val: str, written: Written) -> tuple[str, ...]:
    notes = [f"Its split {name} is not used." for name in names if name not in (train, val)]
    if val and written.by_class["val"]:
        return (f"Runs are judged on its split {val}.", *notes)
    if val:
        notes.insert(0, f"Its split {val} tells no classes.")
    return ("Thaw holds a share of each class back to judge by.", *notes)


@dataclass(frozen=True)
class _Columns:
    """Where a data set keeps its pictures and their classes.

    Attributes:
        image: column of the pictures.
        label: column of the classes.
        names: of the classes, by number; None where the column holds the names themselves.
    """

    image: str
    label: str
    names: tuple[str, ...] | None

    @classmethod
    def find(cls, library: Any, features: Any, wanted: HubName) -> "_Columns":
        """Returns the columns that were chosen, or the only ones of their kind.

        Raises:
            DataError: there is none, or more than one.
        """
        images = [name for name, kind in features.items() if _holds_pictures(library, kind)]
        image = wanted.image_column or _only(images, "pictures", "--image-column", features, wanted)
        labels = [n for n, kind in features.items() if isinstance(kind, library.ClassLabel)]
        labels = labels or [n for n, kind in features.items() if _dtype(kind) in TEXT_TYPES]
        labels = [name for name in labels if name != image]
        label = wanted.label_column or _only(labels, "classes", "--label-column", features, wanted)
        for name in (image, label):
            if name not in features:
                raise DataError(
                    f"{wanted.name} has no column {name!r}; it has {', '.join(features)}."
                )
        if isinstance(features[label], library.ClassLabel):
            return cls(image, label, tuple(features[label].names))
        if not _dtype(features[label]).startswith((*TEXT_TYPES, *NUMBER_TYPES)):
            raise DataError(
                f"The column {label!r} of {wanted.name} holds {features[label]}, not classes; "
                "choose another with --label-column."
            )
        return cls(image, label, None)

    def pictures(self, library: Any, dataset: Any) -> Iterator[Labelled]:
        """Yields the pictures of a split, as the bytes or files that they are."""
        bare = dataset.select_columns([self.image, self.label])
        for row in bare.cast_column(self.image, library.Image(decode=False)):
            value, label = row[self.image], row[self.label]
            content: Path | bytes | None = (value or {}).get("bytes")
            if content is None and value and Path(value["path"]).is_file():
                content = Path(value["path"])
            yield Labelled(content, self._name_of(label))

    def _name_of(self, label: Any) -> str:
        if label is None:
            return ""
        if self.names is None:
            return str(label)
        # Those that are kept secret are -1.
        return self.names[label] if label >= 0 else ""


def _holds_pictures(library: Any, kind: Any) -> bool:
    # Parquet files that other programs wrote lack the type, but have its two fields.
    return isinstance(kind, library.Image) or (
        isinstance(kind, dict) and set(kind) == {"bytes", "path"}
    )


def _dtype(kind: Any) -> str:
    return str(getattr(kind, "dtype", ""))


def _only(names: list[str], what: str, option: str, features: Any, wanted: HubName) -> str:
    if len(names) == 1:
        return names[0]
    if names:
        raise DataError(
            f"{wanted.name} has several columns that may hold its {what} ({', '.join(names)}); "
            f"choose one with {option}."
        )
    raise DataError(
        f"{wanted.name} has no column of {what}; it has {', '.join(features)}. If one of them is "
        f"meant, name it with {option}."
    )


def _require_labels(written: Written, columns: _Columns, wanted: HubName) -> None:
    """Refuses a column of captions or file names that was taken for one of classes."""
    train = next(iter(written.by_class.values()))
    if columns.names is None and not wanted.label_column and 2 * len(train) > sum(train.values()):
        raise DataError(
            f"The column {columns.label!r} of {wanted.name} has {len(train):,} values for "
            f"{sum(train.values()):,} pictures, so it seems to hold no classes; choose a column "
            "with --label-column."
        )
