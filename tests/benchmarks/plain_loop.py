"""Thaw against a plain PyTorch loop on the same pictures, size, batch, epochs and backbone.

The plain loop is written as a tutorial would: ImageFolder-like reading in a DataLoader worker, the
whole model in every epoch, weights frozen with `requires_grad=False` and the backbone in eval mode.
A second one is tuned by hand: channels_last. Both sides go from nothing to a trained model, in one
process each after the other; what Thaw keeps on disk is empty at first.
"""

import statistics
import tempfile
import time
from pathlib import Path

import torch
from torch import nn
from torch.utils.data import DataLoader

from engine.data.loader import PictureDataset
from engine.data.manifest import Manifest, build_manifest
from engine.data.transforms import EvalTransform
from engine.models.classifier import Classifier, build_classifier
from engine.spec import DataSpec, RunSpec
from engine.training.trainer import train
from tests.benchmarks.served import own_home
from tests.conftest import CLIPART, Recorder

SIZE = 224
EPOCHS = 20
# The plain loop does the same in each epoch, so that a few tell how long all of them take.
PLAIN_EPOCHS = 2
BATCH_SIZE = 32
STRATEGIES = {
    "frozen": {"strategy.name": "frozen"},
    "partial (last third of the stages)": {"strategy.name": "partial", "last": 3},
    "full": {"strategy.name": "full"},
}
FULL_EPOCHS = 2


class Positions(torch.utils.data.Dataset[tuple[torch.Tensor, torch.Tensor]]):
    """A PictureDataset asked for by position alone."""

    def __init__(self, dataset: PictureDataset):
        self.dataset = dataset

    def __getitem__(self, position: int) -> tuple[torch.Tensor, torch.Tensor]:
        image, label, _ = self.dataset[1, position]
        return image, label

    def __len__(self) -> int:
        return len(self.dataset)


def main() -> None:
    """Prints seconds and ratios for frozen, partial and full."""
    for name, settings in STRATEGIES.items():
        epochs = FULL_EPOCHS if name == "full" else EPOCHS
        spec = RunSpec.parse(
            {
                "data": {"folder": str(CLIPART)},
                "images": {"size": SIZE},
                "strategy": {
                    "name": settings["strategy.name"],
                    "last_stages": settings.get("last", 2),
                },
                "training": {"epochs": epochs, "batch_size": BATCH_SIZE},
                "optimiser": {"lr": 1e-3},
            }
        )
        with own_home():
            manifest = build_manifest(DataSpec(folder=str(CLIPART)))
            plain = plain_seconds(spec, manifest, channels_last=False)
            tuned = plain_seconds(spec, manifest, channels_last=True)
            cold, warm = thaw_seconds(spec), thaw_seconds(spec)
        print(
            f"  {name}, {epochs} epochs: plain loop {plain:.0f} s, tuned {tuned:.0f} s, "
            f"Thaw {cold:.1f} s ({plain / cold:.1f} × the plain one's speed, {tuned / cold:.1f} × "
            f"the tuned one's), again {warm:.1f} s ({plain / warm:.0f} ×)",
            flush=True,
        )


def thaw_seconds(spec: RunSpec) -> float:
    """Returns how long a run takes, from the first picture to the last file."""
    with tempfile.TemporaryDirectory() as folder:
        return train(spec, Path(folder), Recorder()).seconds


def plain_seconds(spec: RunSpec, manifest: Manifest, channels_last: bool) -> float:
    """Returns how long the plain loop takes for all epochs, from the mean of a few."""
    started = time.perf_counter()
    model = build_classifier(spec.model, len(manifest.classes), spec.seed, SIZE)
    memory_format = torch.channels_last if channels_last else torch.contiguous_format
    model = model.to(memory_format=memory_format)  # type: ignore[call-overload]
    free = learning(model, spec)
    optimiser = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-3)
    transform = EvalTransform(spec.images, model.backbone.record)
    train_loader, val_loader = (
        DataLoader(
            Positions(PictureDataset(items, transform, 0)),
            batch_size=BATCH_SIZE,
            shuffle=shuffle,
            num_workers=1,
        )
        for items, shuffle in ((manifest.train, True), (manifest.val, False))
    )
    criterion = nn.CrossEntropyLoss()
    built = time.perf_counter() - started
    epochs: list[float] = []
    for _ in range(PLAIN_EPOCHS):
        started = time.perf_counter()
        model.eval()
        for module in free:
            module.train()
        for images, labels in train_loader:
            loss = criterion(model(images.to(memory_format=memory_format)), labels)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        model.eval()
        with torch.no_grad():
            for images, _ in val_loader:
                model(images.to(memory_format=memory_format)).argmax(dim=1)
        epochs.append(time.perf_counter() - started)
    return built + spec.training.epochs * statistics.fmean(epochs)


def learning(model: Classifier, spec: RunSpec) -> list[nn.Module]:
    """Freezes what the spec's strategy freezes, and returns the modules that learn."""
    stages = list(model.backbone.stages)
    last = {"frozen": 0, "full": len(stages)}.get(spec.strategy.name, spec.strategy.last_stages)
    names = stages[len(stages) - last :]
    free = [module for name in names for module in model.backbone.stage_modules(name)]
    model.requires_grad_(False)
    for module in (*free, model.head):
        module.requires_grad_(True)
    return [*free, model.head]
