"""BitFit: only biases learn, and the head."""

from engine.strategies.base import Phase, Strategy, all_at

STRATEGY = Strategy(
    name="bias_only",
    label="Biases only",
    sentence="Only the biases learn, and the head: a fraction of a percent of the weights, kept "
    "apart easily and hard to overfit. Made for transformers; a convolutional network has few "
    "biases beside those of its norms.",
    source="Ben Zaken et al. 2022 (BitFit); Cai et al. 2020 (TinyTL)",
    temperature="warm",
    default_lr=3e-3,
    plan=lambda stages, epochs, settings: (Phase(1, all_at(stages)),),
    select="biases",
    moves_statistics=False,
)
