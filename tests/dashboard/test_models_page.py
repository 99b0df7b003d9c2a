"""Models: searchable, with facts, and a way to the Train page."""

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from engine.models.catalogue import backbone_names, refused, search
from engine.models.weights_files import torch_hub_folder
from tests.dashboard.pages import choose, open_page, run, text_of


@pytest.fixture(autouse=True)
def no_weights_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hf"))


def listed(page: AppTest) -> list[str]:
    return list(page.dataframe[0].value["backbone"])


def test_the_first_view_lists_all() -> None:
    page = open_page("models")
    assert listed(page) == list(backbone_names())
    assert f"{len(backbone_names()):,} backbones" in text_of(page)


def test_search_and_library_narrow_it_down() -> None:
    page = choose(open_page("models"), "models.text", "resnet50 v2")
    assert listed(page)
    assert all("resnet50" in name and "v2" in name.lower() for name in listed(page))
    choose(page, "models.library", "torchvision")
    assert listed(page) == [r.name for r in search("resnet50 v2", "torchvision")]


def test_nothing_found_says_what_to_do() -> None:
    page = choose(open_page("models"), "models.text", "no such thing")
    assert not page.dataframe
    assert any("fewer words" in one.value for one in page.info)


def test_cost_follows_the_image_size() -> None:
    page = choose(open_page("models"), "models.text", "torchvision/resnet50.IMAGENET1K_V1")
    choose(page, "models.images.size", 448)
    table = page.dataframe[0].value
    assert table["GMACs at 448 px"].iloc[0] == pytest.approx(4 * 4.089)
    assert table["ImageNet top-1 (%)"].iloc[0] == pytest.approx(76.13)


def test_only_those_that_are_here() -> None:
    file = torch_hub_folder() / "alexnet-owt-7be5be79.pth"
    file.parent.mkdir(parents=True)
    file.touch()
    page = choose(open_page("models"), "models.here", True)
    assert listed(page) == ["efficientnet_lite0", "torchvision/alexnet.IMAGENET1K_V1"]


def test_what_cannot_be_used_is_listed_with_its_reason() -> None:
    page = open_page("models")
    table = page.dataframe[-1].value
    assert dict(zip(table["architecture"], table["because"], strict=True)) == refused()


def test_a_row_shows_its_stages_and_leads_to_train() -> None:
    page = choose(open_page("models"), "models.text", "torchvision/resnet18")
    page.session_state["models.table.torchvision/resnet18..False"] = {
        "selection": {"rows": [0], "columns": [], "cells": []}
    }
    run(page)
    text = text_of(page).replace("\\", "")
    assert "takes pictures of any size" in text
    assert "in 5 stages" in text
    [button] = [one for one in page.button if one.label == "Use it on the Train page"]
    button.click()
    run(page)
    [box] = [one for one in page.selectbox if one.key == "train.model.backbone"]
    assert box.value == "torchvision/resnet18.IMAGENET1K_V1"
