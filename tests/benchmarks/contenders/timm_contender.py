"""timm's own loader, network and optimiser, put together as its train.py does."""

import time

import timm
import torch
from timm.data import create_dataset, create_loader, resolve_data_config
from timm.optim import create_optimizer_v2
from timm.utils import freeze
from torch import nn

from engine.training.device import choose_device
from tests.benchmarks.contenders import NUM_WORKERS, Task, Timing


def train(task: Task) -> Timing:
    """Trains MobileNetV2 as timm has it, with its default augmentation off."""
    started = time.perf_counter()
    torch.manual_seed(task.seed)
    device = choose_device("auto")
    data = [create_dataset("", root=task.folder, split=split) for split in ("train", "val")]
    model = timm.create_model("mobilenetv2_100", num_classes=len(data[0].reader.class_to_idx))
    model = model.to(device)
    if task.strategy == "frozen":
        tops = [name for name, _ in model.named_children() if name != "classifier"]
        freeze(model, tops)
    config = resolve_data_config({"input_size": (3, task.size, task.size)}, model=model)
    train_loader, val_loader = (
        create_loader(
            dataset,
            input_size=config["input_size"],
            batch_size=task.batch_size,
            is_training=is_training,
            no_aug=True,
            use_prefetcher=device.type == "cuda",
            device=device,
            interpolation=config["interpolation"],
            mean=config["mean"],
            std=config["std"],
            crop_pct=config["crop_pct"],
            num_workers=NUM_WORKERS,
        )
        for dataset, is_training in zip(data, (True, False), strict=True)
    )
    optimiser = create_optimizer_v2(model, opt="adamw", lr=task.lr)
    criterion = nn.CrossEntropyLoss()
    timing = Timing(time.perf_counter() - started)
    for _ in range(task.epochs):
        started = time.perf_counter()
        model.train()
        for images, labels in train_loader:
            loss = criterion(model(images), labels)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        model.eval()
        correct = 0
        with torch.no_grad():
            for images, labels in val_loader:
                correct += int((model(images).argmax(dim=1) == labels).sum())
        timing.epochs.append(time.perf_counter() - started)
        timing.accuracies.append(correct / len(data[1]))
    return timing
