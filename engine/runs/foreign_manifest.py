"""The manifest of a run that came from a stranger, looked at in full before it is believed."""

import json
from pathlib import Path
from typing import Any, NamedTuple

# What stands between brackets and commas takes the more memory the shorter it is.
MOST_NODES = 5_000_000
MOST_CLASSES = 100_000


class Images(NamedTuple):
    """What a manifest says: classes and the labels of the validation images."""

    classes: tuple[str, ...]
    val_labels: list[int]


def read_images(file: Path) -> Images:
    """Returns what a manifest says, after a look at all of it.

    Raises:
        ValueError: it is none.
    """
    values = load_json(file)
    needed = {"classes", "train", "val", "left_out", "fingerprint"}
    if set(values) - {"notes", "spare", "earlier", "batches"} != needed:
        raise ValueError("manifest.json is none")
    classes = values["classes"]
    if not _texts(classes) or not 0 < len(classes) <= MOST_CLASSES:
        raise ValueError("the classes in manifest.json are none")
    for split in ("train", "val", "spare", "earlier"):
        items = values.get(split, [])
        if not isinstance(items, list):
            raise ValueError(f"{split} in manifest.json is no list")
        for item in items:
            _check_item(item, len(classes))
    if not isinstance(values["left_out"], list) or not all(map(_is_left_out, values["left_out"])):
        raise ValueError("files that were left out in manifest.json are none")
    _check_batches(values.get("batches", []), len(values["val"]))
    if not _texts([values["fingerprint"]]) or not _texts(values.get("notes", [])):
        raise ValueError("manifest.json is none")
    return Images(tuple(classes), [item["label"] for item in values["val"]])


def _check_batches(batches: Any, num_val: int) -> None:
    """Checks what the validation images of an update came with."""
    if not isinstance(batches, list) or not all(map(_is_batch, batches)):
        raise ValueError("the batches in manifest.json are none")
    if batches and sum(batch["num_val"] for batch in batches) != num_val:
        raise ValueError("the batches in manifest.json are of other images")


def _is_batch(one: Any) -> bool:
    return (
        isinstance(one, dict)
        and set(one) == {"name", "num_val"}
        and _texts([one["name"]])
        and type(one["num_val"]) is int
        and one["num_val"] >= 0
    )


def _check_item(item: Any, num_classes: int) -> None:
    if not isinstance(item, dict) or not {"path", "label"} <= set(item) <= {
        *("path", "label", "digest"),
    }:
        raise ValueError("an image in manifest.json is none")
    label = item["label"]
    is_label = type(label) is int and 0 <= label < num_classes
    if not is_label or not _texts([item["path"], item.get("digest", "")]):
        raise ValueError("an image in manifest.json has no class or path")


def _is_left_out(one: Any) -> bool:
    return isinstance(one, dict) and set(one) == {"path", "reason"} and _texts(list(one.values()))


def _texts(values: Any) -> bool:
    return isinstance(values, list) and all(
        isinstance(one, str) and "\0" not in one for one in values
    )


def load_json(file: Path) -> dict[str, Any]:
    """Returns the JSON object in a file, if it is of a size that fits into memory.

    Raises:
        ValueError: it is none, or it is too large.
    """
    return json_object(file.read_bytes(), file.name)


def json_object(content: bytes, name: str, finite: bool = True) -> dict[str, Any]:
    """Returns the JSON object in a text; see load_json.

    Args:
        content: in UTF-8.
        name: of the file, for sentences.
        finite: whether infinity is no number.
    """
    if sum(content.count(mark) for mark in (b",", b"[", b"{")) > MOST_NODES:
        raise ValueError(f"{name} holds more than any run's")
    try:
        values = json.loads(content, parse_constant=_refuse_constant if finite else float)
    except RecursionError as error:
        raise ValueError(f"{name} has lists within lists within lists") from error
    if not isinstance(values, dict):
        raise ValueError(f"{name} is no object")
    return values


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no number")
