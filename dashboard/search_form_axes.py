"""A control for each setting that can be searched: its choices, or both ends of its range."""

from typing import Any

import streamlit as st

from dashboard.widgets import IMAGE_SIZES, LEARNING_RATES
from engine.models.catalogue import DEFAULT_BACKBONE, backbone_names
from engine.runs.search_space import NOT_SEARCHED, is_whole
from engine.spec import DataSpec, RunSpec, field_info, field_range
from engine.strategies import STRATEGIES

# Marks of a range that goes by magnitude, and its ends to begin with.
MARKS: dict[str, tuple[tuple[float, ...], float, float]] = {
    "optimiser.lr": (LEARNING_RATES, 1e-4, 1e-2),
    "optimiser.backbone_lr": (LEARNING_RATES, 1e-5, 1e-3),
    "optimiser.weight_decay": ((1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 5e-2, 0.1), 1e-5, 1e-2),
    "strategy.pull": ((1e-4, 1e-3, 1e-2, 0.1, 1.0, 10.0), 1e-3, 1.0),
    "strategy.head_pull": ((1e-4, 1e-3, 1e-2, 0.1, 1.0, 10.0), 1e-3, 1.0),
    "strategy.tune_scale": ((1e-3, 3e-3, 1e-2, 3e-2, 0.1, 0.3, 1.0), 1e-2, 1.0),
}
# Least and greatest value of an even range, step, and its ends to begin with.
SPANS: dict[str, tuple[float, float, float, float, float]] = {
    "model.dropout": (0.0, 0.9, 0.05, 0.0, 0.5),
    "training.label_smoothing": (0.0, 0.5, 0.05, 0.0, 0.2),
    "model.stochastic_depth": (0.0, 0.9, 0.05, 0.0, 0.3),
    "training.mixup": (0.0, 1.0, 0.05, 0.0, 0.4),
    "training.cutmix": (0.0, 1.0, 0.05, 0.0, 1.0),
    "training.epochs": (1, 100, 1, 5, 20),
    "optimiser.warmup": (0.0, 0.5, 0.05, 0.0, 0.2),
    "optimiser.momentum": (0.0, 0.99, 0.01, 0.8, 0.99),
    "optimiser.decay_rate": (0.5, 1.0, 0.01, 0.8, 1.0),
    "optimiser.drop_factor": (0.05, 0.95, 0.05, 0.1, 0.5),
    "optimiser.drop_every": (1, 20, 1, 2, 6),
    "optimiser.decay_steps": (1, 10_000, 1, 100, 2000),
    "optimiser.patience": (1, 10, 1, 1, 5),
    "training.early_stopping": (0, 50, 1, 3, 10),
    "strategy.last_stages": (0, 12, 1, 1, 4),
    "strategy.unfreeze_every": (1, 20, 1, 1, 3),
}
# Numbers of which only some are worth a try, and those to begin with.
NUMBERS: dict[str, tuple[tuple[float, ...], tuple[float, ...]]] = {
    "images.size": (IMAGE_SIZES, (96, 160, 224)),
    "images.start_size": ((0, *IMAGE_SIZES), (0, 64)),
    "training.batch_size": ((4, 8, 16, 32, 64, 128, 256), (16, 32, 64)),
    "model.hidden_units": ((32, 64, 128, 256, 512, 1024), (64, 128, 256)),
    "strategy.rank": ((1, 2, 4, 8, 16, 32, 64), (4, 8, 16)),
    "strategy.lora_alpha": ((1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0), (8.0, 16.0, 32.0)),
    "training.ema_decay": ((0.0, 0.9, 0.99, 0.999, 0.9999), (0.0, 0.99, 0.999)),
    "training.clip_norm": ((0.0, 0.1, 0.5, 1.0, 5.0, 10.0), (0.0, 1.0, 5.0)),
}
FIRST = (
    "optimiser.lr",
    "strategy.name",
    "optimiser.weight_decay",
    "model.dropout",
    "training.label_smoothing",
    "images.fit",
    "images.size",
    "images.augmentation",
    "model.head",
)
# A text of which the spec lists no choices needs a list of its own here to be on offer.
TEXTS = ("strategy.name", "model.backbone")
# They are there for what a run costs, not for what comes of it; the first two exclude each other.
COSTS_ALONE = (
    "training.gradient_checkpointing",
    "training.compile",
    "training.max_minutes",
)


def _is_offered(path: str) -> bool:
    info = field_info(path)
    if path.partition(".")[0] in NOT_SEARCHED or path in COSTS_ALONE:
        return False
    if info.annotation in (int, float):
        return all(abs(end) < float("inf") for end in field_range(path))
    return path in TEXTS or info.annotation is bool or bool(info.json_schema_extra["choices"])


def _offered() -> tuple[str, ...]:
    found = [path for path in RunSpec(data=DataSpec(folder=".")).flat() if _is_offered(path)]
    return (*FIRST, *(path for path in found if path not in FIRST))


SEARCHED = _offered()


def setting_label(path: str) -> str:
    """Returns what a person reads for a setting."""
    return str(field_info(path).json_schema_extra["label"])


def axis_control(page: str, path: str) -> Any:
    """Shows the control of a setting; returns its choices or its range, unchecked."""
    shared: dict[str, Any] = {
        "help": field_info(path).description,
        "key": f"{page}.space.{path}",
        "persist_state": "session",
    }
    if path in MARKS:
        marks, low, high = MARKS[path]
        ends = st.select_slider(
            setting_label(path),
            marks,
            value=(low, high),
            format_func=lambda value: f"{value:.0e}".replace("e-0", "e-").replace("e+0", "e"),
            **shared,
        )
        return {"low": ends[0], "high": ends[1], "log": True}
    if path in NUMBERS:
        numbers, first = NUMBERS[path]
        return st.multiselect(setting_label(path), numbers, default=first, **shared)
    if field_info(path).annotation in (int, float):
        return _span_control(path, shared)
    options, first_options = _options(path)
    return st.multiselect(
        setting_label(path),
        options,
        default=first_options,
        format_func=lambda value: _text(path, value),
        **shared,
    )


def _span_control(path: str, shared: dict[str, Any]) -> dict[str, Any]:
    number = int if is_whole(path) else float
    least, greatest, step, low, high = (number(value) for value in _span(path))
    ends = st.slider(setting_label(path), least, greatest, (low, high), step, **shared)
    return {"low": ends[0], "high": ends[1], "log": False}


def _span(path: str) -> tuple[float, float, float, float, float]:
    """Returns the span of a setting; one that is not listed above gets what its field allows."""
    if path in SPANS:
        return SPANS[path]
    least, greatest = field_range(path)
    if is_whole(path):
        return least, greatest, 1, least, greatest
    # A field need not allow its ends themselves.
    step = (greatest - least) / 20
    return least + step, greatest - step, step, least + step, greatest - step


def _options(path: str) -> tuple[list[Any], list[Any]]:
    """Returns what a setting can be, and what is chosen to begin with."""
    if path == "strategy.name":
        return list(STRATEGIES), ["frozen", "full"]
    if path == "model.backbone":
        return list(backbone_names()), [DEFAULT_BACKBONE]
    if field_info(path).annotation is bool:
        return [False, True], [False, True]
    choices = list(field_info(path).json_schema_extra["choices"])
    return choices, choices


def _text(path: str, value: Any) -> str:
    if path == "strategy.name":
        return STRATEGIES[value].label
    return {True: "on", False: "off"}[value] if isinstance(value, bool) else str(value)
