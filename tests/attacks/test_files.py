"""Reading files that the pages may not read, by paths, links, devices and pipes; running a file."""

import os
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torchvision import models

from dashboard.data_summary import thumbnail
from dashboard.model_choice import check_file
from dashboard.roots import VARIABLE, allowed_images, allowed_weights
from engine.errors import DataError, ThawError, WeightsError
from engine.spec import DataSpec

SQUEEZENET = "torchvision/squeezenet1_1.IMAGENET1K_V1"


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The one folder that pages may read; a secret picture and a secret weights file lie beside."""
    folder = tmp_path / "root"
    folder.mkdir()
    monkeypatch.setenv(VARIABLE, str(folder))
    monkeypatch.delenv("THAW_WEIGHTS", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "secret.safetensors").write_bytes(b"secret")
    (tmp_path / "root-of-another").mkdir()
    (tmp_path / "root-of-another" / "secret.pth").write_bytes(b"secret")
    return folder


PATHS: dict[str, Callable[[Path], str]] = {
    "absolute": lambda root: str(root.parent / "secret.safetensors"),
    "..": lambda root: f"{root}/../secret.safetensors",
    ".. from nowhere": lambda root: f"{root}/nowhere/../../secret.safetensors",
    "~": lambda root: "~/secret.safetensors",
    "~root": lambda root: "~root/.ssh/id_rsa",
    "a name that begins like the root": lambda root: f"{root}-of-another/secret.pth",
    "/etc/passwd": lambda root: "/etc/passwd",
    "/proc/self/environ": lambda root: "/proc/self/environ",
    "/proc/self/root": lambda root: f"/proc/self/root{root.parent}/secret.safetensors",
    "/proc/self/cwd": lambda root: "/proc/self/cwd/pyproject.toml",
    "/dev/zero": lambda root: "/dev/zero",
    "/dev/stdin": lambda root: "/dev/stdin",
    "/dev/fd/0": lambda root: "/dev/fd/0",
    "two slashes": lambda root: f"/{root.parent}/secret.safetensors",
    "file:": lambda root: f"file://{root.parent}/secret.safetensors",
    "zero byte": lambda root: f"{root}/a.pth\0{root.parent}/secret.safetensors",
    "line break": lambda root: f"{root.parent}/secret.safetensors\n",
    "very long": lambda root: "a/" * 5000,
    "a lone surrogate": lambda root: "/\udcff/secret.pth",
}


@pytest.mark.parametrize("name", PATHS)
def test_weights_elsewhere_are_not_read(root: Path, name: str) -> None:
    with pytest.raises(WeightsError):
        allowed_weights(PATHS[name](root))


@pytest.mark.parametrize("name", PATHS)
def test_data_elsewhere_is_not_read(root: Path, name: str) -> None:
    with pytest.raises(ThawError):
        allowed_images(DataSpec.parse({"folder": PATHS[name](root) or "/"}))


def test_what_is_refused_is_not_told_to_be_there_or_not(root: Path) -> None:
    told = []
    for name in ("secret.safetensors", "nothing.safetensors"):
        with pytest.raises(WeightsError) as caught:
            allowed_weights(str(root.parent / name))
        told.append(str(caught.value).replace(name, "X"))
    assert told[0] == told[1]


@pytest.mark.parametrize("kind", ["file", "folder above", "chain", "loop"])
def test_links_to_weights_elsewhere_are_not_followed(root: Path, kind: str) -> None:
    link = root / "mine.safetensors"
    if kind == "file":
        link.symlink_to(root.parent / "secret.safetensors")
    elif kind == "folder above":
        (root / "up").symlink_to(root.parent)
        link = root / "up" / "secret.safetensors"
    elif kind == "chain":
        (root / "one").symlink_to("../secret.safetensors")
        link.symlink_to("one")
    else:
        link.symlink_to("mine.safetensors")
    with pytest.raises(WeightsError):
        allowed_weights(str(link))


def test_weights_where_they_may_lie_are_read(
    root: Path, thaw_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("THAW_WEIGHTS", str(tmp_path / "weights"))
    for folder in (root, thaw_home / "runs" / "abc", tmp_path / "weights"):
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / "best.safetensors"
        file.write_bytes(b"x")
        assert allowed_weights(str(file)) == file


def classes(folder: Path, source: Path) -> None:
    for name in ("birds", "fruit"):
        (folder / name).mkdir(parents=True)
        for file in sorted((source / name).iterdir())[:3]:
            os.link(file, folder / name / file.name)


@pytest.mark.parametrize("kind", ["picture", "class", "table", "table of links", "device"])
def test_links_to_pictures_elsewhere_are_not_followed(
    root: Path, tmp_path: Path, tiny_folder: Path, kind: str
) -> None:
    secret = tmp_path / "secret"
    classes(secret, tiny_folder)
    picture = next((secret / "birds").iterdir())
    data = root / "data"
    if kind == "class":
        data.mkdir()
        (data / "birds").symlink_to(secret / "birds")
        (data / "fruit").symlink_to(secret / "fruit")
    elif kind.startswith("table"):
        data = root / "data.csv"
        path = Path("../secret/birds") / picture.name
        if kind == "table of links":
            (root / "link.jpg").symlink_to(picture)
            path = Path("link.jpg")
        data.write_text(f"path,label\n{path},a\n{path},b\n/etc/passwd,a\n")
    else:
        classes(data, tiny_folder)
        target = Path("/dev/zero") if kind == "device" else picture
        (data / "birds" / "link.jpg").symlink_to(target)
    with pytest.raises(DataError, match="outside the folders"):
        allowed_images(DataSpec(folder=str(data)))


@pytest.mark.timeout(60)
def test_pipes_and_devices_do_not_hang(root: Path, tiny_folder: Path) -> None:
    for name in ("a.jpg", "a.csv", "a.parquet", "a.pth"):
        os.mkfifo(root / name)
    assert thumbnail(str(root / "a.jpg")) is None
    for name in ("a.csv", "a.parquet"):
        with pytest.raises(DataError, match="pipe"):
            allowed_images(DataSpec(folder=str(root / name)))
    with pytest.raises(WeightsError, match="no weights file"):
        allowed_weights(str(root / "a.pth"))
    classes(root / "data", tiny_folder)
    os.mkfifo(root / "data" / "birds" / "0.jpg")
    found = allowed_images(DataSpec(folder=str(root / "data")))
    assert [thumbnail(str(path)) for path in found.train[0]].count(None) == 1
    assert thumbnail("/dev/zero") is None


class Evil:
    """Runs a command when it is unpickled."""

    def __init__(self, command: str):
        self.command = command

    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, (self.command,)


@pytest.mark.parametrize("kind", ["pickle", "torch", "torch, old", "in a state dict", "renamed"])
def test_a_weights_file_runs_nothing(root: Path, tmp_path: Path, kind: str) -> None:
    ran = tmp_path / "ran"
    evil = Evil(f"touch {ran}")
    file = root / ("evil.safetensors" if kind == "renamed" else "evil.pth")
    if kind in {"pickle", "renamed"}:
        file.write_bytes(pickle.dumps(evil))
    elif kind == "in a state dict":
        tensors = models.squeezenet1_1(weights=None).state_dict()
        torch.save({"state_dict": dict(tensors), "epoch": evil}, file)
    else:
        torch.save(evil, file, _use_new_zipfile_serialization=kind == "torch")
    named = allowed_weights(str(file))
    fits, sentence = check_file.__wrapped__(SQUEEZENET, 224, str(named), 0.0)  # type: ignore[attr-defined]
    assert not fits
    assert file.name in sentence
    assert not ran.exists()


def test_an_honest_weights_file_is_taken(root: Path) -> None:
    file = root / "honest.safetensors"
    save_file(dict(models.squeezenet1_1(weights=None).state_dict()), file)
    fits, _ = check_file.__wrapped__(SQUEEZENET, 224, str(file), 0.0)  # type: ignore[attr-defined]
    assert fits
