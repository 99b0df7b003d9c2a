"""A plain PyTorch loop, as torchvision's reference training and its tutorials are written.

Pictures are read in DataLoader workers and the whole model runs in every epoch; what is frozen has
`requires_grad=False` and is in eval mode.
"""

import time

import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

from engine.data.loader import PictureDataset
from engine.data.manifest import build_manifest
from engine.data.transforms import EvalTransform
from engine.models.classifier import Classifier, build_classifier
from engine.spec import RunSpec
from engine.training.device import choose_device
from tests.benchmarks.contenders import NUM_WORKERS, Task, Timing
from tests.benchmarks.contenders.thaw_contender import spec_of


class Positions(Dataset[tuple[torch.Tensor, torch.Tensor]]):
    """A PictureDataset asked for by position alone."""

    def __init__(self, dataset: PictureDataset):
        self.dataset = dataset

    def __getitem__(self, position: int) -> tuple[torch.Tensor, torch.Tensor]:
        image, label, _ = self.dataset[1, position]
        return image, label

    def __len__(self) -> int:
        return len(self.dataset)


def train(task: Task, memory_format: torch.memory_format = torch.contiguous_format) -> Timing:
    """Trains with the same network, first weights, optimiser and pictures as Thaw."""
    started = time.perf_counter()
    spec, device = spec_of(task), choose_device("auto")
    manifest = build_manifest(spec.data)
    model = build_classifier(spec.model, len(manifest.classes), spec.seed, task.size)
    model = model.to(device, memory_format=memory_format)  # type: ignore[call-overload]
    free = learning(model, spec)
    optimiser = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=task.lr)
    transform = EvalTransform(spec.images, model.backbone.record)
    train_loader, val_loader = (
        DataLoader(
            Positions(PictureDataset(items, transform, task.seed)),
            batch_size=task.batch_size,
            shuffle=shuffle,
            num_workers=NUM_WORKERS,
            pin_memory=device.type == "cuda",
        )
        for items, shuffle in ((manifest.train, True), (manifest.val, False))
    )
    criterion = nn.CrossEntropyLoss()

    def on_device(images: torch.Tensor) -> torch.Tensor:
        return images.to(device, memory_format=memory_format, non_blocking=True)

    timing = Timing(time.perf_counter() - started)
    for _ in range(task.epochs):
        started = time.perf_counter()
        model.eval()
        for module in free:
            module.train()
        for images, labels in train_loader:
            images, labels = on_device(images), labels.to(device, non_blocking=True)
            loss = criterion(model(images), labels)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        model.eval()
        correct = 0
        with torch.no_grad():
            for images, labels in val_loader:
                chosen = model(on_device(images)).argmax(dim=1)
                correct += int((chosen == labels.to(device)).sum())
        timing.epochs.append(time.perf_counter() - started)
        timing.accuracies.append(correct / len(manifest.val))
    return timing


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
