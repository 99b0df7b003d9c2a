"""Every backbone that Thaw knows, as plain records: no torch is imported here.

The facts were read from the libraries themselves by `engine.models.make_index` and lie beside this
file, a line an architecture. A backbone is one architecture with one set of pre-trained weights,
`library/architecture.tag`, as `torchvision/resnet50.IMAGENET1K_V2`.
"""

import difflib
import json
from collections.abc import Collection
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

INDEX_FILE = Path(__file__).with_name("index.jsonl")
LIBRARIES = ("bundled", "torchvision", "timm")
DEFAULT_BACKBONE = "efficientnet_lite0"
Sizes = Literal["any", "resized", "fixed"]
# Which parameters of a stage may learn; `engine.models.select` finds them.
Select = Literal["all", "norms", "biases", "adapters"]


@dataclass(frozen=True)
class StageRecord:
    """One stage of a backbone.

    Attributes:
        name: used in specs, phases and metric keys.
        label: what a person reads.
        num_parameters: learnable numbers in it.
        num_norm: of those, how many lie in normalisation layers.
        num_bias: of those, how many are biases, the norms' included.
        lora_unit: learnable numbers that low-rank adapters of rank 1 would add to it.
    """

    name: str
    label: str
    num_parameters: int
    num_norm: int
    num_bias: int
    lora_unit: int

    def count(self, select: Select, rank: int) -> int:
        """Returns how many learnable numbers of it a Select means.

        Args:
            select: which of its parameters.
            rank: of the adapters, where those are meant.
        """
        counts: dict[Select, int] = {
            "all": self.num_parameters,
            "norms": self.num_norm,
            "biases": self.num_bias,
            "adapters": rank * self.lora_unit,
        }
        return counts[select]


@dataclass(frozen=True)
class BackboneRecord:
    """A pre-trained network without its classifier.

    Attributes:
        name: used in specs.
        label: what a person reads.
        library: who wrote the architecture: `bundled` (weights come as a package), `torchvision`
            or `timm`.
        architecture: what that library calls it.
        tag: which of its weights; empty where there are none, and it can only start from random.
        num_features: width of what it hands to the head.
        stages: stem first; they partition the parameters.
        gmacs: billions of multiply-adds for one picture of `default_size`; None where unknown.
        sizes: `any` picture size, `resized` (its position embeddings are stretched to the size
            asked for) or `fixed` to `default_size`.
        default_size: side in px of the pictures it was pre-trained on.
        mean: per RGB channel, on a 0..1 scale.
        std: per RGB channel, on a 0..1 scale.
        interpolation: how pictures were resized in pre-training.
        crop_fraction: share of the resized picture that its evaluation crop keeps.
        own_fit: how its own evaluation fits a picture to the square.
        top1: share of ImageNet's validation pictures it gets right, where the library states it.
        licence: of the weights, where the library states it.
        weights_file: name of the file as the library publishes it.
        weights_source: URL of that file, or the repository on the Hugging Face hub.
        weights_hash: first hex digits of the file's SHA-256, where the library states them.
        num_classes: that the weights were trained to tell apart.
    """

    name: str
    label: str
    library: str
    architecture: str
    tag: str
    num_features: int
    stages: tuple[StageRecord, ...]
    gmacs: float | None
    sizes: Sizes
    default_size: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    interpolation: str
    crop_fraction: float
    own_fit: str
    top1: float | None
    licence: str
    weights_file: str
    weights_source: str
    weights_hash: str
    num_classes: int

    @property
    def num_parameters(self) -> int:
        """Learnable numbers in all stages together."""
        return sum(stage.num_parameters for stage in self.stages)

    @property
    def stage_names(self) -> tuple[str, ...]:
        """The stages' names, stem first."""
        return tuple(stage.name for stage in self.stages)

    def count(self, select: Select, rank: int, stage_names: Collection[str]) -> int:
        """Returns how many learnable numbers of the named stages a Select means.

        Args:
            select: which of a stage's parameters.
            rank: of the adapters, where those are meant.
            stage_names: the stages that learn.
        """
        return sum(stage.count(select, rank) for stage in self.stages if stage.name in stage_names)

    def gmacs_at(self, size: int) -> float | None:
        """Returns about how many billion multiply-adds a picture of another size takes.

        The cost of convolutions grows with the area; of attention, somewhat faster.
        """
        return None if self.gmacs is None else self.gmacs * (size / self.default_size) ** 2


class UnknownBackboneError(KeyError):
    """No backbone has that name; `sentence` says so and names the nearest."""

    def __init__(self, name: str, sentence: str):
        super().__init__(name)
        self.sentence = sentence


@cache
def _index() -> dict[str, dict[str, Any]]:
    lines = INDEX_FILE.read_text(encoding="utf-8").splitlines()
    entries = (json.loads(line) for line in lines)
    return {f"{entry['library']}/{entry['architecture']}": entry for entry in entries}


@cache
def backbone_names() -> tuple[str, ...]:
    """Returns the full names of all backbones that can be used: bundled first, then by library."""
    names = []
    for entry in _index().values():
        if not entry.get("refused"):
            names += [_full_name(entry, weights["tag"]) for weights in entry["weights"]]
    return tuple(names)


@cache
def refused() -> dict[str, str]:
    """Returns the architectures that cannot be used, each with the reason in one sentence."""
    return {name: e["refused"] for name, e in _index().items() if e.get("refused")}


def full_name(name: str) -> str:
    """Returns the full name for one that leaves out library or tag, as in `resnet50`.

    Without a library it is looked for in the order of LIBRARIES; without a tag the library's
    default weights are meant.

    Raises:
        UnknownBackboneError: there is none; or it cannot be used, and why.
    """
    entry, tag = _find(name)
    return _full_name(entry, tag)


@cache
def backbone_record(name: str) -> BackboneRecord:
    """Returns what is known of a backbone, named in full or in short.

    Raises:
        UnknownBackboneError: there is none; or it cannot be used, and why.
    """
    entry, tag = _find(name)
    weights = next(one for one in entry["weights"] if one["tag"] == tag)
    return BackboneRecord(
        name=_full_name(entry, tag),
        label=_label(entry, tag),
        library=entry["library"],
        architecture=entry["architecture"],
        tag=tag,
        num_features=entry["features"],
        stages=tuple(StageRecord(*stage) for stage in entry["stages"]),
        gmacs=_scaled(entry, weights["size"]),
        sizes=entry["sizes"],
        default_size=weights["size"],
        mean=tuple(weights["mean"]),
        std=tuple(weights["std"]),
        interpolation=weights["interpolation"],
        crop_fraction=weights["crop"],
        own_fit=weights.get("fit", "crop"),
        top1=weights.get("top1"),
        licence=weights.get("licence", ""),
        weights_file=weights.get("file", ""),
        weights_source=weights.get("source", ""),
        weights_hash=weights.get("hash", ""),
        num_classes=weights.get("classes", 0),
    )


def search(text: str = "", library: str = "") -> list[BackboneRecord]:
    """Returns the backbones whose name holds every word of the text, in the catalogue's order."""
    words = text.lower().split()
    return [
        record
        for name in backbone_names()
        if all(word in name.lower() for word in words)
        for record in [backbone_record(name)]
        if library in ("", record.library)
    ]


def _scaled(entry: dict[str, Any], size: int) -> float | None:
    gmacs = entry.get("gmacs")
    return None if gmacs is None else float(gmacs * (size / entry["gmacs_size"]) ** 2)


def _full_name(entry: dict[str, Any], tag: str) -> str:
    if entry["library"] == "bundled":
        return str(entry["architecture"])
    return f"{entry['library']}/{entry['architecture']}" + (f".{tag}" if tag else "")


def _label(entry: dict[str, Any], tag: str) -> str:
    source = "comes with Thaw" if entry["library"] == "bundled" else entry["library"]
    weights = f", {tag}" if tag and entry["library"] != "bundled" else ""
    return f"{entry['label']} ({source}{weights})"


def _find(name: str) -> tuple[dict[str, Any], str]:
    library, slash, rest = name.partition("/")
    libraries, rest = ((library,), rest) if slash else (LIBRARIES, name)
    architecture, _, tag = rest.partition(".")
    for library in libraries:
        entry = _index().get(f"{library}/{architecture}")
        if entry is None:
            continue
        if entry.get("refused"):
            raise UnknownBackboneError(name, f"cannot be used: {entry['refused'].rstrip('.')}")
        tags = [weights["tag"] for weights in entry["weights"]]
        if tag in tags:
            return entry, tag
        if not tag:
            return entry, tags[0]
    raise UnknownBackboneError(name, _nearest(name))


def _nearest(name: str) -> str:
    known = [*_index(), *backbone_names()]
    short = {full.partition("/")[2]: full for full in reversed(known)}
    near = difflib.get_close_matches(name.lower(), [*known, *short], n=3, cutoff=0.6)
    found = ", ".join(dict.fromkeys(short.get(one, one) for one in near))
    return (
        "must be the name of a backbone, such as efficientnet_lite0 or torchvision/resnet50; "
        + (f"near it are {found}; " if found else "")
        + "`thaw models TEXT` and the Models page find them all"
    )


def head_parameters(kind: str, num_features: int, hidden_units: int, num_classes: int) -> int:
    """Returns how many learnable numbers a head has."""
    if kind == "linear":
        return (num_features + 1) * num_classes
    return (num_features + 1) * hidden_units + (hidden_units + 1) * num_classes
