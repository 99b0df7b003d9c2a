"""Networks of torchvision and timm without their classifier: images in, one vector an image out.

Shapes: B images, H rows, W columns, D features.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import timm
import torch
from torch import Tensor, nn
from torchvision import models

from engine.errors import SpecError, WeightsError
from engine.models.catalogue import BackboneRecord

Weights = Mapping[str, Tensor]


def build_headless(record: BackboneRecord, size: int, weights: Weights | None) -> nn.Module:
    """Returns a network whose classifier was taken off.

    Args:
        record: says which architecture of which library.
        size: side of the pictures in px; position embeddings are stretched to it.
        weights: the library's published tensors, classifier and all; None leaves random ones, as
            the global generator gives them.

    Raises:
        WeightsError: a tensor is missing or of another shape.
        SpecError: the weights cannot be stretched to the size.
    """
    with _watched_loading() as missing:
        network = full_network(record, size, weights)
    remove_classifier(record, network)
    # timm loads some of its models leniently, which would leave parts of them random.
    needed = {name for name in network.state_dict() if not name.endswith("num_batches_tracked")}
    lacking = sorted(needed & missing)
    if weights is not None and lacking:
        raise WeightsError(
            f"The weights do not fit {record.name}: {len(lacking)} tensors are missing, "
            f"{lacking[0]} among them; put the right file in their place."
        )
    return network


@contextmanager
def _watched_loading() -> Iterator[set[str]]:
    """Collects the names of tensors that are missing from state dicts loaded meanwhile."""
    missing: set[str] = set()
    original = nn.Module.load_state_dict

    def load(self: nn.Module, *args: Any, **options: Any) -> Any:
        result = original(self, *args, **options)
        missing.update(result.missing_keys)
        return result

    nn.Module.load_state_dict = load  # type: ignore[method-assign]
    try:
        yield missing
    finally:
        nn.Module.load_state_dict = original  # type: ignore[method-assign]


def remove_classifier(record: BackboneRecord, network: nn.Module) -> None:
    """Takes off the layer that gives the logits, so that its input comes out.

    timm's networks do that themselves; in torchvision it is the last layer with weights that is
    registered. Dropout right before it goes with it: the head that is put on has its own.
    """
    if record.library != "torchvision":
        if not hasattr(network, "reset_classifier"):
            raise ValueError("it is the encoder of another model and gives no vector an image")
        network.reset_classifier(0)  # type: ignore[operator]
        return
    path = [n for n, m in network.named_modules() if isinstance(m, nn.Linear | nn.Conv2d)][-1]
    parent_path, _, name = path.rpartition(".")
    parent = network.get_submodule(parent_path)
    if isinstance(parent, nn.Sequential) and name.isdigit() and int(name) > 0:
        before = parent[int(name) - 1]
        if isinstance(before, nn.Dropout):
            parent[int(name) - 1] = nn.Identity()
    setattr(parent, name, nn.Identity())


def full_network(record: BackboneRecord, size: int, weights: Weights | None) -> nn.Module:
    """Returns the network with its own classifier.

    Raises:
        WeightsError: the weights do not fit.
        SpecError: they do not fit at this size.
    """
    try:
        if record.library == "torchvision":
            return _torchvision(record.architecture, size, weights)
        return _timm(record, size, weights)
    except (RuntimeError, KeyError, ValueError) as error:
        if weights is None:
            raise
        reason = " ".join(str(error).split())[:300]
        if size != record.default_size and record.sizes == "resized":
            raise SpecError(
                f"images.size is {size}; the weights of {record.name} were made for "
                f"{record.default_size} px and cannot be stretched to that size ({reason[:160]})."
            ) from error
        raise WeightsError(
            f"The weights do not fit {record.name}: {reason}; put the right file in their place."
        ) from error


def _timm(record: BackboneRecord, size: int, weights: Weights | None) -> nn.Module:
    options: dict[str, Any] = {}
    if weights is not None:
        options["pretrained_cfg_overlay"] = {"state_dict": dict(weights)}
    if record.sizes == "resized" and size != record.default_size:
        options["img_size"] = size
    name = f"{record.architecture}.{record.tag}" if record.tag else record.architecture
    if record.library == "bundled":
        # The published EfficientNet-Lite weights are TensorFlow's, and need its padding.
        name = f"tf_{name}"
    network: nn.Module = timm.create_model(name, pretrained=weights is not None, **options)
    network.pretrained_cfg.pop("state_dict", None)  # type: ignore[union-attr, operator]
    return network


def _torchvision(architecture: str, size: int, weights: Weights | None) -> nn.Module:
    """Returns the network that the published weights were made for, but for three things.

    Auxiliary classifiers (GoogLeNet, Inception v3) are left out: they help networks that are
    trained from nothing (Szegedy et al. 2014 and 2015), Keras's Inception has none, and in
    training they fail on pictures below 299 px. `transform_input`, which undoes one normalisation
    to apply another, is off: the catalogue states the one that comes out of both. Vision
    transformers are built for the size asked for.
    """
    options: dict[str, Any] = {}
    if architecture in ("googlenet", "inception_v3"):
        options = {"aux_logits": False, "transform_input": False, "init_weights": weights is None}
    elif architecture.startswith("vit_"):
        options = {"image_size": size}
    network: nn.Module = models.get_model(architecture, weights=None, **options)
    if weights is not None:
        network.load_state_dict(_as_torchvision(architecture, network, size, weights))
    return network


def _as_torchvision(
    architecture: str, network: nn.Module, size: int, weights: Weights
) -> dict[str, Tensor]:
    """Returns published tensors under the names and in the shapes of today's torchvision."""
    auxiliary = ("AuxLogits.", "aux1.", "aux2.")
    tensors = {name: t for name, t in weights.items() if not name.startswith(auxiliary)}
    if architecture.startswith("densenet"):
        for kind in ("norm", "conv"):
            for index in ("1", "2"):
                tensors = {
                    name.replace(f".{kind}.{index}.", f".{kind}{index}."): tensor
                    for name, tensor in tensors.items()
                }
    if architecture.startswith("vit_"):
        interpolate = models.vision_transformer.interpolate_embeddings
        tensors = dict(interpolate(size, network.patch_size, tensors))
    return tensors


# Not inference_mode: ConViT keeps a tensor from its first pass, which a gradient passes through.
@torch.no_grad()
def num_features_of(network: nn.Module, size: int) -> int:
    """Returns D of the features (B, D) that a network without a classifier gives.

    Args:
        network: maps images (B, 3, H, W).
        size: H and W in px to try it with.
    """
    device = next(network.parameters()).device
    was_training = network.training
    features_BD = network.eval()(torch.zeros(1, 3, size, size, device=device))
    network.train(was_training)
    if not isinstance(features_BD, Tensor) or features_BD.ndim != 2:
        raise ValueError("it does not give one vector an image")
    return int(features_BD.shape[1])
