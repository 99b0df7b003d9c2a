"""Keras on its torch backend, as its guide to transfer learning does."""

import time
from pathlib import Path
from typing import Any

import keras
import numpy as np

from tests.benchmarks.contenders import Task, Timing


class Pictures(keras.utils.PyDataset):  # type: ignore[misc]
    """Batches of pictures that are read from files."""

    def __init__(self, folder: Path, classes: list[str], task: Task):
        super().__init__(workers=2, use_multiprocessing=False)
        self._files = sorted(file for file in folder.rglob("*") if file.is_file())
        self._classes = classes
        self._task = task
        self._order = np.arange(len(self._files))

    def __len__(self) -> int:
        return -(-len(self._files) // self._task.batch_size)

    def __getitem__(self, index: int) -> Any:
        size, batch = self._task.size, self._task.batch_size
        files = [self._files[place] for place in self._order[index * batch : (index + 1) * batch]]
        images = [
            keras.utils.img_to_array(keras.utils.load_img(file, target_size=(size, size)))
            for file in files
        ]
        labels = [self._classes.index(file.parent.name) for file in files]
        return np.stack(images), np.array(labels)

    def on_epoch_end(self) -> None:
        np.random.default_rng(0).shuffle(self._order)


def train(task: Task) -> Timing:
    """Trains MobileNetV2 as Keras has it."""
    started = time.perf_counter()
    folder = Path(task.folder)
    classes = sorted(one.name for one in (folder / "train").iterdir() if one.is_dir())
    base = keras.applications.MobileNetV2(
        weights=None, include_top=False, pooling="avg", input_shape=(task.size, task.size, 3)
    )
    base.trainable = task.strategy == "full"
    inputs = keras.Input((task.size, task.size, 3))
    scaled = keras.layers.Rescaling(1 / 127.5, offset=-1)(inputs)
    outputs = keras.layers.Dense(len(classes), activation="softmax")(base(scaled, training=False))
    model = keras.Model(inputs, outputs)
    adam = keras.optimizers.Adam(task.lr)
    model.compile(adam, "sparse_categorical_crossentropy", metrics=["accuracy"])
    data, val = (Pictures(folder / split, classes, task) for split in ("train", "val"))
    timing = Timing(time.perf_counter() - started)
    for _ in range(task.epochs):
        started = time.perf_counter()
        model.fit(data, validation_data=val, epochs=1, verbose=0)
        timing.epochs.append(time.perf_counter() - started)
    return timing
