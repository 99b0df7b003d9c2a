"""RunSpec: JSON in and out, immutable, and faults that say how to mend them."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from engine.errors import SpecError
from engine.spec import RunSpec, field_info, field_range
from tests.engine.specs import tiny_spec


def every_field(model: type[BaseModel] = RunSpec, prefix: str = "") -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for name, info in model.model_fields.items():
        if isinstance(info.annotation, type) and issubclass(info.annotation, BaseModel):
            found += every_field(info.annotation, f"{prefix}{name}.")
        else:
            found.append((prefix + name, info))
    return found


def fault(settings: dict[str, Any]) -> str:
    with pytest.raises(SpecError) as caught:
        tiny_spec("photos", settings)
    return str(caught.value)


def test_json_round_trip_keeps_every_setting() -> None:
    spec = tiny_spec(
        "photos",
        {
            "data.val_folder": "others",
            "model.head": "mlp",
            "strategy.name": "full",
            "optimiser.name": "sgd",
            "optimiser.lr": 0.1 + 0.2,
            "images.augmentation": "standard",
            "seed": 7,
        },
    )
    assert RunSpec.parse(spec.model_dump_json()) == spec
    assert RunSpec.parse(json.loads(spec.model_dump_json())) == spec
    assert RunSpec.parse(spec.model_dump()) == spec


def test_data_folder_alone_is_enough() -> None:
    spec = RunSpec.parse({"data": {"folder": "photos"}})
    assert spec.model.backbone == "efficientnet_lite0"
    assert spec.strategy.name == "frozen"


def test_folders_become_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    spec = RunSpec.parse({"data": {"folder": "photos", "val_folder": "held back"}})
    assert spec.data.folder == str(tmp_path / "photos")
    assert spec.data.val_folder == str(tmp_path / "held back")


@pytest.mark.parametrize(("path", "info"), every_field(), ids=lambda value: str(value)[:30])
def test_every_field_describes_itself(path: str, info: Any) -> None:
    assert info.description, path
    assert info.description.endswith("."), path
    about = info.json_schema_extra
    assert about["label"], path
    assert "unit" in about, path
    for choice, meaning in about["choices"].items():
        assert meaning, f"{path}={choice}"


@pytest.mark.parametrize(("path", "info"), every_field(), ids=lambda value: str(value)[:30])
def test_every_number_has_a_range_that_holds_its_default(path: str, info: Any) -> None:
    if info.annotation not in (int, float):
        return
    low, high = field_range(path)
    assert math.isfinite(low), path
    assert math.isfinite(high), path
    assert low <= info.default <= high, path


@pytest.mark.parametrize(
    ("path", "value", "rule"),
    [
        ("optimiser.lr", 0, "must be a number from 1e-07 to 1"),
        ("optimiser.lr", -1e-3, "must be a number from 1e-07 to 1"),
        ("optimiser.lr", math.nan, "must be a number from 1e-07 to 1"),
        ("optimiser.lr", math.inf, "must be a number from 1e-07 to 1"),
        ("optimiser.lr", "fast", "must be a number from 1e-07 to 1"),
        ("optimiser.momentum", 1.0, "must be a number from 0 to below 1"),
        ("training.epochs", 0, "must be a whole number from 1 to 1000"),
        ("training.epochs", 1.5, "must be a whole number from 1 to 1000"),
        ("training.batch_size", 1, "must be a whole number from 2 to 1024"),
        ("images.size", 16, "must be a whole number from 32 to 1024"),
        ("images.fit", "stretch", "must be one of crop, squash, pad"),
        ("images.augmentation", "wild", "must be one of none, flip, standard"),
        ("model.backbone", "resnet0", "must be the name of a backbone, such as efficientnet_lite0"),
        ("model.head", "deep", "must be one of linear, mlp"),
        ("strategy.name", "thawed", "must be one of "),
        ("optimiser.name", "adamx", "must be a known optimiser, such as adam"),
        ("seed", -1, "must be a whole number from 0 to"),
    ],
)
def test_a_bad_value_names_field_value_and_range(path: str, value: Any, rule: str) -> None:
    message = fault({path: value})
    assert message.startswith(f"{path} is {value!r}; it {rule}"), message


@pytest.mark.parametrize("text", ["NaN", "Infinity", "0.0"])
def test_a_bad_learning_rate_in_json_is_refused(text: str) -> None:
    document = f'{{"data": {{"folder": "x"}}, "optimiser": {{"lr": {text}}}}}'
    with pytest.raises(SpecError, match=r"^optimiser\.lr is .*must be a number from 1e-07 to 1"):
        RunSpec.parse(document)


def test_an_unknown_strategy_lists_the_known_ones() -> None:
    message = fault({"strategy.name": "thawed"})
    assert "'thawed'" in message
    assert "frozen" in message
    assert "full" in message


def test_an_unknown_setting_is_named() -> None:
    assert fault({"optimiser.speed": 3}) == "optimiser.speed is not a setting that Thaw knows."
    assert fault({"colour": "red"}) == "colour is not a setting that Thaw knows."


def test_missing_data_is_named() -> None:
    with pytest.raises(SpecError, match=r"^data is missing\.$"):
        RunSpec.parse({})


def test_all_faults_are_reported_at_once() -> None:
    message = fault({"optimiser.lr": 0, "training.epochs": 0, "images.fit": "stretch", "extra": 1})
    for path in ("optimiser.lr", "training.epochs", "images.fit", "extra"):
        assert f"{path} is " in message


@pytest.mark.parametrize("text", ["", "not json", "[1, 2]", '"a text"', "null", '{"data": 3}'])
def test_a_text_that_is_no_spec_is_refused(text: str) -> None:
    with pytest.raises(SpecError) as caught:
        RunSpec.parse(text)
    assert str(caught.value)


def test_a_spec_cannot_be_changed() -> None:
    spec = tiny_spec("photos")
    with pytest.raises(ValidationError, match="frozen"):
        spec.seed = 3  # type: ignore[misc]
    with pytest.raises(ValidationError, match="frozen"):
        spec.optimiser.lr = 1.0  # type: ignore[misc]


def test_flat_names_every_setting_by_its_dotted_path() -> None:
    spec = tiny_spec("photos", {"optimiser.lr": 0.01})
    flat = spec.flat()
    assert set(flat) == {path for path, _ in every_field()}
    assert flat["optimiser.lr"] == 0.01
    assert flat["strategy.name"] == "frozen"


def test_field_info_of_an_unknown_path_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        field_info("optimiser.speed")
    with pytest.raises(KeyError):
        field_info("seed.deeper")
