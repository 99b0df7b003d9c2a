"""How long a run learns, what keeps it from overfitting, and what BatchNorm does meanwhile."""

from collections.abc import Sequence
from typing import Any

import streamlit as st

from dashboard.widgets import choice, grid_slider, number_slider, switch
from engine.spec import field_info
from engine.strategies import Strategy

BATCH_SIZES = (4, 8, 16, 32, 64, 128, 256)
PARTS = (1, 2, 4, 8, 16, 32, 64)
CLIP_NORMS = (0.0, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
MINUTES = (0.0, 1.0, 2.0, 5.0, 10.0, 15.0, 20.0, 30.0, 45.0, 60.0, 90.0, 120.0, 240.0, 480.0)
MOST_SEEDS = 10
EMA_DECAYS = (0.0, 0.9, 0.95, 0.98, 0.99, 0.995, 0.998, 0.999, 0.9999)


def length_section(page: str) -> dict[str, Any]:
    """Shows how long, in what portions and how often; returns values of a TrainingSpec."""
    left, right = st.columns(2)
    with left:
        epochs = number_slider(page, "training.epochs", high=100)
    with right:
        batch_size = int(grid_slider(page, "training.batch_size", BATCH_SIZES, text=str))
    with left:
        minutes = grid_slider(page, "training.max_minutes", MINUTES, text=_minutes)
    with right:
        seeds_input(page)
    return {"epochs": epochs, "batch_size": batch_size, "max_minutes": minutes}


def _minutes(minutes: float) -> str:
    return f"{minutes:g}" if minutes else "no limit"


def batch_norm_section(page: str, strategies: Sequence[Strategy]) -> dict[str, Any]:
    """Shows what BatchNorm does, with what that means; returns values of a TrainingSpec.

    Args:
        page: prefix of the state keys.
        strategies: that were chosen; some keep the statistics of the pre-training by themselves.
    """
    mode = choice(page, "training.batch_norm", explains=True)
    keep = [one.label for one in strategies if not one.moves_statistics]
    if mode == "follow" and keep:
        st.caption(f"With {' and '.join(keep)} all keep those of the pre-training.")
    return {"batch_norm": mode}


def regularisation_section(page: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Shows what keeps a model from overfitting, dropout apart, which stands with the head.

    Returns:
        Values of a TrainingSpec and of a ModelSpec.
    """
    left, right = st.columns(2)
    with left:
        smoothing = number_slider(page, "training.label_smoothing", step=0.05)
        mixup = number_slider(page, "training.mixup", high=1.0, step=0.1)
        cutmix = number_slider(page, "training.cutmix", high=1.0, step=0.1)
        early_stopping = number_slider(page, "training.early_stopping", high=50)
    with right:
        clip_norm = grid_slider(page, "training.clip_norm", CLIP_NORMS)
        ema_decay = grid_slider(page, "training.ema_decay", EMA_DECAYS)
        depth = number_slider(page, "model.stochastic_depth", step=0.05)
        balance = choice(page, "training.class_balance", explains=True)
    training = {
        "label_smoothing": smoothing,
        "mixup": mixup,
        "cutmix": cutmix,
        "early_stopping": early_stopping,
        "clip_norm": clip_norm,
        "ema_decay": ema_decay,
        "class_balance": balance,
    }
    return training, {"stochastic_depth": depth}


def speed_section(page: str) -> dict[str, Any]:
    """Shows what costs time and memory; returns values of a TrainingSpec."""
    left, right = st.columns(2)
    with left:
        precision = choice(page, "training.precision", explains=True)
        accumulation = int(grid_slider(page, "training.accumulation", PARTS, text=str))
    with right:
        kept = choice(page, "training.feature_precision", explains=True)
        forgets = switch(page, "training.gradient_checkpointing")
        compiles = switch(page, "training.compile")
    return {
        "precision": precision,
        "accumulation": accumulation,
        "feature_precision": kept,
        "gradient_checkpointing": forgets,
        "compile": compiles,
    }


def seed_input(page: str) -> int:
    """Shows the seed; returns it."""
    info = field_info("seed")
    seed = st.number_input(
        "Seed",
        0,
        2**31 - 1,
        info.default,
        help=info.description,
        key=f"{page}.seed",
        persist_state="session",
    )
    return int(seed)


def seeds_input(page: str) -> int:
    """Shows with how many seeds each strategy is run; returns that."""
    seeds = st.slider(
        "Runs of each strategy (seeds)",
        1,
        MOST_SEEDS,
        1,
        help="An experiment: seeds count up from the one below, the split stays the same. With "
        "three or more, Compare tells the strategies apart and not only these very models.",
        key=f"{page}.seeds",
        persist_state="session",
    )
    return int(seeds)
