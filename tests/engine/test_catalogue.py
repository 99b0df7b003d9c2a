"""The catalogue: every model of both libraries is in it, described or refused with a reason."""

from typing import get_args

import pytest
import timm
from torchvision import models

from engine.errors import SpecError
from engine.models import catalogue
from engine.models.backbone import build_backbone
from engine.models.catalogue import (
    Select,
    UnknownBackboneError,
    backbone_names,
    backbone_record,
    full_name,
    refused,
    search,
)
from engine.models.describe import describe
from engine.models.lora import add_adapters
from engine.models.select import selected_parameters
from engine.spec import ModelSpec


def architectures(library: str) -> set[str]:
    known = {record.architecture for record in search(library=library)}
    return known | {name.partition("/")[2] for name in refused() if name.startswith(f"{library}/")}


def test_every_classification_model_of_torchvision_is_there_and_none_refused() -> None:
    theirs = set(models.list_models(module=models))
    assert len(theirs) >= 80
    assert architectures("torchvision") >= theirs
    assert not [name for name in refused() if name.startswith("torchvision/")]


def test_every_model_of_timm_is_there() -> None:
    missing = set(timm.list_models()) - architectures("timm")
    assert not missing


def test_every_set_of_timms_weights_is_there() -> None:
    known = {record.name.partition("/")[2] for record in search(library="timm")}
    left_out = {name.partition("/")[2] for name in refused()}
    theirs = {n for n in timm.list_models(pretrained=True) if n.partition(".")[0] not in left_out}
    assert not theirs - known


def test_names_are_unique_and_their_own_full_names() -> None:
    names = backbone_names()
    assert len(set(names)) == len(names)
    assert all(full_name(name) == name for name in names)


def test_every_record_can_be_shown_and_used() -> None:
    for record in search():
        assert record.label, record.name
        assert record.num_features > 0, record.name
        assert 4 <= len(record.stages) <= 12, record.name
        assert record.stages[0].name == "stem", record.name
        assert len(set(record.stage_names)) == len(record.stages), record.name
        assert all(stage.label and stage.num_parameters > 0 for stage in record.stages), record.name
        for stage in record.stages:
            assert 0 <= stage.num_norm <= stage.num_parameters, record.name
            assert 0 <= stage.num_bias <= stage.num_parameters, record.name
            assert stage.lora_unit >= 0, record.name
        assert 32 <= record.default_size <= 1024, record.name
        assert all(value > 0 for value in record.std), record.name
        assert 0.5 < record.crop_fraction <= 1.15, record.name
        assert record.interpolation in ("bicubic", "bilinear"), record.name
        assert record.gmacs is not None and record.gmacs > 0, record.name  # noqa: PT018
        assert record.top1 is None or 0.4 < record.top1 < 1.0, record.name


def test_what_is_refused_has_a_reason_and_is_refused_with_it() -> None:
    assert refused()
    for name, reason in refused().items():
        assert reason.endswith("."), name
        with pytest.raises(UnknownBackboneError) as caught:
            full_name(name)
        assert reason.rstrip(".") in caught.value.sentence
        with pytest.raises(SpecError, match="backbone is"):
            ModelSpec.parse({"backbone": name})


@pytest.mark.parametrize(
    ("short", "full"),
    [
        ("efficientnet_lite0", "efficientnet_lite0"),
        ("resnet50", "torchvision/resnet50.IMAGENET1K_V2"),
        ("torchvision/resnet50", "torchvision/resnet50.IMAGENET1K_V2"),
        ("resnet50.IMAGENET1K_V1", "torchvision/resnet50.IMAGENET1K_V1"),
        ("timm/resnet50", "timm/resnet50.a1_in1k"),
        ("vit_base_patch16_224", "timm/vit_base_patch16_224.augreg2_in21k_ft_in1k"),
    ],
)
def test_library_and_tag_may_be_left_out(short: str, full: str) -> None:
    assert full_name(short) == full
    assert ModelSpec.parse({"backbone": short}).backbone == full


@pytest.mark.parametrize("name", ["resnet50", "vit_base_patch16_224", "convnext_tiny"])
def test_without_a_tag_timms_default_weights_are_meant(name: str) -> None:
    cfg = timm.models.get_pretrained_cfg(name)
    assert backbone_record(f"timm/{name}").tag == cfg.tag


@pytest.mark.parametrize("name", models.list_models(module=models))
def test_without_a_tag_torchvisions_default_weights_are_meant(name: str) -> None:
    weights = models.get_model_weights(name).DEFAULT
    record = backbone_record(f"torchvision/{name}")
    assert record.tag == weights.name
    assert record.weights_source == weights.url
    assert record.weights_file == weights.url.rpartition("/")[2]
    assert record.top1 == pytest.approx(weights.meta["_metrics"]["ImageNet-1K"]["acc@1"] / 100)


@pytest.mark.parametrize("wrong", ["resnet5", "mobilenetv2", "torchvision/rsnet50"])
def test_a_wrong_name_is_answered_with_near_ones(wrong: str) -> None:
    with pytest.raises(SpecError, match=r"near it are .*net"):
        ModelSpec.parse({"backbone": wrong})


@pytest.mark.parametrize("wrong", ["nosuchthing", "torchvision/", "", "resnet50.NO_SUCH_TAG", "/"])
def test_a_name_like_no_other_is_refused_in_a_sentence(wrong: str) -> None:
    with pytest.raises(SpecError, match="must be the name of a backbone"):
        ModelSpec.parse({"backbone": wrong})


def test_search_wants_every_word() -> None:
    found = [record.name for record in search("mobilenet v3 LARGE")]
    assert found
    assert all("mobilenet" in n and "v3" in n and "large" in n.lower() for n in found)
    assert search("no such words") == []
    assert {record.library for record in search(library="bundled")} == {"bundled"}


def test_cost_grows_with_the_area() -> None:
    record = backbone_record("torchvision/resnet50")
    assert record.gmacs == pytest.approx(4.089)
    assert record.gmacs_at(448) == pytest.approx(4 * 4.089)


@pytest.mark.parametrize("select", get_args(Select))
@pytest.mark.parametrize(
    "name", ["efficientnet_lite0", "torchvision/resnet18", "timm/vit_tiny_patch16_224"]
)
def test_counts_are_those_of_the_network_itself(name: str, select: Select) -> None:
    rank = 3
    backbone = build_backbone(name, weights="random")
    add_adapters(backbone.network, rank, scale=1.0, seed=0)
    selected = selected_parameters(backbone, select)
    counted = {stage: sum(p.numel() for p in held) for stage, held in selected.items()}
    record = backbone_record(name)
    assert {s: record.count(select, rank, [s]) for s in record.stage_names} == counted
    assert record.count(select, rank, record.stage_names) == sum(counted.values()) > 0
    some = record.stage_names[1::2]
    assert record.count(select, rank, some) == sum(counted[stage] for stage in some)
    assert record.count(select, rank, []) == 0


def test_only_adapters_grow_with_their_rank() -> None:
    record = backbone_record("torchvision/resnet18")
    stages = record.stage_names
    assert record.count("adapters", 16, stages) == 16 * record.count("adapters", 1, stages) > 0
    for select in ("all", "norms", "biases"):
        assert record.count(select, 16, stages) == record.count(select, 1, stages)


def test_networks_without_norms_are_known() -> None:
    for name, has_norms in [("vgg11", False), ("vgg11_bn", True), ("timm/nfnet_f0", False)]:
        record = backbone_record(name)
        assert bool(record.count("norms", 1, record.stage_names)) == has_norms
        assert record.count("biases", 1, record.stage_names) > 0


@pytest.mark.parametrize(
    ("library", "name"),
    [("torchvision", "inception_v3"), ("torchvision", "vit_b_16"), ("timm", "convnext_atto")],
)
def test_the_index_is_what_the_libraries_say_today(library: str, name: str) -> None:
    entry = catalogue._index()[f"{library}/{name}"]
    described = describe(library, name)
    plain = {
        key: [list(stage) for stage in value] if key == "stages" else value
        for key, value in described.items()
        if key != "weights"
    }
    assert {key: entry[key] for key in plain} == plain
    assert [one["tag"] for one in entry["weights"]] == [one["tag"] for one in described["weights"]]
