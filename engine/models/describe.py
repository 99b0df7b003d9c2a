"""The facts of one architecture, read from its library: a line of the catalogue's index.

Networks are built on the meta device, where weights have shapes but no memory.
"""

import re
import warnings
from contextlib import suppress
from dataclasses import asdict
from typing import Any

import timm
import torch
from timm.data.config import resolve_data_config
from timm.layers.config import set_fused_attn
from timm.models import get_pretrained_cfg, list_pretrained
from torch import nn
from torch.utils.flop_counter import FlopCounterMode
from torchvision import models

from engine.models.catalogue import BackboneRecord
from engine.models.headless import build_headless, full_network, num_features_of
from engine.models.lora import adaptable
from engine.models.select import bias_parameters, norm_parameters
from engine.models.stages import find_stages, parameters_by_stage

OTHER_SIZES = (160, 256)
# Multiples of the usual patches of 14, 16 and 32 px.
PATCHED_SIZES = (224, 448)
LARGEST_SIZE = 1024
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def describe(library: str, architecture: str) -> dict[str, Any]:
    """Returns all that the catalogue says of an architecture and its weights.

    What cannot be used has the key `refused` with the reason in one sentence.
    """
    weights = _torchvision_weights if library == "torchvision" else _timm_weights
    entry: dict[str, Any] = {"library": library, "architecture": architecture}
    entry["label"] = architecture
    entry["weights"] = []
    try:
        entry["weights"] = weights(architecture)
        first = entry["weights"][0]
        if first["size"] > LARGEST_SIZE:
            entry["refused"] = f"it takes pictures of {first['size']} px, more than Thaw makes."
            return entry
        return entry | _structure(library, architecture, first)
    except Exception as error:  # whatever a library's model raises is the reason
        reason = " ".join(str(error).split())[:160]
        if isinstance(error, ValueError):
            entry["refused"] = f"{reason}."
            return entry
        entry["refused"] = f"it cannot be run on a picture ({type(error).__name__}: {reason})."
        return entry


def _structure(library: str, architecture: str, first: dict[str, Any]) -> dict[str, Any]:
    size = first["size"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        record = _provisional(library, architecture, first, "any")
        network = _build(record, size)
        stages = _stages(network)
        features, gmacs = _run(network, size)
        sizes = _sizes(library, architecture, first, network)
    if "gmacs" in first:
        gmacs = first.pop("gmacs")
    return {
        "features": features,
        "gmacs": round(gmacs, 3),
        "gmacs_size": size,
        "sizes": sizes,
        "stages": stages,
    }


def _stages(network: nn.Module) -> list[tuple[Any, ...]]:
    """Returns what a StageRecord holds of each stage."""
    found = find_stages(network)
    held = parameters_by_stage(network, found)
    norms = {id(parameter) for parameter in norm_parameters(network)}
    biases = {id(parameter) for parameter in bias_parameters(network)}
    units = {id(one.weight): one.unit for one in adaptable(network)}
    return [
        (
            stage.name,
            stage.label,
            sum(p.numel() for p in held[stage.name]),
            sum(p.numel() for p in held[stage.name] if id(p) in norms),
            sum(p.numel() for p in held[stage.name] if id(p) in biases),
            sum(units.get(id(p), 0) for p in held[stage.name]),
        )
        for stage in found
    ]


def _provisional(
    library: str, architecture: str, first: dict[str, Any], sizes: Any
) -> BackboneRecord:
    return BackboneRecord(
        name=f"{library}/{architecture}",
        label=architecture,
        library=library,
        architecture=architecture,
        tag=first["tag"],
        num_features=0,
        stages=(),
        gmacs=None,
        sizes=sizes,
        default_size=first["size"],
        mean=IMAGENET_MEAN,
        std=IMAGENET_STD,
        interpolation="bicubic",
        crop_fraction=1.0,
        own_fit="crop",
        top1=None,
        licence="",
        weights_file="",
        weights_source="",
        weights_hash="",
        num_classes=0,
    )


def _build(record: BackboneRecord, size: int) -> nn.Module:
    set_fused_attn(False)  # so that the counter sees the products inside attention
    try:
        with torch.device("meta"):
            return build_headless(record, size, None)
    except (NotImplementedError, RuntimeError, ValueError):
        # Some initialisers ask for values, which the meta device has not.
        return build_headless(record, size, None)


def _run(network: nn.Module, size: int) -> tuple[int, float]:
    # The counter's hooks on gradients fail on parameters that are used as they are.
    network.requires_grad_(False)
    with FlopCounterMode(display=False) as counter:
        features = num_features_of(network, size)
    return features, counter.get_total_flops() / 2e9


def _sizes(library: str, architecture: str, first: dict[str, Any], network: nn.Module) -> str:
    size = first["size"]
    others = [other for other in OTHER_SIZES if other != size]
    with suppress(Exception):
        for other in others:
            num_features_of(network, other)
        return "any"
    # Building for another size is not enough: the weights of the own size must go into it.
    resized = _provisional(library, architecture, first, "resized")
    with torch.device("meta"), suppress(Exception):
        weights = full_network(resized, size, None).state_dict()
        nearby = [round(size * share / 32) * 32 or 32 for share in (0.7, 1.3)]
        for others in (nearby, [other for other in PATCHED_SIZES if other != size]):
            with suppress(Exception):
                for other in others:
                    num_features_of(build_headless(resized, other, weights), other)
                return "resized"
    return "fixed"


def _torchvision_weights(architecture: str) -> list[dict[str, Any]]:
    found = []
    # Weights without categories (VGG16's IMAGENET1K_FEATURES) lack the layers after the features.
    known = [one for one in models.get_model_weights(architecture) if one.meta["categories"]]
    default = models.get_model_weights(architecture).DEFAULT
    for weights in sorted(known, key=lambda one: (one is not default, one.name)):
        preset = weights.transforms()
        folded = architecture in ("googlenet", "inception_v3")
        file = weights.url.rpartition("/")[2]
        entry = {
            "tag": weights.name,
            "size": preset.crop_size[0],
            "mean": (0.5, 0.5, 0.5) if folded else tuple(preset.mean),
            "std": (0.5, 0.5, 0.5) if folded else tuple(preset.std),
            "interpolation": preset.interpolation.value,
            "crop": preset.crop_size[0] / preset.resize_size[0],
            "file": file,
            "source": weights.url,
            "hash": file.rpartition("-")[2].partition(".")[0],
            "classes": len(weights.meta["categories"]),
            "top1": round(weights.meta["_metrics"]["ImageNet-1K"]["acc@1"] / 100, 5),
            "licence": "CC-BY-NC-4.0" if "SWAG" in weights.meta.get("license", "") else "",
        }
        if weights is default:
            entry["gmacs"] = weights.meta["_ops"]
        found.append(entry)
    return found


def _timm_weights(architecture: str) -> list[dict[str, Any]]:
    names = [n for n in list_pretrained(architecture) if n.partition(".")[0] == architecture]
    default = get_pretrained_cfg(architecture)
    tags = [name.partition(".")[2] for name in names]
    tags.sort(key=lambda tag: (default is None or tag != default.tag, tag))
    return [_timm_entry(architecture, tag) for tag in tags or [""]]


def _timm_entry(architecture: str, tag: str) -> dict[str, Any]:
    cfg = get_pretrained_cfg(f"{architecture}.{tag}" if tag else architecture)
    known = asdict(cfg) if cfg is not None else {}
    config = resolve_data_config(pretrained_cfg=known)  # type: ignore[no-untyped-call]
    entry: dict[str, Any] = {
        "tag": tag,
        "size": config["input_size"][1],
        "mean": config["mean"],
        "std": config["std"],
        "interpolation": config["interpolation"],
        "crop": config["crop_pct"],
    }
    fits = {"center": "crop", "squash": "squash", "border": "pad"}
    entry["fit"] = fits[config.get("crop_mode") or "center"]
    if config["input_size"][0] != 3:
        raise ValueError("it takes pictures of other than three channels")
    if tag and cfg is not None:
        file = cfg.hf_hub_filename or "model.safetensors"
        url = str(cfg.url or "")
        entry |= {"file": file, "source": cfg.hf_hub_id or url, "classes": cfg.num_classes}
        if not cfg.hf_hub_id:
            entry["file"] = url.rpartition("/")[2]
            if published := re.search(r"-([0-9a-f]{8,64})\.", entry["file"]):
                entry["hash"] = published[1]
        if cfg.license and cfg.license != "unknown":
            entry["licence"] = cfg.license
    return entry


def architectures() -> list[tuple[str, str]]:
    """Returns (library, architecture) of every classification model of both libraries."""
    vision = [("torchvision", name) for name in models.list_models(module=models)]
    return vision + [("timm", name) for name in timm.list_models()]
