"""All that a run has come to after a step, in files from which it goes on bit for bit.

Tensors and plain data only: nothing in such a file is ever executed when it is read.
"""

import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from engine.files import replacing
from engine.logs import note

HEADER_KEY = "thaw-state"
VERSION = 2
READABLE = (1, VERSION)
PATTERN = "state-*.safetensors"
KEPT = 2
# Writing takes at most about this share of the time, and no file is written more often than this.
MOST_SHARE = 0.05
LEAST_SECONDS = 5.0
# An epoch that has not taken as long as this is kept at its end only.
LEAST_SECONDS_WITHIN = 5.0


@dataclass(frozen=True)
class State:
    """What a run has come to.

    Attributes:
        epoch: that was completed, counted from 1; 0 where none was.
        tensors: by name.
        values: everything else, as plain data for JSON.
        steps: taken in the epoch after it.
    """

    epoch: int
    tensors: dict[str, Tensor]
    values: dict[str, Any]
    steps: int = 0


class StateKeeper:
    """Writes states of a run to its folder, the last two of them, as often as costs little."""

    def __init__(self, folder: Path):
        self.folder = folder
        self._written_at = time.monotonic()
        self._took = 0.0

    @property
    def is_due(self) -> bool:
        """Whether it is time to write again."""
        since = time.monotonic() - self._written_at
        return since >= max(LEAST_SECONDS, self._took / MOST_SHARE)

    def write(self, state: State) -> None:
        """Writes a state, and removes all but the last two once it is there.

        Raises:
            OSError: it cannot be written; what was there before still is.
            SafetensorError: likewise.
        """
        started = time.monotonic()
        try:
            self._write(state)
        finally:
            # Where it cannot be done, it is not tried again at each step.
            self._written_at = time.monotonic()
            self._took = self._written_at - started

    def put_off(self) -> None:
        """Waits as long as if a state had just been written."""
        self._written_at = time.monotonic()

    def _write(self, state: State) -> None:
        started = time.monotonic()
        tensors = {
            name: tensor.detach().cpu().clone().contiguous()
            for name, tensor in state.tensors.items()
        }
        header = {
            "version": VERSION,
            "epoch": state.epoch,
            "steps": state.steps,
            "values": state.values,
        }
        header["digest"] = _digest(tensors, header)
        file = self.folder / _file_name(state)
        with replacing(file) as part:
            save_file(tensors, part, {HEADER_KEY: json.dumps(header)})
        for old in state_files(self.folder)[KEPT:]:
            old.unlink(missing_ok=True)
        note(
            "training",
            "state written",
            epoch=state.epoch,
            steps=state.steps,
            bytes=file.stat().st_size,
            seconds=time.monotonic() - started,
        )

    def forget_newer(self, state: State | None) -> None:
        """Removes what is newer than a state, or all where there is none: it cannot be read."""
        for file in state_files(self.folder):
            if state is not None and file.name == _file_name(state):
                return
            file.unlink(missing_ok=True)

    def clear(self) -> None:
        """Removes all states: the run needs none any more."""
        for file in state_files(self.folder):
            file.unlink(missing_ok=True)


def _file_name(state: State) -> str:
    within = f"-{state.steps:06d}" if "within" in state.values else ""
    return f"state-{state.epoch:06d}{within}.safetensors"


def reason_of(error: Exception) -> str:
    """Returns in a few words why a file could not be written or read."""
    lines = str(getattr(error, "strerror", None) or error).splitlines()
    return lines[0] if lines else type(error).__name__


def state_files(folder: Path) -> list[Path]:
    """Returns the files that hold states, the newest first."""
    # By their stems: that of an epoch's end goes before those within the next.
    return sorted(folder.glob(PATTERN), key=lambda file: file.stem, reverse=True)


def newest_state(folder: Path) -> tuple[State | None, list[str]]:
    """Returns the newest state that is whole, and a sentence for each that is damaged."""
    damaged: list[str] = []
    for file in state_files(folder):
        try:
            return read_state(file), damaged
        except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
            damaged.append(
                f"{file.name} is damaged ({reason_of(error)}), so the run goes on from the one "
                "before."
            )
    return None, damaged


def read_state(file: Path) -> State:
    """Returns the state that a file holds.

    Raises:
        OSError: it cannot be read.
        SafetensorError: it is damaged, as are the others below.
        KeyError: something is missing.
        TypeError: something is of another kind.
        ValueError: it is not what was written, or of another version.
    """
    with safe_open(file, framework="pt") as opened:
        metadata = opened.metadata() or {}
        header = json.loads(metadata[HEADER_KEY])
        tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
    if header["version"] not in READABLE:
        raise ValueError(f"it is of version {header['version']}, which this Thaw does not know")
    digest = header.pop("digest")
    if digest != _digest(tensors, header):
        raise ValueError("its checksum does not fit")
    return State(int(header["epoch"]), tensors, header["values"], int(header.get("steps", 0)))


def _digest(tensors: Mapping[str, Tensor], header: Mapping[str, Any]) -> str:
    digest = hashlib.blake2b(json.dumps(header, sort_keys=True).encode(), digest_size=16)
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"{name}:{tensor.dtype}:{tuple(tensor.shape)};".encode())
        flat = tensor.reshape(-1).view(torch.uint8).numpy() if tensor.numel() else np.empty(0)
        digest.update(np.ascontiguousarray(flat).data)
    return digest.hexdigest()
