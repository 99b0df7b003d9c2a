"""Labelled data sets that torchvision can download: a record each."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

# Is told a task, how much of it is done and of how much; 0 where that is not known. Bytes while
# the task is `downloading`, pictures while it is `writing`.
Progress = Callable[[str, int, int], None]

ON_TEST = "Runs are judged on its test pictures, since it has no others to judge by."
ON_VAL = "Runs are judged on its validation pictures; its test pictures are not used."
WHOLE = "It comes in one piece; Thaw holds a share of each class back to judge by."


@dataclass(frozen=True)
class Fetchable:
    """A data set that is known by name.

    Attributes:
        name: to fetch it by; also that of its folder.
        label: its name for people.
        sentence: what it shows, with the numbers of classes and of pictures that are taken in.
        class_name: of its class in `torchvision.datasets`.
        download_mib: about how much has to be downloaded.
        train: arguments that choose the pictures to train on.
        val: arguments that choose those to judge by; None where it has no split.
        note: which of its splits are used.
        arguments: for either split.
        files: attribute that lists its files, where asking for a picture does not tell its file.
        numbered: how a class without a name is called, by its number.
    """

    name: str
    label: str
    sentence: str
    class_name: str
    download_mib: int
    train: Mapping[str, Any]
    val: Mapping[str, Any] | None
    note: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    files: str = ""
    numbered: str = "{}"


_BY_FLAG: dict[str, Any] = {"train": {"train": True}, "val": {"train": False}, "note": ON_TEST}
_TEST: dict[str, Any] = {"train": {"split": "train"}, "val": {"split": "test"}, "note": ON_TEST}
_VAL: dict[str, Any] = {"train": {"split": "train"}, "val": {"split": "val"}, "note": ON_VAL}
_WHOLE: dict[str, Any] = {"train": {}, "val": None, "note": WHOLE}

_ALL = (
    Fetchable(
        "caltech101",
        "Caltech 101",
        "101 kinds of things, 8,677 photos about 300 px wide, between 31 and 800 a class.",
        "Caltech101",
        131,
        **_WHOLE,
    ),
    Fetchable(
        "caltech256",
        "Caltech 256",
        "256 kinds of things and one class of clutter, 30,607 photos, at least 80 a class.",
        "Caltech256",
        1128,
        **_WHOLE,
    ),
    Fetchable(
        "cifar10",
        "CIFAR-10",
        "10 classes of animals and vehicles, 60,000 tiny photos (32 px).",
        "CIFAR10",
        163,
        **_BY_FLAG,
    ),
    Fetchable(
        "cifar100",
        "CIFAR-100",
        "100 classes of animals, plants and things, 60,000 tiny photos (32 px).",
        "CIFAR100",
        161,
        **_BY_FLAG,
    ),
    Fetchable(
        "clevr",
        "CLEVR counts",
        "How many objects a rendered scene has, 8 classes from 3 to 10, 85,000 pictures.",
        "CLEVRClassification",
        18_145,
        **_VAL,
        numbered="{:02d}",
    ),
    Fetchable(
        "dtd",
        "Describable textures",
        "47 textures such as banded or woven, 3,760 photos of 300 to 640 px.",
        "DTD",
        608,
        **_VAL,
    ),
    Fetchable(
        "eurosat",
        "EuroSAT",
        "10 kinds of land use, 27,000 satellite pictures (64 px).",
        "EuroSAT",
        90,
        **_WHOLE,
    ),
    Fetchable(
        "fashionmnist",
        "Fashion-MNIST",
        "10 kinds of clothes, 70,000 tiny grey pictures (28 px).",
        "FashionMNIST",
        30,
        **_BY_FLAG,
    ),
    Fetchable(
        "fgvcaircraft",
        "FGVC aircraft",
        "100 variants of aircraft that look much alike, 6,667 large photos.",
        "FGVCAircraft",
        2626,
        **_VAL,
    ),
    Fetchable(
        "flowers102",
        "Oxford flowers",
        "102 kinds of flowers, 2,040 photos: 10 a class to train on and 10 to judge by.",
        "Flowers102",
        329,
        **_VAL,
    ),
    Fetchable(
        "food101",
        "Food-101",
        "101 dishes, 101,000 photos; some labels of those to train on are wrong.",
        "Food101",
        4765,
        **_TEST,
    ),
    Fetchable(
        "gtsrb",
        "German traffic signs",
        "43 traffic signs under their official numbers, 39,270 photos of 15 to 250 px.",
        "GTSRB",
        264,
        **_TEST,
        numbered="{:02d}",
    ),
    Fetchable(
        "imagenette",
        "Imagenette",
        "10 easy classes of ImageNet, which most backbones have seen, 13,394 photos (320 px).",
        "Imagenette",
        326,
        train={"split": "train"},
        val={"split": "val"},
        note="Runs are judged on its validation pictures; it has no others.",
        arguments={"size": "320px"},
    ),
    Fetchable(
        "kmnist",
        "Kuzushiji-MNIST",
        "10 handwritten Japanese letters, 70,000 tiny grey pictures (28 px).",
        "KMNIST",
        20,
        **_BY_FLAG,
    ),
    Fetchable(
        "mnist",
        "MNIST",
        "10 handwritten digits, 70,000 tiny grey pictures (28 px).",
        "MNIST",
        11,
        **_BY_FLAG,
    ),
    Fetchable(
        "oxfordiiitpet",
        "Oxford-IIIT pets",
        "37 breeds of cats and dogs, 7,349 photos.",
        "OxfordIIITPet",
        774,
        train={"split": "trainval"},
        val={"split": "test"},
        note=ON_TEST,
        files="_images",
    ),
    Fetchable(
        "semeion",
        "Semeion",
        "10 handwritten digits, 1,593 tiny black and white pictures (16 px).",
        "SEMEION",
        3,
        **_WHOLE,
    ),
    Fetchable(
        "stl10",
        "STL-10",
        "10 classes of animals and vehicles, 13,000 photos (96 px) from ImageNet.",
        "STL10",
        2518,
        **_TEST,
    ),
    Fetchable(
        "sun397",
        "SUN397",
        "397 kinds of places, 108,754 large photos, at least 100 a class.",
        "SUN397",
        37_284,
        **_WHOLE,
    ),
    Fetchable(
        "svhn",
        "Street view house numbers",
        "10 digits on houses, 99,289 tiny photos (32 px).",
        "SVHN",
        235,
        **_TEST,
    ),
    Fetchable(
        "usps",
        "USPS",
        "10 handwritten digits from envelopes, 9,298 tiny grey pictures (16 px).",
        "USPS",
        8,
        **_BY_FLAG,
    ),
)

FETCHABLE = {one.name: one for one in _ALL}
