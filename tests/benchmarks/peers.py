"""Thaw against fastai and Keras (torch backend): same pictures, size, batch, epochs and backbone.

Each is used as its own guide for transfer learning does, in a process of its own, from start to
trained model; imports are not counted. MobileNetV2 has random weights, which time cannot tell.
Needs `pip install '.[peers]'`.
"""

import importlib.util
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.benchmarks.served import own_home
from tests.conftest import CLIPART, Recorder

SIZE, BATCH_SIZE = 224, 32
FROZEN_EPOCHS = 20
# The peers do the same in each epoch, so that a few tell how long all of them take.
PEER_EPOCHS = 2


def main() -> None:
    """Prints seconds and ratios, frozen and full, for each peer that is installed."""
    ours = {name: _in_process("thaw", name) for name in ("frozen", "full")}
    for name, epochs in (("frozen", FROZEN_EPOCHS), ("full", PEER_EPOCHS)):
        print(f"  {name}, {epochs} epochs: Thaw {sum(ours[name]):.1f} s", flush=True)
        for peer in ("fastai", "keras"):
            if importlib.util.find_spec(peer) is None:
                print(f"    {peer} is not installed: pip install '.[peers]'")
                continue
            seconds = epochs * statistics.fmean(_in_process(peer, name))
            print(f"    {peer} {seconds:.0f} s ({seconds / sum(ours[name]):.1f} ×)", flush=True)


def _in_process(who: str, strategy: str) -> list[float]:
    """Returns seconds by epoch, or of the whole run."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks.peers", who, strategy],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "KERAS_BACKEND": "torch"},
    )
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    found: list[float] = json.loads(done.stdout.splitlines()[-1])
    return found


def thaw(strategy: str) -> list[float]:
    """Trains with Thaw, nothing of it on disk before."""
    from engine.spec import RunSpec
    from engine.training.trainer import train

    spec = RunSpec.parse(
        {
            "data": {"folder": str(CLIPART)},
            "model": {
                "backbone": "torchvision/mobilenet_v2.IMAGENET1K_V2",
                "weights": "random",
            },
            "images": {"size": SIZE},
            "strategy": {"name": strategy},
            "training": {
                "epochs": FROZEN_EPOCHS if strategy == "frozen" else PEER_EPOCHS,
                "batch_size": BATCH_SIZE,
            },
        }
    )
    with own_home(), tempfile.TemporaryDirectory() as folder:
        return [train(spec, Path(folder), Recorder()).seconds]


def fastai(strategy: str) -> list[float]:
    """Trains with fastai's vision_learner."""
    from fastai.vision.all import (
        CrossEntropyLossFlat,
        ImageDataLoaders,
        Resize,
        accuracy,
        vision_learner,
    )

    loaders = ImageDataLoaders.from_folder(
        CLIPART, train="train", valid="val", item_tfms=Resize(SIZE), bs=BATCH_SIZE, num_workers=1
    )
    learner = vision_learner(
        loaders,
        # As torchvision has it; its own is not cut where fastai looks.
        "mobilenetv2_100",
        pretrained=False,
        metrics=accuracy,
        loss_func=CrossEntropyLossFlat(),
    )
    if strategy == "frozen":
        learner.freeze()
    else:
        learner.unfreeze()
    seconds = []
    with learner.no_bar(), learner.no_logging():
        for _ in range(PEER_EPOCHS):
            started = time.perf_counter()
            learner.fit(1, 1e-3)
            seconds.append(time.perf_counter() - started)
    return seconds


def keras(strategy: str) -> list[float]:
    """Trains with Keras as its guide to transfer learning does."""
    import keras
    import numpy as np

    classes = sorted(folder.name for folder in (CLIPART / "train").iterdir() if folder.is_dir())

    class Pictures(keras.utils.PyDataset):  # type: ignore[misc]
        def __init__(self, split: str) -> None:
            super().__init__(workers=2, use_multiprocessing=False)
            self.files = sorted(f for f in (CLIPART / split).rglob("*") if f.is_file())
            self.order = np.arange(len(self.files))

        def __len__(self) -> int:
            return -(-len(self.files) // BATCH_SIZE)

        def __getitem__(self, index: int) -> Any:
            chosen = self.order[index * BATCH_SIZE : (index + 1) * BATCH_SIZE]
            files = [self.files[place] for place in chosen]
            images = [
                keras.utils.img_to_array(keras.utils.load_img(file, target_size=(SIZE, SIZE)))
                for file in files
            ]
            return np.stack(images), np.array([classes.index(file.parent.name) for file in files])

        def on_epoch_end(self) -> None:
            np.random.default_rng(0).shuffle(self.order)

    base = keras.applications.MobileNetV2(
        weights=None, include_top=False, pooling="avg", input_shape=(SIZE, SIZE, 3)
    )
    base.trainable = strategy == "full"
    inputs = keras.Input((SIZE, SIZE, 3))
    scaled = keras.layers.Rescaling(1 / 127.5, offset=-1)(inputs)
    outputs = keras.layers.Dense(len(classes), activation="softmax")(base(scaled, training=False))
    model = keras.Model(inputs, outputs)
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    train, val = Pictures("train"), Pictures("val")
    seconds = []
    for _ in range(PEER_EPOCHS):
        started = time.perf_counter()
        model.fit(train, validation_data=val, epochs=1, verbose=0)
        seconds.append(time.perf_counter() - started)
    return seconds


if __name__ == "__main__":
    print(json.dumps({"thaw": thaw, "fastai": fastai, "keras": keras}[sys.argv[1]](sys.argv[2])))
