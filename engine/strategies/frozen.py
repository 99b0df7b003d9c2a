"""Feature extraction: the backbone stays as it is, only the head learns."""

from engine.strategies.base import Phase, Strategy

STRATEGY = Strategy(
    name="frozen",
    label="Frozen",
    sentence="Only the head learns; the backbone stays bit for bit as it was pre-trained. Fast, "
    "and hard to overfit: the first thing to try, above all with few images or images like "
    "those of the pre-training.",
    source="Donahue et al. 2014 (DeCAF); Sharif Razavian et al. 2014",
    temperature="cold",
    default_lr=3e-3,
    plan=lambda stages, epochs, settings: (Phase(1, {}),),
)
