"""The images that tell most: on which two runs differ, and the most confident mistakes."""

from collections.abc import Sequence
from pathlib import Path

from dashboard.report.blocks import Block, Picture, Pictures, Section, Words
from dashboard.report.comparison import Comparison
from dashboard.report.thumbnails import thumbnail_address
from dashboard.words import label_of
from engine.insight.compare import RunReport
from engine.insight.images import (
    Answer,
    JudgedImage,
    confident_mistakes,
    in_group,
    judged_images,
)
from engine.runs.plain import printable


def images_section(comparison: Comparison) -> Section | None:
    """Returns pictures of each kind, with how many there are and how many are left out."""
    telling = comparison.telling
    images = judged_images(telling)
    if not images:
        return None
    kinds = _kinds(images, [label_of(one.run) for one in telling])
    blocks: list[Block] = [_pictures(comparison, title, chosen) for title, chosen in kinds]
    unseen = sum(
        one.source is None for block in blocks if isinstance(block, Pictures) for one in block.shown
    )
    if unseen and comparison.may_show is not None:
        blocks.append(
            Words(
                f"{unseen} of these images are not shown: they are gone, cannot be read, or are "
                "not to go into this report. What was said of them stays.",
                "note",
            )
        )
    return Section("The images that tell most", blocks)


def _kinds(
    images: Sequence[JudgedImage], names: Sequence[str]
) -> list[tuple[str, list[JudgedImage]]]:
    if len(names) == 1:
        return [(f"{names[0]} gets wrong, most confident first", confident_mistakes(images))]
    first, second = names
    neither = sorted(
        in_group(images, "neither"), key=lambda one: -min(a.probability for a in one.answers)
    )
    return [
        (f"Only {first} gets right", in_group(images, "first")),
        (f"Only {second} gets right", in_group(images, "second")),
        ("Neither gets right, most confident first", neither),
    ]


def _pictures(comparison: Comparison, title: str, chosen: Sequence[JudgedImage]) -> Pictures:
    shown = chosen[: comparison.detail.pictures]
    return Pictures(title, tuple(_picture(comparison, one) for one in shown), len(chosen))


def _picture(comparison: Comparison, image: JudgedImage) -> Picture:
    names = [label_of(one.run) for one in comparison.telling]
    may_show = comparison.may_show is not None and comparison.may_show(image.path)
    return Picture(
        name=printable(_below(comparison.telling[0], image.path)),
        label=image.label,
        lines=tuple(_answer(*told) for told in zip(names, image.answers, strict=True)),
        source=thumbnail_address(image.path) if may_show else None,
    )


def _below(one: RunReport, path: str) -> str:
    """Returns a path below the folder of the data: where that lies is nobody's concern."""
    data = one.run.spec.data
    for folder in filter(None, (data.folder, data.val_folder)):
        if Path(path).is_relative_to(folder):
            return str(Path(path).relative_to(folder))
    return Path(path).name


def _answer(name: str, answer: Answer) -> str:
    mark = "✓" if answer.is_right else "✗"
    return f"{mark} {name}: {answer.named} {100 * answer.probability:.0f} %"
