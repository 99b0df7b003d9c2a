"""Which images each of two runs gets right, and what each says of them. No torch here."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from engine.data.manifest import MANIFEST_FILE, Item, Manifest
from engine.errors import DataError
from engine.home import run_folder
from engine.insight.compare import RunReport

Group = Literal["both", "first", "second", "neither"]
GROUPS: tuple[Group, ...] = ("both", "first", "second", "neither")


@dataclass(frozen=True)
class Answer:
    """What a run says of an image.

    Attributes:
        named: the class that it finds most probable.
        probability: of that class.
        of_label: probability of the class that the image is labelled with.
        is_right: the two are the same.
    """

    named: str
    probability: float
    of_label: float
    is_right: bool


@dataclass(frozen=True)
class JudgedImage:
    """A validation image and what runs say of it.

    Attributes:
        path: of its file.
        digest: of its content.
        label: name of its class.
        answers: one a run, in the order of the runs.
    """

    path: str
    digest: str
    label: str
    answers: tuple[Answer, ...]

    @property
    def group(self) -> Group:
        """Which of the first two runs get it right."""
        first, second = (answer.is_right for answer in self.answers[:2])
        if first and second:
            return "both"
        return "first" if first else "second" if second else "neither"

    def to_dict(self) -> dict[str, Any]:
        """Returns it as plain data."""
        return {
            "path": self.path,
            "label": self.label,
            "answers": [
                {"named": one.named, "probability": one.probability, "of_label": one.of_label}
                for one in self.answers
            ],
        }


def judged_images(reports: Sequence[RunReport]) -> list[JudgedImage]:
    """Returns the validation images that all runs were judged on, in the order of the first run.

    An image is known by its content, so runs on copies of the same data fit together; those that
    one of the runs did not see are left out. Without predictions of each run there are none.
    """
    answers = [_answers(one) for one in reports]
    if not answers or not all(answers):
        return []
    return [
        JudgedImage(item.path, item.digest, label, tuple(of_run[key][2] for of_run in answers))
        for key, (item, label, _) in answers[0].items()
        if all(key in of_run and of_run[key][1] == label for of_run in answers)
    ]


def _answers(one: RunReport) -> dict[str, tuple[Item, str, Answer]]:
    """Returns what a run says of each image, by content, or by path in manifests of old runs."""
    found = one.predictions()
    if found is None:
        return {}
    try:
        manifest = Manifest.from_file(run_folder(one.run.id) / MANIFEST_FILE)
    except DataError:
        return {}
    rows = zip(manifest.val, found.predicted_N.tolist(), found.probabilities_NK, strict=True)
    return {
        item.digest or item.path: (
            item,
            manifest.classes[item.label],
            Answer(
                named=manifest.classes[named],
                probability=float(row_K[named]),
                of_label=float(row_K[item.label]),
                is_right=named == item.label,
            ),
        )
        for item, named, row_K in rows
    }


def in_group(images: Sequence[JudgedImage], group: Group) -> list[JudgedImage]:
    """Returns the images of one group, those that the runs see most differently first."""
    chosen = [image for image in images if image.group == group]
    return sorted(chosen, key=lambda image: (-_apart(image), image.path))


def _apart(image: JudgedImage) -> float:
    first, second = image.answers[:2]
    return abs(first.of_label - second.of_label)


def confident_mistakes(images: Sequence[JudgedImage], place: int = 0) -> list[JudgedImage]:
    """Returns what a run gets wrong, the most confident mistakes first.

    Args:
        images: judged by the run.
        place: of the run among those that judged them.
    """
    wrong = [image for image in images if not image.answers[place].is_right]
    return sorted(wrong, key=lambda image: (-image.answers[place].probability, image.path))


def taken_for(
    images: Sequence[JudgedImage], label: str, named: str, place: int = 0
) -> list[JudgedImage]:
    """Returns the images of a class that a run takes for a class, the most confident first.

    Args:
        images: judged by the run.
        label: class that they are labelled with.
        named: class that the run names.
        place: of the run among those that judged them.
    """
    chosen = [
        image for image in images if image.label == label and image.answers[place].named == named
    ]
    return sorted(chosen, key=lambda image: (-image.answers[place].probability, image.path))
