"""Every torchvision model, and one of every family of timm's, can be cut, headed and trained.

Slow: `make test-all` runs it. Weights are random, since none of this depends on them.
"""

import gc
from pathlib import Path

import pytest
import timm
import torch
from torch import Tensor, nn
from torchvision import models

from engine.models.catalogue import BackboneRecord, backbone_record, refused, search
from engine.models.classifier import Classifier, build_classifier
from engine.spec import ModelSpec, OptimiserSpec
from engine.strategies import STRATEGIES
from engine.training.checkpoint import BestCheckpoint, CheckpointHeader, load_checkpoint
from engine.training.optimisers import build_optimiser
from tests.engine.networks import partition_faults
from tests.engine.specs import tiny_spec

NUM_CLASSES = 3
BATCH = 2
SMALL_SIZE = 96


def smallest_of_each_family() -> list[str]:
    """Full names of the backbone with fewest parameters in each of timm's modules."""
    by_name = {record.architecture: record for record in reversed(search(library="timm"))}
    chosen = []
    for module in timm.list_modules():
        known = [by_name[name] for name in timm.list_models(module=module) if name in by_name]
        if known:
            chosen.append(min(known, key=lambda record: record.num_parameters).name)
    return chosen


NAMES = [
    *(backbone_record(f"torchvision/{name}").name for name in models.list_models(module=models)),
    *smallest_of_each_family(),
]


def test_every_family_is_covered_or_refused() -> None:
    families = {backbone_record(n).architecture for n in NAMES if n.startswith("timm/")}
    uncovered = [
        module
        for module in timm.list_modules()
        if (names := set(timm.list_models(module=module)))
        and not names & families
        and not all(f"timm/{name}" in refused() for name in names)
    ]
    assert uncovered == []


def size_for(record: BackboneRecord) -> int:
    """The smallest of three sizes that the record says it takes."""
    if record.sizes == "any":
        return SMALL_SIZE
    return min(224, record.default_size) if record.sizes == "resized" else record.default_size


def take_step(model: Classifier, strategy: str, images_BCHW: Tensor) -> None:
    stages = tuple(model.backbone.stages)
    plan = STRATEGIES[strategy]
    trained = plan.ever_trainable(stages, 1)
    model.set_trainable(trained)
    model.train_stages(trained)
    optimiser = build_optimiser(OptimiserSpec(name="sgd", lr=1e-3), model, trained)
    logits_BK = model(images_BCHW)
    assert logits_BK.shape == (BATCH, NUM_CLASSES)
    loss = nn.functional.cross_entropy(logits_BK, torch.tensor([0, 1]))
    assert torch.isfinite(loss)
    loss.backward()
    optimiser.step()
    optimiser.zero_grad()


def test_a_parameter_that_two_stages_use_belongs_to_the_first(tmp_path: Path) -> None:
    """CoaT's convolutional position encodings are parts of its blocks, too."""
    name = backbone_record("timm/coat_tiny").name
    model = build_classifier(ModelSpec(backbone=name, weights="random"), NUM_CLASSES, 0, 64)
    assert partition_faults(model.backbone) == []
    checkpoint = BestCheckpoint(tmp_path / "best.safetensors", model)
    scale = (0.5, 0.5, 0.5)
    spec = tiny_spec("photos", {"model.backbone": name}).model_dump(mode="json")
    checkpoint.take(CheckpointHeader(spec, ("a", "b", "c"), 1, 0.5, scale, scale), frozenset())
    checkpoint.write()
    loaded, _ = load_checkpoint(checkpoint.file)
    before, after = model.state_dict(), loaded.state_dict()
    assert all(torch.equal(before[key], after[key]) for key in before)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", NAMES)
def test_one_frozen_and_one_full_step(name: str) -> None:
    record = backbone_record(name)
    size = size_for(record)
    model = build_classifier(ModelSpec(backbone=name, weights="random"), NUM_CLASSES, 0, size)
    assert partition_faults(model.backbone) == []
    counted = {
        stage: sum(p.numel() for p in model.backbone.stage_parameters(stage))
        for stage in model.backbone.stages
    }
    known = {stage.name: stage.num_parameters for stage in record.stages}
    differing = {stage for stage in counted if counted[stage] != known.get(stage)}
    # Position embeddings, of which there are fewer for smaller pictures, may be what differs.
    assert list(counted) == list(known)
    assert not differing or (record.sizes == "resized" and size != record.default_size)
    torch.manual_seed(0)
    images_BCHW = torch.rand(BATCH, 3, size, size)
    probe = [model.backbone.state_dict()[n].clone() for n in list(model.backbone.state_dict())[:9]]
    take_step(model, "frozen", images_BCHW)
    after = list(model.backbone.state_dict().values())[:9]
    assert all(torch.equal(a, b) for a, b in zip(probe, after, strict=True))
    take_step(model, "full", images_BCHW)
    after = list(model.backbone.state_dict().values())
    assert not all(torch.equal(a, b) for a, b in zip(probe, after[:9], strict=True))
    del model, images_BCHW, probe, after
    gc.collect()
