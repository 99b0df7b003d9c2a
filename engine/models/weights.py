"""Pre-trained weights: fetched if need be, read safely, and never half-loaded."""

import zipfile
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import hf_hub_download
from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError
from safetensors import SafetensorError
from safetensors.torch import load_file
from timm.models import load_state_dict
from torch import Tensor, nn

from engine.errors import WeightsError
from engine.models.catalogue import BackboneRecord
from engine.models.weights_files import (
    HUB_FILES,
    how_to_get,
    is_on_hub,
    torch_hub_folder,
    weights_file,
)

# Where training scripts put the tensors inside the file they save.
_WRAPPERS = (
    *("state_dict_ema", "model_ema", "state_dict", "model_state_dict", "model", "net", "weights"),
    "encoder",
)


def published_file(record: BackboneRecord) -> Path:
    """Returns the file of the published weights, downloaded by the library's means if need be.

    Raises:
        WeightsError: it is not on this machine and cannot be downloaded, or there is none.
    """
    if not record.tag and record.library != "bundled":
        raise WeightsError(
            f"{record.name} has no published weights; give a file of your own as its weights, or "
            "choose random ones."
        )
    file = weights_file(record)
    if file is not None:
        return file
    missing = f"The weights of {record.name} ({record.weights_file}) are not on this machine"
    if record.library == "bundled":
        raise WeightsError(f"{missing}; {how_to_get(record)}.")
    try:
        return _download(record)
    except Exception as error:  # each library has a dozen ways to say that there is no network
        reason = " ".join(str(error).split())[:160] or type(error).__name__
        raise WeightsError(
            f"{missing} and could not be downloaded ({reason}); {how_to_get(record)}."
        ) from error


def _download(record: BackboneRecord) -> Path:
    if is_on_hub(record):
        return _from_hub(record)
    file = torch_hub_folder() / record.weights_file
    file.parent.mkdir(parents=True, exist_ok=True)
    torch.hub.download_url_to_file(
        record.weights_source, str(file), record.weights_hash or None, progress=False
    )
    return file


def _from_hub(record: BackboneRecord) -> Path:
    """Returns the first of the names that there is; timm looks for them in the same order."""
    *others, last = dict.fromkeys((record.weights_file, *HUB_FILES))
    for name in others:
        try:
            return Path(hf_hub_download(record.weights_source, name))
        except LocalEntryNotFoundError:
            raise
        except EntryNotFoundError:
            continue
    return Path(hf_hub_download(record.weights_source, last))


def read_published(record: BackboneRecord, file: Path) -> dict[str, Any]:
    """Returns what a published file holds, as its library expects it.

    timm's converters unwrap some files themselves, so theirs are handed on as they are.

    Raises:
        WeightsError: the file is damaged or holds something else.
    """
    if record.library != "timm":
        return read_tensors(file)
    try:
        return load_state_dict(str(file))
    except Exception as error:  # torch.load raises whatever the bytes lead it to
        raise WeightsError(_unreadable(file, error)) from error


def read_tensors(file: Path) -> dict[str, Tensor]:
    """Returns the named tensors of a safetensors file or of a state dict saved by PyTorch.

    A file of PyTorch's is read with `weights_only=True`: nothing in it is ever run.

    Raises:
        WeightsError: the file is missing, damaged, or holds something else.
    """
    try:
        if file.suffix == ".safetensors":
            return load_file(file)
        return _unwrapped(torch.load(file, map_location="cpu", weights_only=True))
    except WeightsError as error:
        raise WeightsError(f"The weights file {file} {error}") from error
    except FileNotFoundError as error:
        raise WeightsError(f"There is no weights file {file}; check the path.") from error
    except (SafetensorError, zipfile.BadZipFile, OSError, EOFError) as error:
        raise WeightsError(_unreadable(file, error)) from error
    except Exception as error:  # torch.load raises whatever the bytes lead it to
        raise WeightsError(_unreadable(file, error)) from error


def _unreadable(file: Path, error: Exception) -> str:
    reason = " ".join(str(error).split())[:160]
    return (
        f"The weights file {file} cannot be read, as when a download was cut short ({reason}); "
        "remove it and fetch it again."
    )


def _unwrapped(loaded: Any) -> dict[str, Tensor]:
    for _ in range(2):
        if not isinstance(loaded, dict):
            break
        tensors = {str(name): t for name, t in loaded.items() if isinstance(t, Tensor)}
        inner = next((loaded[key] for key in _WRAPPERS if isinstance(loaded.get(key), dict)), None)
        if inner is None:
            if tensors:
                return tensors
            break
        loaded = inner
    raise WeightsError(
        "holds no state dict, that is, no named tensors; save it with "
        "torch.save(model.state_dict(), file)."
    )


def load_in_order(model: nn.Module, file: Path) -> None:
    """Lays a state dict with other names into `model`, tensor by tensor in order.

    The published EfficientNet-Lite files hold timm's tensors in timm's order under other names;
    every shape is checked, so a wrong file is refused and never half-loaded.

    Raises:
        WeightsError: the file cannot be read, or its tensors do not match in number or shape.
    """
    source = read_tensors(file)
    target = model.state_dict()
    names = [name for name in target if not name.endswith("num_batches_tracked")]
    tensors = [t for name, t in source.items() if not name.endswith("num_batches_tracked")]
    shapes_match = [target[name].shape for name in names] == [tensor.shape for tensor in tensors]
    if not shapes_match:
        raise WeightsError(
            f"The weights file {file} does not fit {type(model).__name__}: {len(tensors)} tensors "
            f"where {len(names)} of given shapes are expected; replace it with the right file."
        )
    model.load_state_dict(dict(zip(names, tensors, strict=True)), strict=False)
