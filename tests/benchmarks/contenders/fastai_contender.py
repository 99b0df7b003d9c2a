"""fastai's vision_learner, as its own quick start uses it."""

import time

from fastai.vision.all import (
    CrossEntropyLossFlat,
    ImageDataLoaders,
    Resize,
    accuracy,
    vision_learner,
)

from tests.benchmarks.contenders import Task, Timing


def train(task: Task) -> Timing:
    """Trains MobileNetV2 as timm has it; torchvision's is not cut where fastai looks."""
    started = time.perf_counter()
    loaders = ImageDataLoaders.from_folder(
        task.folder,
        train="train",
        valid="val",
        item_tfms=Resize(task.size),
        bs=task.batch_size,
        num_workers=1,
    )
    learner = vision_learner(
        loaders,
        "mobilenetv2_100",
        pretrained=False,
        metrics=accuracy,
        loss_func=CrossEntropyLossFlat(),
    )
    if task.strategy == "frozen":
        learner.freeze()
    else:
        learner.unfreeze()
    timing = Timing(time.perf_counter() - started)
    with learner.no_bar(), learner.no_logging():
        for _ in range(task.epochs):
            started = time.perf_counter()
            learner.fit(1, task.lr)
            timing.epochs.append(time.perf_counter() - started)
    return timing
