"""Tiny copies of data sets, laid down exactly as torchvision has them after its download."""

import bz2
import hashlib
import json
import pickle
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image
from scipy.io import savemat
from torchvision import datasets

from engine.data.decode import decode_image
from tests.engine.pictures import save

Bytes = npt.NDArray[np.uint8]
# Pixels of each picture, by the folder that it belongs into.
Expected = dict[str, list[bytes]]


class Maker:
    """Makes pictures of which no two are alike, and notes where each of them belongs."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.expected: Expected = {}
        self.monkeypatch = monkeypatch
        self._random = np.random.default_rng(0)

    def file(self, path: Path, folder: str | None) -> Path:
        """Writes a picture to `path`, which belongs into `folder`; into none where that is None."""
        save(Image.fromarray(self._pixels(12, 12, 3)), path)
        if folder is not None:
            self.expected.setdefault(folder, []).append(decode_image(path).tobytes())
        return path

    def array(self, side: int, folder: str, num_channels: int = 3) -> Bytes:
        """Returns a picture as H x W x C, or H x W where it is grey."""
        pixels = self._pixels(side, side, num_channels)
        if num_channels == 1:
            pixels = pixels[..., 0]
        self.note(pixels, folder)
        return pixels

    def note(self, pixels: Bytes, folder: str) -> None:
        picture = Image.fromarray(pixels).convert("RGB")
        self.expected.setdefault(folder, []).append(picture.tobytes())

    def _pixels(self, *shape: int) -> Bytes:
        return self._random.integers(0, 256, shape, dtype=np.uint8)


def md5(file: Path) -> str:
    return hashlib.md5(file.read_bytes(), usedforsecurity=False).hexdigest()


def text(file: Path, lines: Iterable[str]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(f"{line}\n" for line in lines))


def caltech101(root: Path, make: Maker) -> None:
    folder = root / "caltech101" / "101_ObjectCategories"
    make.file(folder / "BACKGROUND_Google" / "image_0001.jpg", None)
    for name in ("Faces", "airplanes"):
        for number in (1, 2):
            make.file(folder / name / f"image_{number:04d}.jpg", name)


def caltech256(root: Path, make: Maker) -> None:
    folder = root / "caltech256" / "256_ObjectCategories"
    for number, name in ((1, "001.ak47"), (2, "002.american-flag")):
        make.file(folder / name / f"{number:03d}_0001.jpg", name)


def _cifar(root: Path, make: Maker, class_: Any, names: dict[str, list[str]], key: str) -> None:
    folder = root / class_.base_folder
    folder.mkdir(parents=True)
    [classes] = names.values()

    def write(files: list[list[str]], split: str) -> list[list[str]]:
        told = []
        for name, _ in files:
            rows = [
                make.array(32, f"{split}/{one}").transpose(2, 0, 1).reshape(-1) for one in classes
            ]
            labels = list(range(len(classes)))
            (folder / name).write_bytes(pickle.dumps({"data": np.stack(rows), key: labels}))
            told.append([name, md5(folder / name)])
        return told

    make.monkeypatch.setattr(class_, "train_list", write(class_.train_list, "train"))
    make.monkeypatch.setattr(class_, "test_list", write(class_.test_list, "val"))
    meta = folder / class_.meta["filename"]
    meta.write_bytes(pickle.dumps(names))
    make.monkeypatch.setattr(class_, "meta", class_.meta | {"md5": md5(meta)})


def cifar10(root: Path, make: Maker) -> None:
    _cifar(root, make, datasets.CIFAR10, {"label_names": ["airplane", "cat"]}, "labels")


def cifar100(root: Path, make: Maker) -> None:
    names = {"fine_label_names": ["apple", "aquarium_fish", "train"]}
    _cifar(root, make, datasets.CIFAR100, names, "fine_labels")


def clevr(root: Path, make: Maker) -> None:
    folder = root / "clevr" / "CLEVR_v1.0"
    for split in ("train", "val"):
        scenes = []
        for index, count in enumerate((3, 10, 10)):
            name = f"CLEVR_{split}_{index:06d}.png"
            make.file(folder / "images" / split / name, f"{split}/{count:02d}")
            scenes.append({"image_filename": name, "objects": [{}] * count})
        text(folder / "scenes" / f"CLEVR_{split}_scenes.json", [json.dumps({"scenes": scenes})])


def dtd(root: Path, make: Maker) -> None:
    folder = root / "dtd" / "dtd"
    for number, split in enumerate(("train", "val", "test")):
        names = [f"{name}/{name}_{number:04d}.jpg" for name in ("banded", "woven")]
        for name in names:
            target = None if split == "test" else f"{split}/{name.partition('/')[0]}"
            make.file(folder / "images" / name, target)
        text(folder / "labels" / f"{split}1.txt", names)
    # Lies there, too, and nothing that is looked for must take it for an archive.
    text(folder / "imdb" / "imdb.mat", ["x"])


def eurosat(root: Path, make: Maker) -> None:
    for name in ("Forest", "River"):
        for number in (1, 2):
            make.file(root / "eurosat" / "2750" / name / f"{name}_{number}.jpg", name)


def idx(file: Path, values: Bytes) -> None:
    """Writes an array in the format of MNIST."""
    file.parent.mkdir(parents=True, exist_ok=True)
    head = bytes([0, 0, 8, values.ndim])
    sizes = b"".join(size.to_bytes(4, "big") for size in values.shape)
    file.write_bytes(head + sizes + values.tobytes())


def _mnist(root: Path, make: Maker, class_: Any, folders: list[str]) -> None:
    raw = root / class_.__name__ / "raw"
    for prefix, split in (("train", "train"), ("t10k", "val")):
        labels = [0, 1, 0]
        pixels = [make.array(28, f"{split}/{folders[label]}", 1) for label in labels]
        idx(raw / f"{prefix}-images-idx3-ubyte", np.stack(pixels))
        idx(raw / f"{prefix}-labels-idx1-ubyte", np.array(labels, np.uint8))


def mnist(root: Path, make: Maker) -> None:
    _mnist(root, make, datasets.MNIST, ["0 - zero", "1 - one"])


def kmnist(root: Path, make: Maker) -> None:
    _mnist(root, make, datasets.KMNIST, ["o", "ki"])


def fashionmnist(root: Path, make: Maker) -> None:
    _mnist(root, make, datasets.FashionMNIST, ["T-shirt_top", "Trouser"])


def fgvcaircraft(root: Path, make: Maker) -> None:
    data = root / "fgvc-aircraft-2013b" / "data"
    text(data / "variants.txt", ["707-320", "F-16A/B"])
    number = 0
    for split in ("train", "val", "test"):
        lines = []
        for name in ("707-320", "F-16A/B"):
            number += 1
            target = None if split == "test" else f"{split}/{name.replace('/', '_')}"
            make.file(data / "images" / f"{number:07d}.jpg", target)
            lines.append(f"{number:07d} {name}")
        text(data / f"images_variant_{split}.txt", lines)


def flowers102(root: Path, make: Maker) -> None:
    folder = root / "flowers-102"
    names = {1: "pink primrose", 2: "hard-leaved pocket orchid"}
    labels = [1, 2, 1, 2, 1, 2]
    splits = {"train": [1, 2], "val": [3, 4], None: [5, 6]}
    for split, numbers in splits.items():
        for number in numbers:
            target = f"{split}/{names[labels[number - 1]]}" if split else None
            make.file(folder / "jpg" / f"image_{number:05d}.jpg", target)
    savemat(folder / "imagelabels.mat", {"labels": labels})
    savemat(folder / "setid.mat", {"trnid": [1, 2], "valid": [3, 4], "tstid": [5, 6]})
    told = {
        "image": datasets.Flowers102._file_dict["image"],
        "label": ("imagelabels.mat", md5(folder / "imagelabels.mat")),
        "setid": ("setid.mat", md5(folder / "setid.mat")),
    }
    make.monkeypatch.setattr(datasets.Flowers102, "_file_dict", told)


def food101(root: Path, make: Maker) -> None:
    folder = root / "food-101"
    for split, target in (("train", "train"), ("test", "val")):
        listed = {n: [f"{n}/{split}{i}" for i in range(2)] for n in ("apple_pie", "waffles")}
        for name, paths in listed.items():
            for path in paths:
                make.file(folder / "images" / f"{path}.jpg", f"{target}/{name}")
        text(folder / "meta" / f"{split}.json", [json.dumps(listed)])


def gtsrb(root: Path, make: Maker) -> None:
    folder = root / "gtsrb"
    for label in (0, 1):
        file = folder / "GTSRB" / "Training" / f"{label:05d}" / "00000_00000.ppm"
        make.file(file, None)
        make.note(np.asarray(Image.open(file)), f"train/{label:02d}")
    lines = ["Filename;Width;Height;Roi.X1;Roi.Y1;Roi.X2;Roi.Y2;ClassId"]
    for index, label in enumerate((1, 0)):
        file = folder / "GTSRB" / "Final_Test" / "Images" / f"{index:05d}.ppm"
        make.file(file, None)
        make.note(np.asarray(Image.open(file)), f"val/{label:02d}")
        lines.append(f"{index:05d}.ppm;12;12;1;1;9;9;{label}")
    text(folder / "GT-final_test.csv", lines)


def imagenette(root: Path, make: Maker) -> None:
    for split in ("train", "val"):
        for wnid, name in (("n01440764", "tench"), ("n03028079", "church")):
            file = root / "imagenette2-320" / split / wnid / f"{wnid}_{split}.JPEG"
            make.file(file, f"{split}/{name}")


def oxfordiiitpet(root: Path, make: Maker) -> None:
    folder = root / "oxford-iiit-pet"
    for split, target in (("trainval", "train"), ("test", "val")):
        lines = []
        for label, name in ((1, "Abyssinian"), (2, "american_bulldog")):
            image = f"{name}_{split}"
            shown = {1: "Abyssinian", 2: "American Bulldog"}[label]
            make.file(folder / "images" / f"{image}.jpg", f"{target}/{shown}")
            lines.append(f"{image} {label} {label} 1")
        text(folder / "annotations" / f"{split}.txt", lines)


def semeion(root: Path, make: Maker) -> None:
    root.mkdir(parents=True)
    rows = []
    for label in (0, 7, 7):
        bits = make._random.integers(0, 2, (16, 16), dtype=np.uint8)
        make.note(bits * 255, str(label))
        one_hot = ["1" if number == label else "0" for number in range(10)]
        rows.append(" ".join([*(f"{bit:.4f}" for bit in bits.reshape(-1)), *one_hot]))
    text(root / "semeion.data", rows)
    make.monkeypatch.setattr(datasets.SEMEION, "md5_checksum", md5(root / "semeion.data"))


def stl10(root: Path, make: Maker) -> None:
    folder = root / "stl10_binary"
    text(folder / "class_names.txt", ["airplane", "bird"])
    for split, target in (("train", "train"), ("test", "val")):
        pixels = [make.array(96, f"{target}/{name}") for name in ("airplane", "bird")]
        # Columns come before rows there.
        np.stack([one.transpose(2, 1, 0) for one in pixels]).tofile(folder / f"{split}_X.bin")
        np.array([1, 2], np.uint8).tofile(folder / f"{split}_y.bin")
    (folder / "unlabeled_X.bin").write_bytes(b"")
    for attribute in ("train_list", "test_list"):
        files = [[name, md5(folder / name)] for name, _ in getattr(datasets.STL10, attribute)]
        make.monkeypatch.setattr(datasets.STL10, attribute, files)


def sun397(root: Path, make: Maker) -> None:
    folder = root / "SUN397"
    text(folder / "ClassName.txt", ["/a/abbey", "/a/apse/indoor"])
    for number in (1, 2):
        make.file(folder / "a" / "abbey" / f"sun_{number}.jpg", "abbey")
        make.file(folder / "a" / "apse" / "indoor" / f"sun_{number}.jpg", "apse_indoor")


def svhn(root: Path, make: Maker) -> None:
    root.mkdir(parents=True)
    told = {}
    for split, target in (("train", "train"), ("test", "val")):
        # A nought is 10 there.
        pixels = [make.array(32, f"{target}/{label % 10}") for label in (1, 10)]
        file = root / f"{split}_32x32.mat"
        savemat(file, {"X": np.stack(pixels, axis=3), "y": np.array([[1], [10]], np.uint8)})
        url, name, _ = datasets.SVHN.split_list[split]
        told[split] = [url, name, md5(file)]
    make.monkeypatch.setattr(datasets.SVHN, "split_list", told)


def usps(root: Path, make: Maker) -> None:
    root.mkdir(parents=True)
    for file, target in (("usps.bz2", "train"), ("usps.t.bz2", "val")):
        lines = []
        for label in (1, 10):
            shades = make._random.integers(0, 2, (16, 16), dtype=np.uint8) * 255
            make.note(shades, f"{target}/{label - 1}")
            values = " ".join(
                f"{place}:{shade / 255 * 2 - 1}"
                for place, shade in enumerate(shades.reshape(-1), start=1)
            )
            lines.append(f"{label} {values}\n")
        (root / file).write_bytes(bz2.compress("".join(lines).encode()))


LAYOUTS: dict[str, Callable[[Path, Maker], None]] = {
    layout.__name__: layout
    for layout in (
        caltech101,
        caltech256,
        cifar10,
        cifar100,
        clevr,
        dtd,
        eurosat,
        fashionmnist,
        fgvcaircraft,
        flowers102,
        food101,
        gtsrb,
        imagenette,
        kmnist,
        mnist,
        oxfordiiitpet,
        semeion,
        stl10,
        sun397,
        svhn,
        usps,
    )
}
ARRAYS = {"cifar10", "cifar100", "fashionmnist", "kmnist", "mnist", "semeion", "stl10", "svhn"}
# Thaw reads no PPM.
ENCODED = ARRAYS | {"usps", "gtsrb"}
