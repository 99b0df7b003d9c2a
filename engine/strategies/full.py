"""Full fine-tuning: every weight learns."""

from engine.strategies.base import Phase, Strategy, all_at

STRATEGY = Strategy(
    name="full",
    label="Full",
    sentence="Every weight learns, from the stem to the head. Fits data unlike the pre-training "
    "best and costs most; with few images or a large learning rate it overfits or forgets.",
    source="Girshick et al. 2014; Yosinski et al. 2014",
    temperature="warm",
    default_lr=3e-4,
    plan=lambda stages, epochs, settings: (Phase(1, all_at(stages)),),
)
