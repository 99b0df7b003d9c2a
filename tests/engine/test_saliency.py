"""Where models look: Grad-CAM against what it is by definition, on made and on real networks."""

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr
from torch import Tensor, nn

from engine.errors import DataError, SpecError, WeightsError
from engine.home import run_folder
from engine.insight import explain_worker
from engine.insight.explaining import explain_state, start_explaining
from engine.insight.feature_maps import last_feature_map
from engine.insight.occlusion import NUM_PARTS, covered_maps
from engine.insight.overlay import overlay, ramp, square_picture
from engine.insight.saliency import class_maps, explain, named_class
from engine.insight.saliency_maps import Question, SaliencyMap, known_maps, work_key
from engine.models.backbone import Backbone, build_backbone
from engine.models.catalogue import backbone_record
from engine.models.classifier import Classifier, build_classifier
from engine.runs import background
from engine.spec import ModelSpec
from engine.training.checkpoint import BestCheckpoint, CheckpointHeader
from engine.training.reporter import StopTrainingError
from tests.conftest import Recorder
from tests.engine.pictures import quarters
from tests.engine.specs import tiny_spec

SIDE = 64
CLASSES = ("red", "blue")
HALF = (0.5, 0.5, 0.5)


class Made(nn.Module):
    """A backbone of one convolution, whose features are means over the picture."""

    def __init__(self, num: int = 4) -> None:
        super().__init__()
        self.stages: dict[str, object] = {}
        self.network = nn.Sequential(
            nn.Conv2d(3, num, 8, stride=8), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()
        )

    def forward(self, images: Tensor) -> Tensor:
        return self.network(images)  # type: ignore[no-any-return]


def made_model(head: nn.Module) -> Classifier:
    torch.manual_seed(1)
    model: Classifier = nn.Module.__new__(Classifier)
    nn.Module.__init__(model)
    model.backbone = Made()  # type: ignore[assignment]
    model.head = head
    return model.eval()


def test_of_a_mean_and_a_linear_head_it_is_the_class_activation_map() -> None:
    """There Grad-CAM is CAM (Zhou et al. 2016): the head's weights times the last map."""
    head = nn.Linear(4, 2)
    model = made_model(head)
    image = torch.rand(3, SIDE, SIDE, generator=torch.Generator().manual_seed(2))
    found = class_maps(model, image, [0, 1])
    assert found.method == "Grad-CAM"
    assert "of 1," in found.cells
    last_map = model.backbone.network[:2](image[None])[0]
    for place, one in enumerate(found.maps):
        cam = torch.einsum("c,chw->hw", head.weight[place], last_map).relu()
        expected = cam / cam.max() if cam.max() > 0 else cam
        assert torch.allclose(one, expected.detach(), atol=1e-5)
    assert found.logits_K.softmax(0).sum() == pytest.approx(1.0)
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_nothing_that_speaks_for_a_class_is_an_empty_map() -> None:
    head = nn.Linear(4, 2)
    with torch.no_grad():
        head.weight[0].fill_(-1.0)
        head.weight[1].fill_(1.0)
    model = made_model(head)
    against, speaking = class_maps(model, torch.rand(3, SIDE, SIDE), [0, 1]).maps
    assert not against.any()
    assert float(speaking.max()) == 1.0


def test_a_network_without_a_map_is_asked_by_covering() -> None:
    model = made_model(nn.Linear(3 * 4 * 4, 2))
    model.backbone.network = nn.Sequential(nn.AdaptiveAvgPool2d(4), nn.Flatten())
    found = class_maps(model, torch.rand(3, SIDE, SIDE), [0, 1])
    assert found.method == "occlusion"
    assert [tuple(one.shape) for one in found.maps] == [(7, 7), (7, 7)]


# ---- networks of the catalogue, taught that one corner decides


def corner_images(num: int, seed: int, side: int = SIDE) -> tuple[Tensor, Tensor]:
    """Noise, but for a patch at the top left that is red or blue; which it is, is the class."""
    drawn = torch.Generator().manual_seed(seed)
    images = 0.5 * torch.randn(num, 3, side, side, generator=drawn)
    labels = torch.arange(num) % 2
    patch = side // 4
    images[:, :, :patch, :patch] = -1.0
    for place, label in enumerate(labels.tolist()):
        images[place, 2 * label, :patch, :patch] = 2.0
    return images, labels


def taught(backbone: Backbone, steps: int, rate: float, side: int = SIDE) -> Classifier:
    """A model that tells the two corners apart, every weight of it trained."""
    model = build_classifier(
        ModelSpec(backbone=backbone.record.name, dropout=0.0), 2, 0, side, backbone
    )
    model.requires_grad_(True).train()
    optimiser = torch.optim.AdamW(model.parameters(), rate)
    for step in range(steps):
        images, labels = corner_images(16, step, side)
        loss = nn.functional.cross_entropy(model(images), labels)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return model.eval()


def share_in_corner(map_hw: Tensor) -> float:
    """Share of a map that lies in its upper left quarter."""
    rows, columns = map_hw.shape
    corner = map_hw[: (rows + 1) // 2, : (columns + 1) // 2]
    return float(corner.sum() / map_hw.sum())


def mean_share(model: Classifier, side: int = SIDE) -> float:
    """Mean share in the corner over pictures that it gets right, for their own class."""
    images, labels = corner_images(8, 999, side)
    found = [
        class_maps(model, one, [int(label)]) for one, label in zip(images, labels, strict=True)
    ]
    right = [
        one
        for one, label in zip(found, labels.tolist(), strict=True)
        if int(one.logits_K.argmax()) == label
    ]
    assert len(right) >= 6
    maps = [one.maps[0] for one in right if one.maps[0].any()]
    assert len(maps) >= 4
    assert all(float(one.min()) >= 0.0 and float(one.max()) == 1.0 for one in maps)
    return float(np.mean([share_in_corner(one) for one in maps]))


TAUGHT = [
    ("efficientnet_lite0", "pretrained", 12, 1e-3, 128, "Grad-CAM"),
    ("timm/test_vit.r160_in1k", "random", 60, 2e-3, 64, "occlusion"),
    pytest.param(
        *("torchvision/resnet18.IMAGENET1K_V1", "random", 16, 1e-3, 128, "Grad-CAM"),
        marks=pytest.mark.slow,
    ),
    pytest.param(
        *("timm/vit_tiny_patch16_224.augreg_in21k_ft_in1k", "random", 40, 5e-4, 64, "occlusion"),
        marks=pytest.mark.slow,
    ),
]


@pytest.mark.parametrize(("name", "weights", "steps", "rate", "side", "method"), TAUGHT)
def test_the_map_lies_in_the_corner_that_decides(
    name: str, weights: str, steps: int, rate: float, side: int, method: str
) -> None:
    model = taught(build_backbone(name, side, weights), steps, rate, side)
    image, _ = corner_images(1, 7, side)
    assert class_maps(model, image[0], [0]).method == method
    # A map that knows nothing has a quarter there, or a third where cells reach over the middle.
    assert mean_share(model, side) > 0.4


def test_weights_of_chance_give_another_map() -> None:
    """The sanity check of Adebayo et al. 2018: a map that ignores the weights explains nothing."""
    trained = build_classifier(ModelSpec(backbone="efficientnet_lite0"), 2, 0, 224).eval()
    random = build_classifier(ModelSpec(backbone="efficientnet_lite0", weights="random"), 2, 0, 224)
    images, _ = corner_images(4, 5, 224)
    alike = []
    for image in images:
        one, other = (class_maps(m, image, [0]).maps[0] for m in (trained, random.eval()))
        assert one.shape == other.shape == (7, 7)
        alike.append(spearmanr(one.flatten(), other.flatten()).statistic)
    same = class_maps(trained, images[0], [0]).maps[0]
    assert torch.equal(same, class_maps(trained, images[0], [0]).maps[0])
    assert abs(float(np.mean(alike))) < 0.5


FAMILIES = [
    ("torchvision/mobilenet_v3_small.IMAGENET1K_V1", 128, "Grad-CAM", (4, 4)),
    ("torchvision/squeezenet1_1.IMAGENET1K_V1", 128, "Grad-CAM", (7, 7)),
    ("torchvision/densenet121.IMAGENET1K_V1", 128, "Grad-CAM", (4, 4)),
    ("timm/test_convnext.r160_in1k", 160, "Grad-CAM", (5, 5)),
    ("timm/test_resnet.r160_in1k", 160, "Grad-CAM", (5, 5)),
    ("timm/test_nfnet.r160_in1k", 160, "Grad-CAM", (5, 5)),
    ("timm/test_mambaout", 160, "Grad-CAM", (5, 5)),
    ("timm/test_vit.r160_in1k", 160, "occlusion", (7, 7)),
    ("timm/gmlp_ti16_224", 224, "occlusion", (7, 7)),
    ("timm/test_resnet.r160_in1k", 96, "occlusion", (7, 7)),
]


@pytest.mark.parametrize(("name", "side", "method", "shape"), FAMILIES)
def test_each_family_gets_what_fits_it(
    name: str, side: int, method: str, shape: tuple[int, int]
) -> None:
    spec = ModelSpec(backbone=backbone_record(name).name, weights="random")
    model = build_classifier(spec, 3, 0, side).eval()
    image = torch.randn(3, side, side, generator=torch.Generator().manual_seed(0))
    found = class_maps(model, image, [0, 1, 2])
    assert found.method == method
    assert {tuple(one.shape) for one in found.maps} == {shape}
    assert all(0.0 <= float(one.min()) <= float(one.max()) <= 1.0 for one in found.maps)
    assert {float(one.max()) for one in found.maps} <= {0.0, 1.0}
    assert torch.allclose(found.logits_K, model(image[None])[0].detach(), atol=1e-4)


def test_swin_has_its_channels_last() -> None:
    network = nn.Sequential(nn.Conv2d(3, 6, 8, stride=8), ToLast(), nn.LayerNorm(6))
    image = torch.randn(1, 3, 40, 40).requires_grad_(True)
    found, logits = last_feature_map(network, lambda: network(image).mean(dim=(1, 2)))
    assert found is not None
    assert found.layout == "channels_last"
    assert found.as_map(found.output).shape == (6, 5, 5)
    assert torch.allclose(found.as_map(found.output).mean(dim=(1, 2)), logits[0], atol=1e-6)


class ToLast(nn.Module):
    """(B, C, H, W) to (B, H, W, C)."""

    def forward(self, values: Tensor) -> Tensor:
        return values.permute(0, 2, 3, 1)


# ---- by covering


def test_covering_finds_the_part_that_a_class_hangs_on() -> None:
    def model(images: Tensor) -> Tensor:
        lit = images[:, 0, 40:50, 10:20].mean(dim=(1, 2))
        return torch.stack([lit, -lit, torch.zeros_like(lit)], dim=1)

    done: list[int] = []
    speaking, against, neither = covered_maps(model, torch.ones(3, 70, 70), [0, 1, 2], done.append)
    assert sum(done) == NUM_PARTS
    assert divmod(int(speaking.argmax()), 7) == (4, 1)
    assert speaking[:3].sum() == speaking[:, 4:].sum() == 0.0
    assert not against.any()
    assert not neither.any()


def test_a_part_too_small_to_hide_anything_leaves_the_map_empty() -> None:
    def model(images: Tensor) -> Tensor:
        brightest = images.amax(dim=(1, 2, 3))
        return torch.stack([brightest, -brightest], dim=1)

    [found] = covered_maps(model, torch.ones(3, 70, 70), [0])
    assert not found.any()


# ---- asked of a run


@pytest.fixture
def asked(tmp_path: Path) -> Question:
    """A run with a checkpoint of two classes, and a picture."""
    spec = tiny_spec("photos", {"images.size": 128})
    model = build_classifier(spec.model, 2, 0, 128)
    folder = run_folder("a" * 16)
    folder.mkdir(parents=True)
    checkpoint = BestCheckpoint(folder / "best.safetensors", model)
    header = CheckpointHeader(spec.model_dump(mode="json"), CLASSES, 1, 0.5, HALF, HALF)
    checkpoint.take(header, moved=())
    checkpoint.write()
    picture = tmp_path / "picture.png"
    quarters(120, 90).save(picture)
    return Question("a" * 16, str(picture), CLASSES)


def test_maps_are_found_once_and_kept(asked: Question, recorder: Recorder) -> None:
    assert known_maps(asked) == {}
    red, blue = explain([asked], recorder)
    assert (red.class_name, blue.class_name) == CLASSES
    assert red.probability + blue.probability == pytest.approx(1.0, abs=1e-6)
    assert red.named == blue.named == named_class(asked.run_id, asked.path)
    assert red.grid.shape == (4, 4)
    assert red.method == "Grad-CAM"
    assert "4 × 4 cells of bn2" in red.cells
    assert known_maps(asked) == {"red": red, "blue": blue}
    # Of the same content at another place, too; not of other content, or by another method.
    copy = Path(asked.path).with_name("copy.png")
    shutil.copy(asked.path, copy)
    assert set(known_maps(replace(asked, path=str(copy)))) == set(CLASSES)
    assert known_maps(replace(asked, method="occlusion")) == {}
    quarters(90, 120).save(copy)
    assert known_maps(replace(asked, path=str(copy))) == {}


def test_another_checkpoint_is_asked_anew(asked: Question, recorder: Recorder) -> None:
    explain([asked], recorder)
    key = work_key([asked])
    file = run_folder(asked.run_id) / "best.safetensors"
    os.utime(file, ns=(1, 1))
    assert known_maps(asked) == {}
    assert work_key([asked]) != key


def test_covering_tells_how_far_it_is_and_can_be_stopped(
    asked: Question, recorder: Recorder
) -> None:
    [one] = explain([replace(asked, classes=("red",), method="occlusion")], recorder)
    assert one.grid.shape == (7, 7)
    told = [event.values for event in recorder.of_kind("progress")]
    assert told[-1]["done"] == told[-1]["total"] == NUM_PARTS
    with pytest.raises(StopTrainingError):
        explain([asked], Recorder(stop_at=("progress", 1)))


def test_what_is_wrong_is_a_sentence(asked: Question, recorder: Recorder) -> None:
    with pytest.raises(SpecError, match="knows no class 'green'; its classes are red, blue"):
        explain([replace(asked, classes=("green",))], recorder)
    with pytest.raises(DataError, match="cannot be read"):
        known_maps(replace(asked, path=asked.path + ".gone"))
    text = Path(asked.path).with_name("text.png")
    text.write_text("no picture")
    with pytest.raises(DataError, match="not a picture in a known format"):
        explain([replace(asked, path=str(text))], recorder)
    (run_folder(asked.run_id) / "best.safetensors").unlink()
    with pytest.raises(WeightsError, match="has no checkpoint any more"):
        known_maps(asked)


def test_the_process_does_what_the_page_asked(
    asked: Question, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[list[str]] = []
    monkeypatch.setattr(background, "start_detached", lambda line, log: started.append(line))
    assert explain_state([asked]) is None
    start_explaining([asked])
    [[module, key]] = started
    assert module == explain_worker.__name__
    assert key == work_key([asked])
    assert explain_worker.main(key) == 0
    state = explain_state([asked])
    assert state is not None
    assert (state.status, state.result) == ("finished", {"maps": 2})
    assert set(known_maps(asked)) == set(CLASSES)


# ---- laid over the picture


def test_what_speaks_is_lit_and_all_else_is_dark(asked: Question) -> None:
    spec = tiny_spec("photos", {"images.size": 128})
    picture = square_picture(asked.path, spec, HALF)
    assert picture.size == (320, 320)
    corner = tuple(tuple(float(row == column == 0) for column in range(4)) for row in range(4))
    found = SaliencyMap("a", asked.path, "red", 0.5, "red", corner, "Grad-CAM", "", HALF)
    pixels = np.asarray(overlay(picture, found), dtype=float)
    lit, dark = pixels[:40, :40].mean(), pixels[160:, 160:].mean()
    assert lit > 1.5 * dark
    assert not found.is_empty
    empty = replace(found, values=((0.0,) * 4,) * 4)
    assert empty.is_empty
    assert np.asarray(overlay(picture, empty), dtype=float).mean() < pixels.mean()
    assert SaliencyMap.from_dict(json.loads(json.dumps(found.to_dict()))) == found


def test_the_ramp_grows_lighter_all_the_way() -> None:
    colours = ramp(np.linspace(0.0, 1.0, 21)[None])[0]
    lightness = colours @ np.array([0.2126, 0.7152, 0.0722])
    assert (np.diff(lightness) > 0).all()
