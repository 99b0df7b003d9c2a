"""Weights from a person's own file, laid into a network, with a report of what matched."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from engine.errors import WeightsError
from engine.models.catalogue import BackboneRecord
from engine.models.weights import read_tensors

# What wrappers put before a tensor's name: Thaw's checkpoints, DataParallel, compile, trainers.
_PREFIXES = ("", "backbone.network.", "module.", "model.", "_orig_mod.", "backbone.", "network.")
_SHOWN = 3


@dataclass(frozen=True)
class MatchReport:
    """What of a file went into a network.

    Attributes:
        file: the path.
        num_matched: tensors that were taken.
        num_expected: tensors that the network has.
        left_out: names in the file that belong to a head, or to nothing the network has.
        missing: names in the network that the file has not.
        misshapen: names whose shapes differ, with both shapes.
    """

    file: str
    num_matched: int
    num_expected: int
    left_out: tuple[str, ...]
    missing: tuple[str, ...]
    misshapen: tuple[str, ...]

    @property
    def fits(self) -> bool:
        """Whether each of the network's tensors is in the file."""
        return not self.missing and not self.misshapen

    def sentence(self) -> str:
        """Returns the report in plain words."""
        parts = [
            f"{self.num_matched} of the backbone's {self.num_expected} tensors were in "
            f"{Path(self.file).name}"
        ]
        for names, what in (
            (self.left_out, "left out as a head or unknown"),
            (self.missing, "missing"),
            (self.misshapen, "of another shape"),
        ):
            if names:
                parts.append(f"{len(names)} {what}: {_list(names)}")
        return "; ".join(parts)

    def to_dict(self) -> dict[str, Any]:
        """Returns the report as plain data."""
        return asdict(self) | {"fits": self.fits, "sentence": self.sentence()}


def _list(names: tuple[str, ...]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def match(network: nn.Module, tensors: Mapping[str, Tensor], file: Path) -> MatchReport:
    """Returns how the tensors of a file fit a network whose classifier was taken off."""
    expected = network.state_dict()
    prefix = _best_prefix(expected, tensors)
    found = {
        name.removeprefix(prefix): tensor
        for name, tensor in tensors.items()
        if name.startswith(prefix)
    }
    right = {
        name for name in expected if name in found and found[name].shape == expected[name].shape
    }
    return MatchReport(
        file=str(file),
        num_matched=len(right),
        num_expected=len(expected),
        left_out=tuple(n for n in tensors if n.removeprefix(prefix) not in expected),
        missing=tuple(
            n for n in expected if n not in found and not n.endswith("num_batches_tracked")
        ),
        misshapen=tuple(
            f"{name} {tuple(found[name].shape)} for {tuple(expected[name].shape)}"
            for name in expected
            if name in found and name not in right
        ),
    )


def _best_prefix(expected: Iterable[str], tensors: Iterable[str]) -> str:
    names = set(tensors)
    return max(_PREFIXES, key=lambda prefix: sum(prefix + name in names for name in expected))


def size_hint(record: BackboneRecord, size: int) -> str:
    """Returns what to think of where shapes differ in a backbone built for a picture size."""
    if record.sizes == "any":
        return ""
    return (
        f"; {record.label} has other shapes for other picture sizes, and this was tried at "
        f"{size} px"
    )


def load_own(network: nn.Module, record: BackboneRecord, size: int, file: Path) -> MatchReport:
    """Lays the backbone's tensors of a file into a network; a head in the file is left out.

    Args:
        network: without its classifier.
        record: of the backbone.
        size: side of the pictures in px that the network was built for.
        file: a safetensors file or a state dict saved by PyTorch, a checkpoint of Thaw among them.

    Raises:
        WeightsError: the file cannot be read, or a tensor of the network is not in it; nothing is
            loaded then.
    """
    tensors = read_tensors(file)
    report = match(network, tensors, file)
    if not report.fits:
        hint = size_hint(record, size) if report.misshapen else ""
        raise WeightsError(
            f"{file} does not fit {record.name}: {report.sentence()}{hint}; choose the backbone "
            "that it was made with, or another file."
        )
    prefix = _best_prefix(network.state_dict(), tensors)
    wanted = network.state_dict().keys()
    network.load_state_dict(
        {n: tensors[prefix + n] for n in wanted if prefix + n in tensors}, strict=False
    )
    return report
