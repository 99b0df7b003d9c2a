"""L2-SP: everything learns, with a pull back to the pre-trained weights."""

from engine.strategies.base import Phase, Pull, Strategy, all_at

STRATEGY = Strategy(
    name="l2_sp",
    label="Pull to the start",
    sentence="Everything learns, but each weight is pulled back to its pre-trained value instead "
    "of to zero. A full fine-tuning that forgets less; the stronger the pull, the closer to "
    "frozen.",
    source="Li et al. 2018 (L2-SP)",
    temperature="warm",
    default_lr=3e-4,
    plan=lambda stages, epochs, settings: (Phase(1, all_at(stages)),),
    settings=("pull", "head_pull"),
    pull=lambda settings: Pull(settings.pull, settings.head_pull),
)
