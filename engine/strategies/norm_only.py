"""Normalisation layers only: their scales and shifts learn, and the head."""

from engine.strategies.base import Phase, Strategy, all_at

STRATEGY = Strategy(
    name="norm_only",
    label="Norms only",
    sentence="Only the scales and shifts of the normalisation layers learn, and the head: well "
    "under 1 % of most backbones. Re-weights features that are there without changing them; "
    "surprisingly strong where the new pictures differ in style.",
    source="Frankle et al. 2021; Li et al. 2017 (AdaBN)",
    temperature="warm",
    default_lr=3e-3,
    plan=lambda stages, epochs, settings: (Phase(1, all_at(stages)),),
    select="norms",
)
